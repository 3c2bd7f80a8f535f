//! A compiler of proto files whose users need no copy of the option.

use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};
use std::path::Path;

/// The files of this crate. Users' own copies go before them.
struct Bundled;

impl FileResolver for Bundled {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match crate::PROTO_FILES.iter().find(|(known, _)| *known == name) {
            Some((name, source)) => File::from_source(name, source),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// A compiler that looks for imports in `includes`, then among those that every compiler has, then here.
///
/// # Errors
/// An include path that cannot be used.
pub fn compiler(includes: &[impl AsRef<Path>]) -> Result<protox::Compiler, protox::Error> {
    let mut resolver = ChainFileResolver::new();
    for include in includes {
        resolver.add(IncludeFileResolver::new(include.as_ref().to_owned()));
    }
    resolver.add(GoogleFileResolver::new());
    resolver.add(Bundled);
    Ok(protox::Compiler::with_file_resolver(resolver))
}
