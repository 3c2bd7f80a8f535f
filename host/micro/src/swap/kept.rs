//! Swaps that were written down (`micro plugin swap --persist`), so that the next start of the service repeats them.
//!
//! One JSON file for all services of a user. An entry belongs to a service, a kind of plugin and the locator that the
//! configuration had when the swap was made; a start whose configuration says something else leaves it alone.

use crate::registry::Environment;
use micro_plugin::locator::Target;
use micro_plugin::{Digest, Kind, Locator};
use micro_wasm::Swapped;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// No list of swaps is longer; what is longer was not written by this program.
const MAX_FILE: u64 = 1 << 20;
const NAME: &str = "swaps.json";

/// The swaps of one service.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    file: PathBuf,
    service: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    swaps: Vec<Entry>,
}

/// One swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    service: String,
    kind: Kind,
    /// Its name, for people who read the file.
    plugin: String,
    /// What the configuration named.
    configured: String,
    /// What to use in its place.
    pub(crate) locator: String,
    /// SHA-256 of the file when it was swapped in.
    pub(crate) digest: String,
    /// Seconds since 1970.
    at: u64,
}

impl Kept {
    /// The swaps of `service`, in `$MICRO_HOME/swaps.json`, or else `micro/swaps.json` in the user's state folder.
    /// None for users without either.
    pub(crate) fn new(environment: &Environment, service: &str) -> Option<Self> {
        let given = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        let absolute = |path: &Option<PathBuf>| given(path).filter(|path| path.is_absolute());
        let state = || {
            let home = || Some(absolute(&environment.home)?.join(".local/state"));
            Some(absolute(&environment.state_home).or_else(home)?.join("micro"))
        };
        let folder = given(&environment.micro_home).or_else(state)?;
        Some(Self { file: folder.join(NAME), service: service.to_owned() })
    }

    /// Where it is written.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The swap that a plugin of the configuration was replaced by. A file that cannot be read is a warning: the
    /// configuration still holds.
    pub(crate) fn find(&self, kind: Kind, configured: &str) -> Option<Entry> {
        self.of(kind).into_iter().find(|entry| entry.configured == configured)
    }

    /// Says which swaps of a kind have no effect, because the configuration names none of what they replaced.
    pub(crate) fn warn_of_others(&self, kind: Kind, configured: &[String]) {
        for entry in self.of(kind).iter().filter(|entry| !configured.contains(&entry.configured)) {
            tracing::warn!(
                file = %self.file.display(), was = entry.configured, is = configured.join(","), locator = entry.locator,
                "a swap that was written down is for another --{kind} and has no effect"
            );
        }
    }

    fn of(&self, kind: Kind) -> Vec<Entry> {
        let mut entries = match read(&self.file) {
            Ok(content) => content.swaps,
            Err(error) => {
                tracing::warn!(file = %self.file.display(), %error, "cannot read which swaps were written down");
                return Vec::new();
            }
        };
        entries.retain(|entry| entry.service == self.service && entry.kind == kind);
        entries
    }

    /// Writes a swap down, or forgets an earlier one when the swap went back to what the configuration names.
    pub(crate) fn keep(&self, swapped: &Swapped) -> io::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Another process may be writing too. The lock ends with the file that holds it.
        let lock = private(&self.file.with_extension("lock"))?;
        lock.lock()?;
        let mut content = read(&self.file)?;
        content.swaps.retain(|entry| {
            entry.service != self.service
                || entry.kind != swapped.kind
                || entry.configured != swapped.configured
        });
        if swapped.locator != swapped.configured {
            content.swaps.push(Entry {
                service: self.service.clone(),
                kind: swapped.kind,
                plugin: swapped.plugin.clone(),
                configured: swapped.configured.clone(),
                locator: anywhere(swapped),
                digest: swapped.to.digest.clone(),
                at: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs(),
            });
        }
        let new = self.file.with_extension("new");
        let mut text = serde_json::to_vec_pretty(&content)?;
        text.push(b'\n');
        let mut file = private(&new)?;
        file.set_len(0)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, &self.file)
    }
}

/// The locator of a swap in a form that means the same in every working directory.
fn anywhere(swapped: &Swapped) -> String {
    let pinned =
        |digest: Option<Digest>| digest.map(|digest| format!("@sha256:{digest}")).unwrap_or_default();
    match swapped.locator.parse() {
        Ok(Locator { target: Target::Name(name), digest }) => format!("{name}{}", pinned(digest)),
        Ok(Locator { digest, .. }) => format!("{}{}", swapped.to.file.display(), pinned(digest)),
        // It was loaded, so this is not reached.
        Err(_) => swapped.to.file.display().to_string(),
    }
}

fn private(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file)
}

fn read(file: &Path) -> io::Result<Content> {
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    opened.take(MAX_FILE).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro_wasm::Version;

    fn kept(folder: &Path, service: &str) -> Kept {
        let environment = Environment {
            micro_home: Some(folder.to_owned()),
            state_home: None,
            home: None,
            temp: folder.to_owned(),
        };
        Kept::new(&environment, service).expect("there is a home")
    }

    fn swapped(configured: &str, locator: &str) -> Swapped {
        let version = |generation| Version {
            generation,
            digest: "00".to_owned(),
            version: "1".to_owned(),
            file: "/opt/new.wasm".into(),
        };
        Swapped {
            plugin: "etcd-registry".to_owned(),
            kind: Kind::Registry,
            from: version(1),
            to: version(2),
            configured: configured.to_owned(),
            locator: locator.to_owned(),
            took_ms: 1,
        }
    }

    #[test]
    fn a_swap_is_found_again_until_it_is_taken_back() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (greeter, other) = (kept(folder.path(), "greeter"), kept(folder.path(), "other"));
        assert_eq!(greeter.find(Kind::Registry, "etcd"), None);
        greeter.keep(&swapped("etcd", "new.wasm")).expect("writable");
        other.keep(&swapped("etcd", "etcd3")).expect("writable");
        let locator = |kept: &Kept, configured| Some(kept.find(Kind::Registry, configured)?.locator);
        assert_eq!(locator(&greeter, "etcd").as_deref(), Some("/opt/new.wasm"));
        assert_eq!(locator(&other, "etcd").as_deref(), Some("etcd3"));
        assert_eq!((locator(&greeter, "consul"), greeter.find(Kind::Broker, "etcd")), (None, None));
        let pinned = format!("x/new.wasm@sha256:{}", "ab".repeat(32));
        greeter.keep(&swapped("etcd", &pinned)).expect("writable");
        assert_eq!(locator(&greeter, "etcd"), Some(pinned.replace("x/", "/opt/")));
        greeter.keep(&swapped("etcd", "etcd")).expect("writable");
        assert_eq!(greeter.find(Kind::Registry, "etcd"), None);
        assert!(other.find(Kind::Registry, "etcd").is_some());
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let greeter = kept(folder.path(), "greeter");
        fs::write(greeter.file(), "no list").expect("writable");
        assert_eq!(greeter.find(Kind::Registry, "etcd"), None);
        assert!(greeter.keep(&swapped("etcd", "new.wasm")).is_err());
        assert_eq!(fs::read(greeter.file()).expect("there"), b"no list");
    }
}
