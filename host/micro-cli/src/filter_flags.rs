//! Flags of filters. A filter plugin whose manifest gives its options flags is in service as soon as one of them is used,
//! so whatever lies in a plugin folder extends the command line.

use clap::{Arg, ArgAction, ArgMatches, Command};
use micro::Flags;
use micro_plugin::manifest::OptionSpec;
use micro_plugin::{Kind, SearchPlaces, section};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The heading in the help.
pub(crate) const HEADING: &str = "Filter options";

/// A filter that has flags.
#[derive(Debug)]
pub(crate) struct Flagged {
    file: PathBuf,
    /// Flag, name of the option, line of help.
    options: Vec<(String, String, String)>,
}

/// The filters in the plugin folders that have flags. Files that are no plugins are somebody else's worry: whoever uses
/// them is told.
pub(crate) fn discover(arguments: &[OsString]) -> Vec<Flagged> {
    let given = |flag: &str| given(arguments, flag);
    let lookup = |name: &str| match name {
        "MICRO_PLUGIN_PATH" => given("plugin_path").or_else(|| std::env::var_os(name)),
        "MICRO_HOME" => given("home").or_else(|| std::env::var_os(name)),
        _ => std::env::var_os(name),
    };
    let executable = std::env::current_exe().ok();
    let working = std::env::current_dir().unwrap_or_default();
    let places = SearchPlaces::from_env(executable.as_deref(), working, lookup);
    let mut names = Vec::new();
    let mut found = Vec::new();
    for file in places.installed(Kind::Filter) {
        let Some(flagged) = read(&file) else { continue };
        // Of several files of one name the first is the one that its name means.
        let name = file.file_name().map(OsStr::to_owned);
        if !names.contains(&name) {
            names.push(name);
            found.push(flagged);
        }
    }
    found
}

fn read(file: &Path) -> Option<Flagged> {
    let manifest = section::read(&std::fs::read(file).ok()?).ok()?;
    let option = |option: &OptionSpec| {
        let flag = option.flag.clone()?;
        Some((flag, option.name.clone(), format!("{} (filter {})", option.doc, manifest.name)))
    };
    let options: Vec<_> = manifest.options.iter().filter_map(option).collect();
    (!options.is_empty()).then(|| Flagged { file: file.to_owned(), options })
}

/// The value of a flag before the command line is parsed: what it can hold depends on this.
fn given(arguments: &[OsString], flag: &str) -> Option<OsString> {
    let mut arguments = arguments.iter().skip(1).map(|it| it.to_string_lossy());
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            return None;
        }
        let Some(text) = argument.strip_prefix('-') else { continue };
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        if name.trim_start_matches('-').replace('-', "_") == flag {
            return value.map(str::to_owned).or_else(|| arguments.next().map(Into::into)).map(OsString::from);
        }
    }
    None
}

/// The command line with the filters' flags. One that exists already is left out.
pub(crate) fn extend(mut command: Command, filters: &[Flagged]) -> Command {
    for (flag, _, help) in filters.iter().flat_map(|filter| &filter.options) {
        if command.get_arguments().any(|known| known.get_long() == Some(flag)) {
            continue;
        }
        let argument = Arg::new(flag.clone())
            .long(flag.clone())
            .env(format!("MICRO_{}", flag.to_uppercase()))
            .help(help.clone())
            .help_heading(HEADING)
            .value_name("VALUE")
            .action(ArgAction::Append)
            .global(true);
        command = command.arg(argument);
    }
    command
}

/// Puts the filters whose flags were used behind those that `--filter` names.
pub(crate) fn apply(filters: &[Flagged], matches: &ArgMatches, flags: &mut Flags) {
    for filter in filters {
        let stem = filter.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut used = false;
        for (flag, option, _) in &filter.options {
            let Ok(Some(values)) = matches.try_get_many::<String>(flag) else { continue };
            let values: Vec<&str> = values.map(String::as_str).collect();
            flags.filter_opt.push(format!("{stem}.{option}={}", values.join(",")));
            used = true;
        }
        let path = filter.file.to_string_lossy().into_owned();
        if used && !flags.filter.contains(&path) {
            flags.filter.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn folders_are_known_before_parsing() {
        for (line, expected) in [
            ("micro --plugin_path=/a api", Some("/a")),
            ("micro -plugin-path /b", Some("/b")),
            ("micro api --plugin_path /c", Some("/c")),
            ("micro call x -- --plugin_path /d", None),
            ("micro --plugin_path", None),
            ("micro plugin_path", None),
        ] {
            assert_eq!(given(&arguments(line), "plugin_path"), expected.map(OsString::from), "{line}");
        }
    }

    #[test]
    fn used_flags_bring_their_filter() {
        let filters = [Flagged {
            file: "/p/ip-whitelist-filter.wasm".into(),
            options: vec![("ip_whitelist".to_owned(), "ips".to_owned(), "Who may".to_owned())],
        }];
        let parse = |line: &str| {
            let command = extend(Command::new("micro"), &filters);
            let matches = command.try_get_matches_from(arguments(line)).expect("valid");
            let mut flags = Flags::default();
            apply(&filters, &matches, &mut flags);
            (flags.filter, flags.filter_opt)
        };
        let (filter, options) = parse("micro --ip_whitelist 10.0.0.0/8 --ip_whitelist ::1");
        assert_eq!(filter, ["/p/ip-whitelist-filter.wasm"]);
        assert_eq!(options, ["ip-whitelist-filter.ips=10.0.0.0/8,::1"]);
        assert_eq!(parse("micro"), (vec![], vec![]));
    }
}
