//! Which folder the local registry uses.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The part of a process's surroundings that decides where the registry's folder is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `MICRO_HOME`.
    pub micro_home: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub state_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// Where temporary files go: the last resort of users without a home.
    pub temp: PathBuf,
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        Self {
            micro_home: variable("MICRO_HOME"),
            state_home: variable("XDG_STATE_HOME"),
            home: variable("HOME"),
            temp: std::env::temp_dir(),
        }
    }

    /// `$MICRO_HOME/registry`, else `micro/registry` in the user's state folder (XDG Base Directory Specification:
    /// `$XDG_STATE_HOME`, else `~/.local/state`; relative paths do not count), else a folder of the user's own among
    /// the temporary files.
    pub fn registry_folder(&self) -> PathBuf {
        let given = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        let absolute = |path: &Option<PathBuf>| given(path).filter(|path| path.is_absolute());
        if let Some(home) = given(&self.micro_home) {
            return home.join("registry");
        }
        let state = absolute(&self.state_home).or_else(|| Some(absolute(&self.home)?.join(".local/state")));
        match state {
            Some(state) => state.join("micro/registry"),
            // One level only: what is directly in a sticky folder cannot be replaced by other users.
            None => self.temp.join(format!("micro-registry-{}", rustix::process::geteuid().as_raw())),
        }
    }
}

/// Creates the folder, for this user only, if it is not there. One that belongs to somebody else is refused: whoever
/// owns it decides where calls go.
pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let (owner, user) = (fs::metadata(folder)?.uid(), rustix::process::geteuid().as_raw());
    if owner == user || owner == 0 || user == 0 {
        return Ok(());
    }
    let problem = format!("it belongs to user {owner}, not to {user}; choose another with MICRO_HOME");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(micro_home: &str, state_home: &str, home: &str) -> PathBuf {
        let path = |text: &str| Some(PathBuf::from(text));
        let temp = PathBuf::from("/tmp");
        Environment { micro_home: path(micro_home), state_home: path(state_home), home: path(home), temp }
            .registry_folder()
    }

    #[test]
    fn the_first_usable_place_counts() {
        assert_eq!(folder("/m", "/s", "/h"), Path::new("/m/registry"));
        assert_eq!(folder("m", "/s", "/h"), Path::new("m/registry"));
        assert_eq!(folder("", "/s", "/h"), Path::new("/s/micro/registry"));
        assert_eq!(folder("", "s", "/h"), Path::new("/h/.local/state/micro/registry"));
        let last = folder("", "", "");
        assert!(last.starts_with("/tmp") && last.components().count() == 3, "{last:?}");
    }

    #[test]
    fn a_new_folder_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = home.path().join("a/b");
        prepare(&folder).expect("create");
        prepare(&folder).expect("keep");
        assert_eq!(fs::metadata(&folder).expect("there").permissions().mode() & 0o777, 0o700);
    }
}
