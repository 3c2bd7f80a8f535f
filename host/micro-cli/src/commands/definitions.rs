//! What files say of services: proto files, or what a compiler made of them.

use crate::args::DefinitionArgs;
use crate::failure::Next;
use anyhow::Context;
use micro::grpc::Descriptors;
use micro_core::Code;
use std::path::{Path, PathBuf};

/// The definitions in the files; none without files.
pub(super) fn read(arguments: &DefinitionArgs) -> anyhow::Result<Option<Descriptors>> {
    if let Some(file) = &arguments.descriptor_set {
        let next = "protoc --include_imports --descriptor_set_out=FILE service.proto writes such a file";
        let bytes = std::fs::read(file)
            .with_context(|| format!("cannot read {}", file.display()))
            .next_as(Code::VALUE, next)?;
        return Ok(Some(Descriptors::decode(&bytes).next_as(Code::VALUE, next)?));
    }
    if arguments.proto.is_empty() {
        return Ok(None);
    }
    let here = Path::new(".");
    let folder =
        |file: &PathBuf| file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(here).to_owned();
    let folders: Vec<PathBuf> = match &*arguments.proto_path {
        [] => arguments.proto.iter().map(folder).collect(),
        given => given.to_vec(),
    };
    let next = "check the file, and name the folders of what it imports with --proto_path";
    let compiled = compile(&arguments.proto, &folders);
    let compiled = compiled.map_err(|error| anyhow::anyhow!("{error}")).next_as(Code::VALUE, next)?;
    // Encoded, because options of methods are lost in the generated types.
    Ok(Some(Descriptors::decode(&compiled).next_as(Code::VALUE, next)?))
}

fn compile(files: &[PathBuf], folders: &[PathBuf]) -> Result<Vec<u8>, protox::Error> {
    let mut compiler = micro_rest::compiler(folders)?;
    compiler.include_imports(true).open_files(files)?;
    Ok(compiler.encode_file_descriptor_set())
}
