//! Compiled plugins, kept between runs.
//!
//! A `.cwasm` is machine code that runs with the host's rights, so only files are used that this user wrote and nobody
//! else can write: the folder is private, each entry has the digest of its content beside it, and anything that does
//! not fit is compiled again, with a warning. Entries are written under another name and renamed, never in place:
//! another process may be reading them.

use micro_plugin::Digest;
use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Permission bits of anybody but the owner.
const OTHERS: u32 = 0o077;
/// No compiled plugin is larger.
const MAX_BYTES: u64 = 1 << 30;

/// The folder of compiled plugins.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    folder: Option<PathBuf>,
}

/// An entry that is there and must not be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{path} belongs to user {owner}, not to this one")]
    Owner { path: String, owner: u32 },
    #[error("{path} can be changed or read by others (mode {mode:o})")]
    Mode { path: String, mode: u32 },
    #[error("{path} is not a plain file or folder")]
    Type { path: String },
    #[error("its content is not what was written")]
    Content,
    #[error("wasmtime does not accept it: {0}")]
    Engine(wasmtime::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Cache {
    /// A cache in `folder`; none keeps nothing.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// The component, from the cache or compiled and put there. Blocks for as long as compiling takes: 0.2 s for a
    /// small plugin, 10 s for one in Python.
    pub(crate) fn component(
        &self,
        engine: &Engine,
        wasm: &[u8],
        digest: Digest,
    ) -> wasmtime::Result<Component> {
        let file = self.folder.as_ref().map(|folder| folder.join(entry(engine, digest)));
        if let Some(file) = &file {
            match load(engine, file) {
                Ok(Some(component)) => return Ok(component),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(file = %file.display(), %error, "compiled plugin not used, compiling again")
                }
            }
        }
        let component = Component::from_binary(engine, wasm)?;
        if let Some(file) = &file
            && let Err(error) =
                component.serialize().map_err(io::Error::other).and_then(|code| store(file, &code))
        {
            tracing::warn!(file = %file.display(), %error, "compiled plugin not kept, the next start compiles again");
        }
        Ok(component)
    }
}

/// Another wasmtime, another configuration, another processor or another host version is another entry.
fn entry(engine: &Engine, digest: Digest) -> String {
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    format!("{digest}-{:016x}-{}.cwasm", compatibility.finish(), env!("CARGO_PKG_VERSION"))
}

fn load(engine: &Engine, file: &Path) -> Result<Option<Component>, Unusable> {
    let Some(folder) = file.parent() else { return Ok(None) };
    if let Err(Unusable::Io(error)) = private(folder, true)
        && error.kind() == io::ErrorKind::NotFound
    {
        return Ok(None);
    }
    private(folder, true)?;
    let code = match read(file) {
        Err(Unusable::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        code => code?,
    };
    let expected = read(&digest_file(file))?;
    if Digest::of(&code).to_string().as_bytes() != expected.trim_ascii() {
        return Err(Unusable::Content);
    }
    // SAFETY: this is code that `store` wrote for this user: the folder and the file belong to us, nobody else may
    // write them, and the content, which we hold in memory, has the digest that was noted when it was written.
    // wasmtime itself checks that it was compiled by this version with this configuration.
    #[allow(unsafe_code, reason = "loading precompiled code is unsafe by nature; see the comment above")]
    let component = unsafe { Component::deserialize(engine, &code) };
    component.map(Some).map_err(Unusable::Engine)
}

/// Refuses what does not belong to this user alone.
fn private(path: &Path, folder: bool) -> Result<(), Unusable> {
    check(path, &fs::symlink_metadata(path)?, folder)
}

fn check(path: &Path, metadata: &fs::Metadata, folder: bool) -> Result<(), Unusable> {
    let path = || path.display().to_string();
    let right_type = if folder { metadata.is_dir() } else { metadata.is_file() };
    if !right_type {
        return Err(Unusable::Type { path: path() });
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Unusable::Owner { path: path(), owner: metadata.uid() });
    }
    match metadata.mode() & OTHERS {
        0 => Ok(()),
        _ => Err(Unusable::Mode { path: path(), mode: metadata.mode() & 0o7777 }),
    }
}

/// Opens first and checks what was opened, so that nothing can be exchanged in between.
fn read(file: &Path) -> Result<Vec<u8>, Unusable> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(no_follow).open(file)?;
    check(file, &opened.metadata()?, false)?;
    let mut content = Vec::new();
    opened.take(MAX_BYTES).read_to_end(&mut content)?;
    Ok(content)
}

/// Writes the entry and its digest. A crash in between leaves an entry that does not fit and is written again.
fn store(file: &Path, code: &[u8]) -> io::Result<()> {
    let folder = file.parent().ok_or(io::ErrorKind::InvalidInput)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    private(folder, true).map_err(io::Error::other)?;
    replace(&digest_file(file), Digest::of(code).to_string().as_bytes())?;
    replace(file, code)
}

fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let unfinished = file.with_extension(format!("{}-{number}.tmp", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut opened| opened.write_all(content))
        .and_then(|()| fs::rename(&unfinished, file));
    if written.is_err() {
        // What cannot be written can often be removed; if not, the next error says why.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn digest_file(file: &Path) -> PathBuf {
    file.with_extension("sha256")
}
