//! Where plugins are looked for.

use crate::locator::{Locator, Target, canonical};
use crate::manifest::Kind;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The folders of one process. Taken from the environment once, at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPlaces {
    /// Bare file names are looked up here first.
    pub working: PathBuf,
    /// Plugin folders in the order of preference.
    pub folders: Vec<PathBuf>,
}

/// No such plugin. Says everywhere it was looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {kind} plugin {wanted}; looked for {}", each(searched))]
pub struct NotFound {
    /// As it was typed.
    pub wanted: String,
    /// What it should have been.
    pub kind: Kind,
    /// Every file that would have done.
    pub searched: Vec<PathBuf>,
}

fn each(searched: &[PathBuf]) -> String {
    searched.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

impl SearchPlaces {
    /// The places of a program: `plugins` beside the executable's own folder (`x/plugins` for `x/bin/micro`), the folders of `MICRO_PLUGIN_PATH`, and the user's
    /// own folder (`$MICRO_HOME/plugins`, or else `micro/plugins` in the XDG data folder).
    pub fn from_env(
        executable: Option<&Path>,
        working: PathBuf,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let beside = executable.and_then(Path::parent).and_then(Path::parent).map(|it| it.join("plugins"));
        let listed = set("MICRO_PLUGIN_PATH").unwrap_or_default();
        let listed = std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty());
        let home = || Some(PathBuf::from(set("HOME")?).join(".local/share"));
        let data = || set("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute()).or_else(home);
        let user = match set("MICRO_HOME") {
            Some(home) => Some(PathBuf::from(home).join("plugins")),
            None => data().map(|data| data.join("micro/plugins")),
        };
        Self { working, folders: beside.into_iter().chain(listed).chain(user).collect() }
    }

    /// All plugins of a kind in the plugin folders, in the order in which they are preferred.
    pub fn installed(&self, kind: Kind) -> Vec<PathBuf> {
        let suffix = format!("-{}.wasm", kind.suffix());
        let mut found = Vec::new();
        // A folder that is not there has no plugins in it.
        for folder in self.folders.iter().filter_map(|folder| folder.read_dir().ok()) {
            let files = folder.filter_map(|entry| Some(entry.ok()?.path()));
            let mut files: Vec<PathBuf> = files
                .filter(|path| {
                    path.file_name().and_then(|it| it.to_str()).is_some_and(|it| it.ends_with(&suffix))
                })
                .collect();
            files.sort_unstable();
            found.append(&mut files);
        }
        found
    }

    /// The file of a plugin.
    ///
    /// # Errors
    /// It is nowhere.
    pub fn find(&self, locator: &Locator, kind: Kind) -> Result<PathBuf, NotFound> {
        let searched: Vec<PathBuf> = match &locator.target {
            Target::Path(path) => vec![self.working.join(path)],
            Target::File(name) => {
                std::iter::once(&self.working).chain(&self.folders).map(|folder| folder.join(name)).collect()
            }
            Target::Name(name) => {
                let name = canonical(kind, name);
                let suffix = format!("-{}", kind.suffix());
                let stem = name.strip_suffix(&suffix).unwrap_or(name);
                self.folders.iter().map(|folder| folder.join(format!("{stem}{suffix}.wasm"))).collect()
            }
        };
        match searched.iter().find(|path| path.is_file()) {
            Some(found) => Ok(found.clone()),
            None => Err(NotFound { wanted: locator.to_string(), kind, searched }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_gives_the_order() {
        let env = |name: &str| match name {
            "MICRO_PLUGIN_PATH" => Some("/a::/b".into()),
            "HOME" => Some("/home/x".into()),
            "XDG_DATA_HOME" => Some("relative".into()),
            _ => None,
        };
        let places = SearchPlaces::from_env(Some(Path::new("/opt/micro/bin/micro")), "/work".into(), env);
        let expected = ["/opt/micro/plugins", "/a", "/b", "/home/x/.local/share/micro/plugins"];
        assert_eq!(places.folders, expected.map(PathBuf::from));
        let env = |name: &str| (name == "MICRO_HOME").then(|| "/m".into());
        assert_eq!(SearchPlaces::from_env(None, "/".into(), env).folders, [PathBuf::from("/m/plugins")]);
    }

    #[test]
    fn files_are_found_where_they_should_be() {
        let root = std::env::temp_dir().join(format!("micro-places-{}", std::process::id()));
        let (working, folder) = (root.join("w"), root.join("f"));
        std::fs::create_dir_all(&working).expect("writable");
        std::fs::create_dir_all(&folder).expect("writable");
        std::fs::write(folder.join("etcd-registry.wasm"), "").expect("writable");
        std::fs::write(working.join("x.wasm"), "").expect("writable");
        let places =
            SearchPlaces { working: working.clone(), folders: vec![root.join("none"), folder.clone()] };
        let find = |text: &str| places.find(&text.parse().expect(text), Kind::Registry);

        for name in ["etcd", "etcdv3", "etcd-registry", "etcd-registry.wasm"] {
            assert_eq!(find(name), Ok(folder.join("etcd-registry.wasm")), "{name}");
        }
        assert_eq!(find("x.wasm"), Ok(working.join("x.wasm")));
        assert_eq!(find("../f/etcd-registry.wasm"), Ok(working.join("../f/etcd-registry.wasm")));
        assert_eq!(places.installed(Kind::Registry), [folder.join("etcd-registry.wasm")]);
        assert!(places.installed(Kind::Broker).is_empty());
        let error = find("consul").expect_err("not there").to_string();
        assert!(
            error.contains("none/consul-registry.wasm") && error.contains("f/consul-registry.wasm"),
            "{error}"
        );
        std::fs::remove_dir_all(root).expect("ours");
    }
}
