//! What stops a build.

use std::fmt;
use std::path::PathBuf;

/// Why no code was generated.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A proto file is missing, malformed, or refers to what does not exist. The text points at the place.
    #[error("cannot compile proto files: {0}")]
    Compile(String),
    /// A field or method has a type of `google.protobuf` that has no JSON form here.
    #[error("{user} has type {kind}, which is not supported; a message of your own can take its place")]
    Unsupported {
        /// The full name of the field or method.
        user: String,
        /// The full name of the type.
        kind: String,
    },
    /// Two items of one package would have the same name in Rust.
    #[error("package {package:?} defines {name} twice in Rust: as {first} and as {second}")]
    NameClash {
        /// The proto package.
        package: String,
        /// The name in Rust.
        name: String,
        /// What has the name.
        first: String,
        /// What would have it too.
        second: String,
    },
    /// A `google.api.http` option that cannot be followed.
    #[error("{place}: rpc {rpc} cannot be called over HTTP")]
    Rule {
        /// The proto file and the line of the rpc.
        place: String,
        /// The rpc's full name.
        rpc: String,
        /// The rule, and what is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Two rpcs want the same requests.
    #[error("{place}: rpc {second} wants {route}, as {first} does")]
    RouteClash {
        /// The proto file and the line of the second rpc.
        place: String,
        /// Method and path.
        route: String,
        /// The rpc that has it.
        first: String,
        /// The rpc that would have it too.
        second: String,
    },
    /// A path given to the builder is no Rust path.
    #[error("{0:?} is no Rust path")]
    Path(String),
    /// The generated code does not parse: a defect of this crate, or of an attribute given to prost.
    #[error("generated code for package {package:?} does not parse")]
    Syntax {
        /// The proto package.
        package: String,
        /// Where.
        #[source]
        source: syn::Error,
    },
    /// prost refused its settings.
    #[error("cannot generate messages")]
    Prost(#[source] std::io::Error),
    /// Neither a folder was given nor `OUT_DIR` set.
    #[error("no output folder: OUT_DIR is set in build scripts only")]
    NoOutDir,
    /// An output file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A build script that returns an error shows its `Debug` form, so this is the text for people, with its causes.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
