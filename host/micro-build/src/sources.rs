//! The definitions that code is generated from.

use crate::error::Error;
use crate::json::is_google;
use prost::bytes::BufMut;
use protox::prost_reflect::{DescriptorPool, FileDescriptor, Kind, MessageDescriptor};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Options of rpcs and fields are defined in this package, and hardly anything else.
const OPTIONS: &str = "google.api";

/// Proto files and what they import, compiled.
pub(crate) struct Sources {
    /// With comments.
    pub(crate) pool: DescriptorPool,
    /// Each file without its comments, encoded with all its options.
    bare: BTreeMap<String, Vec<u8>>,
    /// The files that were read.
    pub(crate) inputs: Vec<PathBuf>,
    /// The packages that are generated; all when empty.
    only: BTreeSet<String>,
}

impl Sources {
    /// Compiles files and what they import.
    pub(crate) fn compile(protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<Self, Error> {
        // The `Debug` form has the line and column that `Display` leaves out.
        let refuse = |error: protox::Error| Error::Compile(format!("{error:?}"));
        let mut compiler = micro_rest::compiler(includes).map_err(refuse)?;
        compiler.include_source_info(true).include_imports(true);
        compiler.open_files(protos.iter().map(AsRef::as_ref)).map_err(refuse)?;
        let inputs = compiler.files().filter_map(|file| file.path().map(Path::to_owned)).collect();
        let pool = compiler.descriptor_pool();
        compiler.include_source_info(false);
        let bare = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice());
        let bare = bare.map_err(|error| Error::Compile(error.to_string()))?;
        Ok(Self { pool, bare: encoded(&bare), inputs, only: BTreeSet::new() })
    }

    /// From encoded `FileDescriptorProto`s, each behind those it imports. Only the packages of `wanted` files are
    /// generated.
    pub(crate) fn decode(files: &[Vec<u8>], wanted: &[String]) -> Result<Self, Error> {
        let mut set = Vec::new();
        for file in files {
            put_file(&mut set, file);
        }
        let refuse = |error: protox::prost_reflect::DescriptorError| Error::Compile(format!("{error:?}"));
        let pool = DescriptorPool::decode(set.as_slice()).map_err(refuse)?;
        let mut only = BTreeSet::new();
        for name in wanted {
            let file = pool.get_file_by_name(name);
            let file =
                file.ok_or_else(|| Error::Compile(format!("{name} is to be generated, and is not there")))?;
            only.insert(file.package_name().to_owned());
        }
        Ok(Self { bare: encoded(&pool), pool, inputs: Vec::new(), only })
    }

    /// The packages that are generated.
    pub(crate) fn packages(&self) -> BTreeSet<String> {
        let all = self.pool.files().map(|file| file.package_name().to_owned());
        let wanted = |package: &String| {
            let options = package == OPTIONS && !self.options_are_used();
            !is_google(package) && !options && (self.only.is_empty() || self.only.contains(package))
        };
        all.filter(wanted).collect()
    }

    /// Whether messages of the package of options are more than that to somebody (`google.api.HttpBody`).
    fn options_are_used(&self) -> bool {
        let is_option = |message: &MessageDescriptor| message.package_name() == OPTIONS;
        let others = || self.pool.all_messages().filter(|message| !is_option(message));
        let in_fields = others().flat_map(|message| message.fields().collect::<Vec<_>>()).any(|field| {
            match field.kind() {
                Kind::Message(message) => is_option(&message),
                Kind::Enum(numbers) => numbers.package_name() == OPTIONS,
                _ => false,
            }
        });
        let mut methods = self.pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        in_fields || methods.any(|method| is_option(&method.input()) || is_option(&method.output()))
    }

    /// A file and what it imports as an encoded `FileDescriptorSet`, without the files that everybody has.
    pub(crate) fn set_of(&self, file: &FileDescriptor) -> Vec<u8> {
        fn collect(file: &FileDescriptor, names: &mut Vec<String>) {
            if is_google(file.package_name()) || names.iter().any(|name| name == file.name()) {
                return;
            }
            for import in file.dependencies() {
                collect(&import, names);
            }
            names.push(file.name().to_owned());
        }
        let (mut names, mut set) = (Vec::new(), Vec::new());
        collect(file, &mut names);
        for file in names.iter().filter_map(|name| self.bare.get(name)) {
            put_file(&mut set, file);
        }
        set
    }
}

fn encoded(pool: &DescriptorPool) -> BTreeMap<String, Vec<u8>> {
    pool.files().map(|file| (file.name().to_owned(), file.encode_to_vec())).collect()
}

/// Adds a file to an encoded `FileDescriptorSet`: field 1, which is a message.
fn put_file(set: &mut Vec<u8>, file: &[u8]) {
    prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, set);
    prost::encoding::encode_varint(file.len() as u64, set);
    set.put_slice(file);
}
