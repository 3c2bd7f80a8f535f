//! From proto files to Rust files.

use crate::annotations::Annotations;
use crate::error::Error;
use crate::json::is_google;
use crate::names::tokens;
use crate::package::{self, Scope};
use crate::service::{Generator, allow_dead_code};
use crate::sources::Sources;
use proc_macro2::TokenStream;
use prost_build::{Config, Module};
use protox::prost_reflect::DescriptorPool;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Settings of the code generation.
#[derive(Debug)]
pub struct Builder {
    prost: Config,
    out_dir: Option<PathBuf>,
    include_file: Option<String>,
    serde: bool,
    services: bool,
    micro: String,
    externs: Vec<(String, String)>,
}

/// Generated code, before it is written to files.
#[derive(Debug)]
pub struct Generated {
    /// File name to code; one file per package, named after it.
    pub files: BTreeMap<String, String>,
    /// The proto files that were read.
    pub inputs: Vec<PathBuf>,
}

impl Default for Builder {
    fn default() -> Self {
        let mut prost = Config::new();
        prost.message_attribute(".", allow_dead_code().to_string());
        Self {
            prost,
            out_dir: None,
            include_file: None,
            serde: true,
            services: true,
            micro: "::micro".to_owned(),
            externs: Vec::new(),
        }
    }
}

impl Builder {
    /// Messages with JSON, and services, into `OUT_DIR`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the files go; `OUT_DIR` unless set.
    #[must_use]
    pub fn out_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(folder.into());
        self
    }

    /// Also writes a file of this name that includes all others, each in the modules that its package names.
    #[must_use]
    pub fn include_file(mut self, name: impl Into<String>) -> Self {
        self.include_file = Some(name.into());
        self
    }

    /// Whether messages and enums get their JSON form (default: yes). If not, every message needs `Serialize` and
    /// `Deserialize` from elsewhere, for instance attributes set through [`prost`](Self::prost).
    #[must_use]
    pub fn serde(mut self, generate: bool) -> Self {
        self.serde = generate;
        self
    }

    /// Whether services, and what they need of messages (`micro::Payload`), are generated (default: yes).
    #[must_use]
    pub fn services(mut self, generate: bool) -> Self {
        self.services = generate;
        self
    }

    /// The path of the crate `micro` in the generated code (default: `::micro`), for crates that re-export it.
    #[must_use]
    pub fn micro_path(mut self, path: impl Into<String>) -> Self {
        self.micro = path.into();
        self
    }

    /// Uses types that another crate has generated: `.go.api` is in `::go_api`, say. They are not generated again.
    #[must_use]
    pub fn extern_path(mut self, proto: impl Into<String>, rust: impl Into<String>) -> Self {
        let (proto, rust) = (proto.into(), rust.into());
        self.prost.extern_path(&proto, &rust);
        self.externs.push((proto, rust));
        self
    }

    /// Sets anything else that prost can be told: attributes, `bytes`, types of maps. (With `btree_map` a crate needs
    /// prost among its dependencies: the derive macro of 0.14 looks for it there.)
    #[must_use]
    pub fn prost(mut self, set: impl FnOnce(&mut Config)) -> Self {
        set(&mut self.prost);
        self
    }

    /// Compiles proto files and what they import, and tells cargo which files it read.
    ///
    /// `includes` are the folders where imports are looked up; every proto file lies in one of them.
    ///
    /// # Errors
    /// Those of [`generate`](Self::generate), and files that cannot be written.
    pub fn compile_protos(
        self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<(), Error> {
        let out_dir = self
            .out_dir
            .clone()
            .or_else(|| env::var_os("OUT_DIR").map(PathBuf::from))
            .ok_or(Error::NoOutDir)?;
        let generated = self.generate(protos, includes)?;
        for (name, code) in &generated.files {
            let path = out_dir.join(name);
            write_if_changed(&path, code).map_err(|source| Error::Write { path, source })?;
        }
        tell_cargo(&generated);
        Ok(())
    }

    /// Compiles proto files and what they import, and gives back the code.
    ///
    /// # Errors
    /// [`Error::Compile`] for what is wrong with the proto files; [`Error::Unsupported`] and [`Error::NameClash`] for
    /// what cannot be said in Rust; [`Error::Rule`] and [`Error::RouteClash`] for `google.api.http` options;
    /// [`Error::Path`] and [`Error::Prost`] for settings.
    pub fn generate(
        self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<Generated, Error> {
        let sources = Sources::compile(protos, includes)?;
        self.generate_from(sources)
    }

    /// Generates what a plugin of `protoc` is asked for; see [`plugin`](crate::plugin).
    pub(crate) fn generate_from(mut self, sources: Sources) -> Result<Generated, Error> {
        let micro = tokens(&self.micro).ok_or_else(|| Error::Path(self.micro.clone()))?;
        let Sources { pool, inputs, .. } = &sources;
        let packages = sources.packages();
        if self.services {
            check_methods(pool)?;
        }
        let annotations = match self.services {
            true => Annotations::of(&sources)?,
            false => Annotations::default(),
        };

        let mut modules = self.run_prost(pool, &micro, annotations)?;
        let mut files = BTreeMap::new();
        for package in &packages {
            let scope = Scope { package, micro: &micro, externs: &self.externs };
            if self.services {
                package::check_names(&scope, pool)?;
            }
            let items = package::items(&scope, pool, self.serde, self.services)?;
            if let Some(code) = modules.remove(&Module::from_protobuf_package_name(package)) {
                files.insert(file_name(package), code + &format(package, items)?);
            }
        }
        if let Some(name) = &self.include_file {
            files.insert(name.clone(), include_all(&packages, &files, self.out_dir.is_none()));
        }
        Ok(Generated { files, inputs: inputs.clone() })
    }

    /// The messages and services, by module. prost wants to see `google.protobuf` too, and generates nothing for it.
    fn run_prost(
        &mut self,
        pool: &DescriptorPool,
        micro: &TokenStream,
        annotations: Annotations,
    ) -> Result<HashMap<Module, String>, Error> {
        self.prost.prost_path(format!("{}::prost", self.micro));
        self.prost.prost_types_path(format!("{}::prost_types", self.micro));
        if self.services {
            self.prost.service_generator(Box::new(Generator { micro: micro.clone(), annotations }));
        }
        let requests = pool
            .file_descriptor_protos()
            .map(|file| (Module::from_protobuf_package_name(file.package()), file.clone()))
            .collect();
        self.prost.generate(requests).map_err(Error::Prost)
    }
}

/// Refuses methods over types without a payload.
fn check_methods(pool: &DescriptorPool) -> Result<(), Error> {
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        for message in [method.input(), method.output()] {
            if is_google(message.package_name()) && message.name() != "Empty" {
                let (user, kind) = (method.full_name().to_owned(), message.full_name().to_owned());
                return Err(Error::Unsupported { user, kind });
            }
        }
    }
    Ok(())
}

/// The name that prost gives a package's file.
fn file_name(package: &str) -> String {
    Module::from_protobuf_package_name(package).to_file_name_or("_")
}

fn format(package: &str, items: TokenStream) -> Result<String, Error> {
    let parsed =
        syn::parse2(items).map_err(|source| Error::Syntax { package: package.to_owned(), source })?;
    Ok(prettyplease::unparse(&parsed))
}

/// A file that includes the files of all packages. `env`: they are in `OUT_DIR`, else in the same folder.
fn include_all(packages: &BTreeSet<String>, files: &BTreeMap<String, String>, env: bool) -> String {
    /// A module's own file, and the modules in it.
    #[derive(Default)]
    struct Tree {
        file: Option<String>,
        children: BTreeMap<String, Tree>,
    }

    fn write(tree: &Tree, env: bool, indent: &str, text: &mut String) {
        if let Some(file) = &tree.file {
            let path =
                if env { format!("concat!(env!(\"OUT_DIR\"), \"/{file}\")") } else { format!("{file:?}") };
            text.push_str(&format!("{indent}include!({path});\n"));
        }
        for (name, child) in &tree.children {
            text.push_str(&format!("{indent}pub mod {name} {{\n"));
            write(child, env, &format!("{indent}    "), text);
            text.push_str(&format!("{indent}}}\n"));
        }
    }

    let mut root = Tree::default();
    for package in packages {
        let file = file_name(package);
        if !files.contains_key(&file) {
            continue;
        }
        let module = Module::from_protobuf_package_name(package);
        let leaf =
            module.parts().fold(&mut root, |tree, part| tree.children.entry(part.to_owned()).or_default());
        leaf.file = Some(file);
    }
    let mut text = "// This file is @generated by micro-build.\n".to_owned();
    write(&root, env, "", &mut text);
    text
}

/// Leaves the file's time alone when nothing changed, so that cargo does not build again.
fn write_if_changed(path: &Path, code: &str) -> io::Result<()> {
    match fs::read(path) {
        Ok(old) if old == code.as_bytes() => Ok(()),
        _ => fs::write(path, code),
    }
}

#[allow(clippy::print_stdout, reason = "cargo reads a build script's output")]
fn tell_cargo(generated: &Generated) {
    // Outside build scripts nobody reads this.
    if env::var_os("CARGO_CFG_TARGET_OS").is_none() {
        return;
    }
    for path in &generated.inputs {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}
