//! Plugins that run per request: they work, they fail in every way that we could think of, and they are swapped.

mod codec;
mod faults;
mod filter;
mod selector;
mod swap;
mod wire;

use crate::support::{Lab, plugin, refinished};
use http1_core::{End, Framing, Head, Method, Role, Start};
use micro_net::wire::{HeadError, Wire};
use micro_plugin::Locator;
use micro_wasm::PluginRequest;
use std::path::PathBuf;

pub(crate) const POST: Start<'_> = Start::Request { method: "POST", path: b"/", host: b"localhost:1" };
pub(crate) const OK: Start<'_> = Start::Response { status: 200, reason: b"OK" };
pub(crate) const TEN: End = End { framing: Framing::Length(10), close: false };

impl Lab {
    /// The request for a plugin of this repository with options, under a name of its own.
    pub(crate) fn hot(&self, flag: &str, file: &str, name: &str, options: &[(&str, &str)]) -> PluginRequest {
        let wasm = refinished(file, |manifest| name.clone_into(&mut manifest.name));
        let path = self.file(&format!("{name}.wasm"), &wasm);
        let request = PluginRequest::new(flag, Locator::file(path));
        options.iter().fold(request, |request, (key, value)| request.option(*key, *value))
    }

    /// The file of a plugin of this repository, in the lab's folder.
    pub(crate) fn plugin_file(&self, name: &str) -> PathBuf {
        self.file(&format!("{name}.wasm"), &plugin(name))
    }
}

/// A head with one field, written by `wire`.
pub(crate) fn written(wire: &impl Wire, start: Start<'_>) -> Result<Vec<u8>, HeadError> {
    let mut out = Vec::new();
    wire.encode(start, [(&b"Micro-Endpoint"[..], &b"Say.Hello"[..])], TEN, &mut out)?;
    Ok(out)
}

/// The fields that `wire` reads from a head of a request.
pub(crate) fn read(wire: &impl Wire, data: &[u8]) -> Result<Vec<(String, String)>, HeadError> {
    let mut words = Vec::new();
    let consumed = wire.decode(Role::Request, Method::NONE, data, &mut words)?;
    if consumed == 0 {
        return Ok(Vec::new());
    }
    let head = Head::new(&words, data).ok_or_else(|| wire.refuted())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(head.fields().map(|(_, name, value)| (name.to_owned(), text(value))).collect())
}
