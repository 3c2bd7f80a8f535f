//! The commands in the documentation for operators and authors run as they stand.

use crate::support::{Home, Output, fixture};
use std::path::Path;
use std::process::Stdio;

/// The words of a command as a shell splits them: single quotes, and comments behind white space.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut open) = (Vec::new(), String::new(), false, false);
    for letter in line.chars() {
        match letter {
            '\'' => (quoted, open) = (!quoted, true),
            '#' if !quoted && !open => break,
            letter if letter.is_whitespace() && !quoted => {
                if std::mem::take(&mut open) {
                    words.push(std::mem::take(&mut word));
                }
            }
            letter => {
                open = true;
                word.push(letter);
            }
        }
    }
    if open {
        words.push(word);
    }
    words
}

/// The lines of a page's shell blocks.
fn commands(page: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plugins").join(page);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside && line.starts_with("micro ") => found.push(line.to_owned()),
            _ => {}
        }
    }
    found
}

/// Runs a command with the plugins of the distribution in a folder beside it.
async fn run(home: &Home, line: &str) -> Output {
    let folder = fixture("etcd-registry").parent().expect("it is in a folder").to_owned();
    let here = |word: String| match word.strip_prefix("dist/plugins/") {
        Some(file) => folder.join(file).display().to_string(),
        None => word.replace("=dist/plugins/", &format!("={}/", folder.display())),
    };
    let mut words: Vec<String> = words(line).into_iter().skip(1).map(here).collect();
    if words.get(1).is_some_and(|word| word == "bench") {
        words.push("--rounds=1".to_owned());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = home.command(&words);
    command.env("MICRO_PLUGIN_PATH", &folder).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Output {
        code: output.status.code().expect("no signal"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

#[tokio::test]
async fn every_command_of_the_documentation_is_understood() {
    let home = Home::new();
    let mut ran = 0;
    for page in ["operators.md", "request-path.md"] {
        for line in commands(page) {
            // These belong together with a process in the background, which other tests have.
            if line.ends_with('&') || line.starts_with("micro plugin swap") {
                continue;
            }
            let output = run(&home, &line).await;
            // What needs an etcd says that there is none, where there is none.
            let no_backend = ["[MICRO-0302]", "[MICRO-0707]"].iter().any(|code| output.err.contains(code));
            assert!(output.code == 0 || (no_backend && line.contains("etcd")), "{line}: {output:?}");
            ran += 1;
        }
    }
    assert!(ran >= 12, "{ran} commands were found");
}

#[test]
fn lines_are_split_as_shells_do_it() {
    assert_eq!(words("micro a 'b c'd  'e' # f"), ["micro", "a", "b cd", "e"]);
    assert_eq!(words("micro x=a#b ''"), ["micro", "x=a#b", ""]);
}
