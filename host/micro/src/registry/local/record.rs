//! What is in one file of the local registry: a node's record, until when it counts, and who wrote it.

use super::host::{Moment, Origin, Process};
use micro_core::{Service, record};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Files beyond this size are not read, records beyond it not written.
pub(super) const SIZE_LIMIT: u64 = 1 << 20;
/// The form of the files. A newer one is left alone.
const FORMAT: u32 = 1;
/// How long after its end a record of another machine stays, for that machine's clock may differ.
const FOREIGN_CLOCK: Duration = Duration::from_secs(3600);

/// One node's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// With exactly one node.
    pub(super) service: Service,
    /// None: until it is deregistered.
    pub(super) expires: Option<Moment>,
    /// The record ends with this process. None: it does not depend on one.
    pub(super) owner: Option<Process>,
    pub(super) origin: Origin,
}

/// What to make of a record now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It counts, and for this long at most.
    Live(Option<Duration>),
    /// It no longer counts.
    Over {
        /// Whether its file may go, too.
        sweep: bool,
    },
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    #[serde(default)]
    expires: Option<Moment>,
    #[serde(default)]
    owner: Option<Process>,
    #[serde(default)]
    origin: Origin,
    service: Box<RawValue>,
}

/// Why a file is not a record.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("it is not a record: {0}")]
    Shape(#[from] serde_json::Error),
    #[error("its format is {0} and this program knows {FORMAT}")]
    Format(u32),
    #[error("it holds {0} nodes instead of one")]
    Nodes(usize),
    #[error("its name does not fit its content")]
    Name,
    #[error("it is larger than {SIZE_LIMIT} bytes")]
    Size,
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

impl Record {
    pub(super) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&File {
            format: FORMAT,
            expires: self.expires,
            owner: self.owner,
            origin: self.origin.clone(),
            service: RawValue::from_string(record::to_json(&self.service))?,
        })
    }

    /// Reads the content of the file `name`.
    pub(super) fn from_json(name: &str, text: &[u8]) -> Result<Self, ReadError> {
        let file: File = serde_json::from_slice(text)?;
        if file.format != FORMAT {
            return Err(ReadError::Format(file.format));
        }
        let service = record::from_json(file.service.get().as_bytes())?;
        let [node] = service.nodes.as_slice() else {
            return Err(ReadError::Nodes(service.nodes.len()));
        };
        // A copy under another name would be a second truth about one node.
        if file_name(&service.name, &node.id) != name {
            return Err(ReadError::Name);
        }
        Ok(Self { service, expires: file.expires, owner: file.owner, origin: file.origin })
    }

    pub(super) fn life(&self, here: &Origin, now: Moment) -> Life {
        if self.owner.is_some_and(|owner| self.origin.has_ended(owner, here)) {
            return Life::Over { sweep: true };
        }
        let shared = self.origin.shares_boot(here);
        match self.expires.map(|end| end.left(now, shared)) {
            None => Life::Live(None),
            Some(Ok(left)) => Life::Live(Some(left)),
            Some(Err(ago)) => Life::Over { sweep: shared || ago > FOREIGN_CLOCK },
        }
    }
}

/// The file of a node: readable first, then digests that tell apart what the readable part does not. Neither name can
/// lead out of the folder or become too long.
pub(super) fn file_name(service: &str, node: &str) -> String {
    let readable: String = service.chars().take(60).map(readable).collect();
    let digest = Sha256::new().chain_update((service.len() as u64).to_be_bytes()).chain_update(service);
    let digest: [u8; 32] = digest.chain_update(node).finalize().into();
    let digest: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{readable}-{digest}.json")
}

/// Lower case, since some file systems do not tell cases apart; no leading dot either, which means hidden.
fn readable(letter: char) -> char {
    if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' }
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro_core::Node;

    fn record(expires: Option<Moment>, owner: Option<Process>, origin: Origin) -> Record {
        let node = Node { id: "n".into(), address: "127.0.0.1:1".into(), ..Node::default() };
        let service = Service { name: "a".into(), nodes: vec![node], ..Service::default() };
        Record { service, expires, owner, origin }
    }

    #[test]
    fn records_read_back() {
        let end = Moment::now().after(Duration::from_secs(1));
        let written = record(Some(end), Some(Process::this()), Origin::here());
        let text = written.to_json().expect("serializes");
        assert_eq!(Record::from_json(&file_name("a", "n"), &text).expect("valid"), written);
        assert!(matches!(Record::from_json("other.json", &text), Err(ReadError::Name)));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let name = file_name("a", "n");
        let file = |format: u32, nodes: &str| {
            format!(r#"{{"format":{format},"service":{{"name":"a","nodes":{nodes}}}}}"#)
        };
        assert!(Record::from_json(&name, file(1, r#"[{"id":"n"}]"#).as_bytes()).is_ok());
        let newer = file(2, r#"[{"id":"n"}]"#);
        let nobody = file(1, "[]");
        for text in ["", "null", "{}", r#"{"format":1}"#, &newer, &nobody, "\0\0\0", &newer[..20]] {
            assert!(Record::from_json(&name, text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn file_names_are_safe_and_distinct() {
        let long = "x".repeat(10_000);
        let names = ["a", "A", "a/b", "a_b", "../../etc", ".hidden", "", "日本", "a\0b", &long];
        let mut seen = std::collections::BTreeSet::new();
        for service in names {
            for node in names {
                let name = file_name(service, node);
                assert!(name.len() < 110 && !name.starts_with('.') && !name.contains(['/', '\0']), "{name}");
                assert!(seen.insert(name), "{service:?} {node:?}");
            }
        }
        assert_ne!(file_name("ab", "c"), file_name("a", "bc"));
    }

    #[test]
    fn records_end_with_their_owner_or_their_time() {
        let (here, now) = (Origin::here(), Moment::now());
        let end = now.after(Duration::from_secs(1));
        let later = end.after(Duration::from_millis(1));
        let live = record(Some(end), Some(Process::this()), here.clone());
        assert_eq!(live.life(&here, now), Life::Live(Some(Duration::from_secs(1))));
        assert!(matches!(live.life(&here, later), Life::Over { .. }));
        assert_eq!(record(None, None, here.clone()).life(&here, later), Life::Live(None));
        let elsewhere = record(Some(end), Some(Process::this()), Origin::default());
        assert_eq!(elsewhere.life(&here, now), Life::Live(Some(Duration::from_secs(1))));
        assert_eq!(elsewhere.life(&here, later), Life::Over { sweep: false });
        let much_later = later.after(FOREIGN_CLOCK * 2);
        assert_eq!(elsewhere.life(&here, much_later), Life::Over { sweep: true });
    }
}
