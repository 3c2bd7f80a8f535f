//! Who reads and writes the heads of messages.

use micro_net::wire::{End, HeadError, Method, NativeWire, Role, Start, Wire};

/// The wire of a process: the part of the program, or a plugin in its place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyWire {
    /// HTTP/1.1, linked into the program.
    Native(NativeWire),
    /// A component.
    #[cfg(feature = "plugins")]
    Plugin(micro_wasm::PluginWire),
}

impl Default for AnyWire {
    fn default() -> Self {
        Self::Native(NativeWire)
    }
}

impl Wire for AnyWire {
    #[inline]
    fn decode(
        &self,
        role: Role,
        method: Method,
        data: &[u8],
        words: &mut Vec<u32>,
    ) -> Result<usize, HeadError> {
        match self {
            Self::Native(wire) => wire.decode(role, method, data, words),
            #[cfg(feature = "plugins")]
            Self::Plugin(wire) => wire.decode(role, method, data, words),
        }
    }

    #[inline]
    fn encode<'f>(
        &self,
        start: Start<'_>,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
        end: End,
        out: &mut Vec<u8>,
    ) -> Result<(), HeadError> {
        match self {
            Self::Native(wire) => wire.encode(start, fields, end, out),
            #[cfg(feature = "plugins")]
            Self::Plugin(wire) => wire.encode(start, fields, end, out),
        }
    }

    fn refuted(&self) -> HeadError {
        match self {
            Self::Native(wire) => wire.refuted(),
            #[cfg(feature = "plugins")]
            Self::Plugin(wire) => wire.refuted(),
        }
    }
}
