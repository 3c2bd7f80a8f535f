//! Errors as statuses: a number for everybody, Go Micro's JSON in the message, and the same as a detail in protobuf for
//! Go Micro 2 and later (`go-micro-wire` §§4.1, 6.8).

use micro_core::Error;
use micro_net::grpc::{Code, Status};
use prost::Message;

/// The name of the detail.
const TYPE: &str = "type.googleapis.com/errors.Error";
/// The longest JSON, in bytes. It has to arrive whole, or it is no JSON, so a detail is cut until it fits.
const LONGEST: usize = 1200;

/// Go Micro's error.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(int32, tag = "2")]
    code: i32,
    #[prost(string, tag = "3")]
    detail: String,
    #[prost(string, tag = "4")]
    status: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Details {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// The table of Go Micro, and of the rest what fits best; Go says `UNKNOWN` there.
fn code_of(error: &Error) -> Code {
    match error.code {
        400 | 411 | 415 | 422 => Code::INVALID_ARGUMENT,
        401 => Code::UNAUTHENTICATED,
        403 => Code::PERMISSION_DENIED,
        404 => Code::NOT_FOUND,
        408 | 504 => Code::DEADLINE_EXCEEDED,
        409 => Code::ALREADY_EXISTS,
        412 => Code::FAILED_PRECONDITION,
        413 | 429 | 431 => Code::RESOURCE_EXHAUSTED,
        500 => Code::INTERNAL,
        405 | 501 => Code::UNIMPLEMENTED,
        502 | 503 => Code::UNAVAILABLE,
        _ => Code::UNKNOWN,
    }
}

/// The status that tells an error.
pub(crate) fn status_of(mut error: Error) -> Status {
    let code = code_of(&error);
    // Plain texts travel as they are, as a Go handler's plain error does.
    let plain = error.code == 0 && error.id.is_empty();
    if plain {
        return Status::new(code, error.detail);
    }
    let mut message = error.to_string();
    while message.len() > LONGEST && !error.detail.is_empty() {
        // What JSON writes for it may be up to six times as long, so that its own length says little.
        let half = error.detail.len().min(2 * LONGEST) / 2;
        error.detail.truncate(error.detail.floor_char_boundary(half));
        let cut = Error { detail: format!("{}…", error.detail), ..error.clone() };
        message = cut.to_string();
        if message.len() <= LONGEST {
            error = cut;
        }
    }
    let detail = Detail { id: error.id, code: error.code.into(), detail: error.detail, status: error.status };
    let any = prost_types::Any { type_url: TYPE.to_owned(), value: detail.encode_to_vec() };
    let details = Details { code: code.0.cast_signed(), message: message.clone(), details: vec![any] };
    Status { code, message, details: details.encode_to_vec().into() }
}

/// The error that a status tells: the detail, else the JSON in the message, else the status itself.
pub(crate) fn error_of(status: Status, id: &str) -> Error {
    if let Some(error) = detail(&status) {
        return error;
    }
    let parsed = Error::parse(&status.message);
    if parsed.code != 0 {
        return parsed;
    }
    let code = match status.code {
        Code::INVALID_ARGUMENT | Code::OUT_OF_RANGE => 400,
        Code::UNAUTHENTICATED => 401,
        Code::PERMISSION_DENIED => 403,
        Code::NOT_FOUND => 404,
        Code::DEADLINE_EXCEEDED => 408,
        Code::ALREADY_EXISTS | Code::ABORTED => 409,
        Code::FAILED_PRECONDITION => 412,
        Code::RESOURCE_EXHAUSTED => 429,
        Code::UNIMPLEMENTED => 501,
        Code::UNAVAILABLE => 503,
        // Go gives a plain error of a handler this number; as over mucp, it has no code.
        Code::UNKNOWN if !status.message.is_empty() => {
            return Error { detail: status.message, ..Error::default() };
        }
        _ => 500,
    };
    let text = if status.message.is_empty() { status.code.to_string() } else { status.message };
    Error::new(id, code, text)
}

fn detail(status: &Status) -> Option<Error> {
    let details = Details::decode(status.details.clone()).ok()?.details;
    let any = details.into_iter().find(|any| any.type_url.rsplit('/').next() == Some("errors.Error"))?;
    let Detail { id, code, detail, status } = Detail::decode(&*any.value).ok()?;
    Some(Error { id, code: u16::try_from(code).ok()?, detail, status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_back_as_they_were() {
        for error in [
            Error::conflict("greeter", "no x"),
            Error::new("greeter", 418, "größer\n"),
            Error::new("", 404, ""),
            Error::parse("boom"),
        ] {
            let status = status_of(error.clone());
            assert_eq!(error_of(status.clone(), "here"), error, "{status:?}");
            // Go Micro 1 knows no details.
            let without = Status { details: bytes::Bytes::new(), ..status };
            assert_eq!(error_of(without, "here"), error);
        }
        assert_eq!(status_of(Error::conflict("greeter", "no x")).code, Code::ALREADY_EXISTS);
        assert_eq!(status_of(Error::parse("boom")), Status::new(Code::UNKNOWN, "boom"));
    }

    #[test]
    fn statuses_of_others_become_errors() {
        for (code, message, expected) in [
            (Code::NOT_FOUND, "no such pet", Error::not_found("here", "no such pet")),
            (Code::UNIMPLEMENTED, "", Error::new("here", 501, "UNIMPLEMENTED")),
            (Code(99), "odd", Error::internal("here", "odd")),
            (Code::INTERNAL, "{\"a\":1}", Error::internal("here", "{\"a\":1}")),
        ] {
            assert_eq!(error_of(Status::new(code, message), "here"), expected);
        }
        let foreign = Status { details: vec![0xff; 9].into(), ..Status::new(Code::ABORTED, "busy") };
        assert_eq!(error_of(foreign, "here"), Error::conflict("here", "busy"));
    }

    #[test]
    fn long_details_are_cut_and_stay_json() {
        for text in ["ä\"", "x", "\u{1}", "😀"] {
            let status = status_of(Error::internal("greeter", text.repeat(4 << 10)));
            let error = Error::parse(&status.message);
            assert!(error.code == 500 && error.detail.ends_with('…'), "{}", status.message);
            assert!(error.detail.starts_with(text) && status.message.len() <= LONGEST, "{text:?}");
            assert!(status.details.len() < 3 << 10, "{text:?}");
            assert_eq!(error_of(status, "here"), error);
        }
    }
}
