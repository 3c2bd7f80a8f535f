//! C: bindings from the plugin's WIT, clang for wasm32-wasi, and a component around what comes out.
//!
//! Functions that are async in the WIT are lifted and called synchronously: C has no way to suspend. The C library is
//! wasi-libc, whose system calls are those of WASI preview 1; the adapter turns the ones that are used into imports of
//! WASI 0.2. A plugin that uses none imports nothing.

use super::Project;
use crate::error::Error;
use crate::{tool, wit};
use std::path::{Path, PathBuf};
use std::process::Command;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

/// What scaffolds call their file.
const ENTRY: &str = "plugin.c";
/// Where the bindings are written, for compilers and editors.
pub(crate) const GENERATED: &str = "generated";
/// The oldest clang that was tried.
pub(crate) const OLDEST: u32 = 14;

/// What a person would type to install it.
pub(crate) const INSTALL: &str = "apt-get install clang lld wasi-libc libclang-rt-dev-wasm32";

/// The compiler: of the WASI SDK where `WASI_SDK_PATH` names one, else the system's.
pub(crate) fn find() -> Option<PathBuf> {
    let sdk = std::env::var_os("WASI_SDK_PATH").map(|path| Path::new(&path).join("bin"));
    tool::find("clang", &sdk.into_iter().collect::<Vec<_>>())
}

/// Whether `clang` can link a program for WASI: it needs a linker, a C library and its own runtime for this target.
pub(crate) fn complete(clang: &Path) -> Result<(), Error> {
    let fail = |error| {
        Error::new("cannot make a temporary folder", "see to it that TMPDIR can be used").caused(error)
    };
    let scratch = tempfile::tempdir().map_err(fail)?;
    let source = scratch.path().join("empty.c");
    let text = "#include <stdlib.h>\nint answer(void) { return abs(42); }\n";
    std::fs::write(&source, text).map_err(|error| Error::io("write", &source, error))?;
    let mut command = compiler(clang);
    command.arg(&source).arg("-o").arg(scratch.path().join("empty.wasm"));
    tool::run(&mut command, INSTALL)
}

fn compiler(clang: &Path) -> Command {
    let mut command = Command::new(clang);
    command.args([
        "--target=wasm32-wasi",
        "-mexec-model=reactor",
        "-O2",
        "-std=gnu11",
        "-Wall",
        "-Wl,--strip-debug",
    ]);
    command
}

pub(super) fn build(project: &Project<'_>) -> Result<(Vec<u8>, String), Error> {
    let entry = project.entry(ENTRY)?;
    let wit =
        std::path::absolute(project.wit()?).map_err(|error| Error::io("find", project.folder, error))?;
    let missing = || Error::new("clang is not installed", format!("{INSTALL} (or set WASI_SDK_PATH)"));
    let clang = find().ok_or_else(missing)?;
    let version = tool::version(&clang, "--version").unwrap_or_default();

    let (mut resolve, world) = parse(&wit)?;
    let generated = project.folder.join(GENERATED);
    std::fs::create_dir_all(&generated).map_err(|error| Error::io("make", &generated, error))?;
    for (name, content) in generate(&mut resolve, world)? {
        let file = generated.join(name);
        std::fs::write(&file, content).map_err(|error| Error::io("write", &file, error))?;
    }

    let scratch = project.scratch()?;
    let out = scratch.path().join("module.wasm");
    let mut command = compiler(&clang);
    command.arg(&entry).arg(format!("{GENERATED}/{}.c", wit::WORLD));
    for folder in ["vendor/micro/src", "src"] {
        command.args(sources(project.folder, folder)?);
    }
    command.args(["-I.", &format!("-I{GENERATED}"), "-Ivendor/micro/include", "-o"]).arg(&out);
    tool::run(command.current_dir(project.folder), "correct what clang says above")?;
    let module = super::read(&out)?;
    let component = component(module, &resolve, world)?;
    Ok((component, format!("clang {version}")))
}

/// The C files of a folder, in their order; none where it is missing.
fn sources(project: &Path, folder: &str) -> Result<Vec<String>, Error> {
    let path = project.join(folder);
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = entries.map_err(|error| Error::io("list", &path, error))?;
    let names = entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok());
    let mut files: Vec<_> =
        names.filter(|name| name.ends_with(".c")).map(|name| format!("{folder}/{name}")).collect();
    files.sort();
    Ok(files)
}

fn parse(folder: &Path) -> Result<(Resolve, WorldId), Error> {
    let wrong = |why: String| {
        Error::new(format!("the contracts in {} are wrong: {why}", folder.display()), "correct them")
    };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder).map_err(|error| wrong(format!("{error:#}")))?;
    let world = resolve.select_world(&[package], Some(wit::WORLD));
    let world = world.map_err(|error| wrong(format!("{error:#}")))?;
    Ok((resolve, world))
}

/// The bindings of a world: their names and contents.
fn generate(resolve: &mut Resolve, world: WorldId) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut options = wit_bindgen_c::Opts { no_object_file: true, ..wit_bindgen_c::Opts::default() };
    options.async_.push("all");
    let mut files = wit_bindgen_core::Files::default();
    options.build().generate(resolve, world, &mut files).map_err(|error| {
        Error::new(format!("cannot make C bindings: {error:#}"), "report this: the contracts are ours")
    })?;
    Ok(files.iter().map(|(name, content)| (name.to_owned(), content.to_vec())).collect())
}

/// The bindings for the contracts in a folder.
pub(crate) fn bindings(wit: &Path) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let (mut resolve, world) = parse(wit)?;
    generate(&mut resolve, world)
}

fn component(mut module: Vec<u8>, resolve: &Resolve, world: WorldId) -> Result<Vec<u8>, Error> {
    let mut encode = || {
        embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8, false)?;
        ComponentEncoder::default()
            .module(&module)?
            .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?
            .validate(true)
            .encode()
    };
    encode().map_err(|error| {
        let next = "every function of the contract must be defined; see generated/component.h";
        Error::new(format!("what clang made does not become a component: {error:#}"), next)
    })
}
