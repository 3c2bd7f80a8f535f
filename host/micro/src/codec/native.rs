//! The codecs that need no plugin: the logic of the components, linked.

use bytes::Bytes;
use micro_core::codec::{Codec, CodecError, Envelope, Format, Opened, Role};

/// Implements [`Codec`] for a type over the functions of a logic crate. The crates share no types: each stands alone.
macro_rules! native {
    ($(#[$doc:meta])* $codec:ident, $name:literal, $core:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $codec {
            formats: Vec<Format>,
        }

        impl Default for $codec {
            fn default() -> Self {
                let own = |format: &$core::Format| Format {
                    content_type: format.content_type.to_owned(),
                    value: format.value.to_owned(),
                };
                Self { formats: $core::formats().iter().map(own).collect() }
            }
        }

        impl $codec {
            fn role(role: Role) -> $core::Role {
                match role {
                    Role::Request => $core::Role::Request,
                    Role::Response => $core::Role::Response,
                }
            }

            fn error(&self, format: usize, error: $core::Error) -> CodecError {
                let name = match self.formats.get(format) {
                    Some(format) => format.content_type.clone(),
                    None => $name.to_owned(),
                };
                match error {
                    $core::Error::Malformed => CodecError::Malformed(name),
                    $core::Error::Unsupported => CodecError::Unsupported(name),
                    $core::Error::TooLarge => CodecError::TooLarge(name),
                }
            }
        }

        impl Codec for $codec {
            fn name(&self) -> &str {
                $name
            }

            fn formats(&self) -> &[Format] {
                &self.formats
            }

            fn seal(
                &self,
                format: usize,
                role: Role,
                envelope: Envelope<'_>,
                value: &[u8],
                out: &mut Vec<u8>,
            ) -> Result<(), CodecError> {
                let Envelope { id, endpoint, error } = envelope;
                let head = $core::Head { id, endpoint, error };
                let (mut prefix, mut suffix) = (Vec::with_capacity(96), Vec::new());
                $core::seal(Self::role(role), head, value.len(), &mut prefix, &mut suffix)
                    .map_err(|error| self.error(format, error))?;
                out.reserve(prefix.len() + value.len() + suffix.len());
                out.extend_from_slice(&prefix);
                out.extend_from_slice(value);
                out.extend_from_slice(&suffix);
                Ok(())
            }

            fn open(&self, format: usize, role: Role, data: &Bytes) -> Result<Opened, CodecError> {
                let mut extra = Vec::new();
                let opened = $core::open(Self::role(role), data, &mut extra)
                    .map_err(|error| self.error(format, error))?;
                let malformed = || self.error(format, $core::Error::Malformed);
                let bytes = |part: $core::Part| part.of(data, &extra).ok_or_else(malformed);
                let shared = |part: $core::Part| {
                    let bytes = bytes(part)?;
                    Ok(if (part.offset as usize) < data.len() && !bytes.is_empty() {
                        data.slice_ref(bytes)
                    } else {
                        Bytes::copy_from_slice(bytes)
                    })
                };
                let text = |part: $core::Part| {
                    let text = std::str::from_utf8(bytes(part)?).map_err(|_| malformed())?;
                    Ok(text.to_owned())
                };
                Ok(Opened {
                    id: shared(opened.id)?,
                    endpoint: text(opened.endpoint)?,
                    error: text(opened.error)?,
                    value: shared(opened.value)?,
                })
            }
        }
    };
}

native! {
    /// `application/json-rpc`: JSON-RPC 1.0 around one JSON value.
    JsonRpc, "jsonrpc", jsonrpc_core
}

native! {
    /// `application/proto-rpc`: a protobuf envelope and a protobuf value, each behind its length.
    ProtoRpc, "protorpc", protorpc_core
}

/// The native codec of a name, as the components are called.
#[cfg(feature = "plugins")]
pub(crate) fn native(name: &str) -> Option<std::sync::Arc<dyn Codec>> {
    match name {
        "jsonrpc" => Some(std::sync::Arc::new(JsonRpc::default())),
        "protorpc" => Some(std::sync::Arc::new(ProtoRpc::default())),
        _ => None,
    }
}
