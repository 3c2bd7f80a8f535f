//! The files of the local registry: written atomically, read with doubt. Everything here blocks.

use super::folder;
use super::host::{Moment, Origin};
use super::record::{Life, ReadError, Record, SIZE_LIMIT, file_name};
use micro_core::Service;
use micro_core::registry::merge;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirEntry, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// Files in the making start so. Leading dots keep them out of every listing.
const TEMPORARY: &str = ".micro-";
/// Age after which the writer of a temporary file is thought dead.
const ABANDONED: Duration = Duration::from_secs(60);

/// The folder, and what was read from it last.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    here: Origin,
    known: HashMap<String, Known>,
}

/// Everything that counts now.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) services: BTreeMap<String, Vec<Service>>,
    /// How long until the first record expires.
    pub(super) expires: Option<Duration>,
}

/// A file that was read, and what tells it from its successor.
#[derive(Debug)]
struct Known {
    stamp: Stamp,
    /// None: it is no record, and that was said.
    record: Option<Record>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Store {
    pub(super) fn new(folder: PathBuf, here: Origin) -> Self {
        Self { folder, here, known: HashMap::new() }
    }

    /// Reads what changed since the last call and tells what counts now. A folder that is not there is empty.
    pub(super) fn scan(&mut self) -> io::Result<Scan> {
        let now = Moment::now();
        let mut seen = HashMap::with_capacity(self.known.len());
        let mut live = BTreeMap::new();
        let mut expires: Option<Duration> = None;
        for (name, file) in self.files()? {
            let stamp = Stamp::of(&file);
            let known = match self.known.remove(&name) {
                Some(known) if known.stamp == stamp => known,
                _ => match self.read(&name) {
                    Some(record) => Known { stamp, record },
                    None => continue,
                },
            };
            if let Some(record) = &known.record {
                match record.life(&self.here, now) {
                    Life::Live(left) => {
                        expires = expires.into_iter().chain(left).min();
                        let node = record.service.nodes.first().map(|node| node.id.clone());
                        live.insert((record.service.name.clone(), node), record.service.clone());
                    }
                    Life::Over { sweep } => {
                        if sweep {
                            self.sweep(&name, stamp);
                        }
                        // Not kept: a file that could not be removed is judged anew next time.
                        continue;
                    }
                }
            }
            seen.insert(name, known);
        }
        self.known = seen;
        let mut services: BTreeMap<String, Vec<Service>> = BTreeMap::new();
        for ((name, _), service) in live {
            services.entry(name).or_default().push(service);
        }
        services.values_mut().for_each(|records| *records = merge(std::mem::take(records)));
        Ok(Scan { services, expires })
    }

    /// The ordinary files that may be records.
    fn files(&self) -> io::Result<Vec<(String, Metadata)>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            // Does not follow links. Opening a pipe could wait for ever. A file that just vanished is none.
            let Ok(file) = entry.metadata() else { continue };
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !file.is_file() {
                continue;
            }
            if name.starts_with(TEMPORARY) {
                remove_abandoned(&entry, &file);
            } else if name.ends_with(".json") && !name.starts_with('.') {
                files.push((name, file));
            }
        }
        Ok(files)
    }

    /// The record in a file; inner none, with one warning, if it is none; outer none if the file vanished.
    fn read(&self, name: &str) -> Option<Option<Record>> {
        let path = self.folder.join(name);
        match read_limited(&path).and_then(|text| Record::from_json(name, &text)) {
            Ok(record) => Some(Some(record)),
            Err(ReadError::Io(error)) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a file in the local registry is ignored");
                Some(None)
            }
        }
    }

    /// Removes the file of a record that is over, unless its owner has just written a new one: the file is taken aside
    /// first and put back when it is not the one that was judged.
    fn sweep(&self, name: &str, judged: Stamp) {
        let (path, aside) = (self.folder.join(name), temporary(&self.folder));
        let swept = fs::rename(&path, &aside).and_then(|()| {
            if Stamp::of(&fs::symlink_metadata(&aside)?) != judged {
                // Fails if there is a still newer one; that is fine.
                let _ = fs::hard_link(&aside, &path);
            }
            fs::remove_file(&aside)
        });
        if let Err(error) = swept {
            tracing::debug!(path = %path.display(), %error, "an expired record stays");
        }
    }
}

/// Writes a record in one step: readers see the old file or the new one.
pub(super) fn write(folder: &Path, record: &Record, node: &str) -> io::Result<()> {
    let text = record.to_json()?;
    if text.len() as u64 > SIZE_LIMIT {
        let problem = format!("the record of node {node:?} is larger than {SIZE_LIMIT} bytes");
        return Err(io::Error::new(ErrorKind::InvalidInput, problem));
    }
    folder::prepare(folder)?;
    let temporary = temporary(folder);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(&text))
        .and_then(|()| fs::rename(&temporary, folder.join(file_name(&record.service.name, node))));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Removes a node's record, if it is there.
pub(super) fn remove(folder: &Path, service: &str, node: &str) -> io::Result<()> {
    match fs::remove_file(folder.join(file_name(service, node))) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self { inode: file.ino(), size: file.size(), modified: (file.mtime(), file.mtime_nsec()) }
    }
}

fn temporary(folder: &Path) -> PathBuf {
    folder.join(format!("{TEMPORARY}{}", Uuid::new_v4().simple()))
}

fn remove_abandoned(entry: &DirEntry, file: &Metadata) {
    let age = file.modified().ok().and_then(|modified| modified.elapsed().ok());
    if age.is_some_and(|age| age > ABANDONED) {
        let _ = fs::remove_file(entry.path());
    }
}

fn read_limited(path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut text = Vec::new();
    fs::File::open(path)?.take(SIZE_LIMIT + 1).read_to_end(&mut text)?;
    if text.len() as u64 > SIZE_LIMIT { Err(ReadError::Size) } else { Ok(text) }
}
