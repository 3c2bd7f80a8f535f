//! Bodies that come wrapped in the envelope of an RPC protocol (`go-micro-wire` §§2.4, 2.5): the value is taken out.

use bytes::{Buf, Bytes};
use micro_core::Error;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The parameter of a JSON-RPC request.
///
/// # Errors
/// Code 400 when the body is none, or has more than one parameter.
pub(super) fn json_rpc(body: &Bytes) -> Result<Bytes, Error> {
    #[derive(Deserialize)]
    struct Request<'a> {
        #[serde(borrow)]
        params: Vec<&'a RawValue>,
    }
    let request: Request<'_> = serde_json::from_slice(body)
        .map_err(|error| Error::bad_request(super::ID, format!("malformed JSON-RPC request: {error}")))?;
    match request.params[..] {
        [value] => Ok(body.slice_ref(value.get().as_bytes())),
        ref params => {
            let detail = format!("a JSON-RPC request has one parameter here, not {}", params.len());
            Err(Error::bad_request(super::ID, detail))
        }
    }
}

/// The value of a PROTO-RPC request: the second of two blocks, each behind its length in 4 bytes, big-endian.
///
/// # Errors
/// Code 400 when the lengths do not match the body.
pub(super) fn proto_rpc(body: Bytes) -> Result<Bytes, Error> {
    let mut rest = body;
    let mut block = || {
        let length = rest.try_get_u32().ok()? as usize;
        (length <= rest.len()).then(|| rest.split_to(length))
    };
    let value = block().and_then(|_envelope| block());
    value.filter(|_| rest.is_empty()).ok_or_else(|| {
        let detail = "malformed PROTO-RPC request: send the bare message as application/protobuf instead";
        Error::bad_request(super::ID, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_is_taken_out_untouched() {
        let body = Bytes::from_static(br#"{"method":"A.B","params":[ {"n": 12345678901234567890} ],"id":0}"#);
        assert_eq!(json_rpc(&body).as_deref(), Ok(&br#"{"n": 12345678901234567890}"#[..]));
        for body in ["", "{}", "[]", r#"{"params":[]}"#, r#"{"params":[1,2]}"#, r#"{"params":1}"#] {
            assert_eq!(json_rpc(&Bytes::from_static(body.as_bytes())).expect_err(body).code, 400, "{body}");
        }
    }

    #[test]
    fn the_second_block_is_the_value() {
        let good = b"\0\0\0\x02\x0a\0\0\0\0\x03abc";
        assert_eq!(proto_rpc(Bytes::from_static(good)).as_deref(), Ok(&b"abc"[..]));
        assert_eq!(proto_rpc(Bytes::from_static(&[0; 8])).as_deref(), Ok(&b""[..]));
        for bad in [&b""[..], &good[..12], b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\0\0\0\0\0x"] {
            assert_eq!(proto_rpc(Bytes::copy_from_slice(bad)).expect_err("malformed").code, 400, "{bad:?}");
        }
    }
}
