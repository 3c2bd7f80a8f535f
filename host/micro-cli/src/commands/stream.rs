//! `micro stream`.

use super::call;
use crate::args::{Format, StreamArgs};
use crate::failure::{Next, coded};
use crate::output;
use crate::session::Session;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use micro::{Body, Flags, RpcHead, RpcRequest};
use micro_core::{Code, Error};
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};

/// A longer line is no message that anybody means, in bytes.
const LONGEST_LINE: u64 = 16 << 20;
/// The id of errors about standard input.
const ID: &str = "micro.stream";

pub(super) async fn run(flags: &Flags, format: Format, arguments: StreamArgs) -> anyhow::Result<()> {
    let example = r#"micro stream go.micro.srv.stream Streamer.ServerStream '{"count": 10}'"#;
    let arguments = arguments.call;
    let (Some(service), Some(endpoint)) = (arguments.service.clone(), arguments.endpoint.clone()) else {
        return Err(coded(Code::ARGUMENT_MISSING, "require service and method", example));
    };
    let messages: BoxStream<'static, Result<Bytes, Error>> = match &*arguments.request {
        [only] if only == "-" => lines(BufReader::new(tokio::io::stdin())),
        words => {
            let request = call::request(words);
            let next = format!("write the request as JSON: {example}");
            stream::iter([Ok(request.next_as(Code::VALUE, next)?)]).boxed()
        }
    };
    let options = call::options(&arguments)?;
    let session = match arguments.address {
        Some(_) => Session::open(flags).await?,
        None => Session::healthy(flags).await?,
    };
    let head = RpcHead { stream: true, ..RpcHead::new(&service, &endpoint, "application/json") };
    let request = RpcRequest { head, body: Body::Stream(messages) };
    let printing = async {
        let failed = |error: Error| match error.id == ID {
            true => {
                coded(Code::VALUE, error.detail, "write one JSON document on each line of standard input")
            }
            false => call::failed(&service, &endpoint, &error),
        };
        let mut replies = session.client.send(request, &options).await.map_err(failed)?.body.into_messages();
        while let Some(reply) = replies.next().await {
            if !print(format, &reply.map_err(failed)?)? {
                break;
            }
        }
        anyhow::Ok(())
    };
    // Dropping the stream tells the service that nobody listens any more.
    let outcome = tokio::select! {
        outcome = printing => outcome,
        pressed = tokio::signal::ctrl_c() => pressed.next_as(Code::UNEXPECTED, "try again"),
    };
    session.close().await;
    outcome
}

/// Whether anybody still reads.
fn print(format: Format, reply: &[u8]) -> anyhow::Result<bool> {
    match format {
        Format::Raw | Format::Junit => output::write_more(reply),
        Format::Text | Format::Json => {
            let next = "--output=raw prints the bytes as they came";
            let line =
                compact(reply).ok_or_else(|| coded(Code::CALL_ANSWER, "an answer is not JSON", next))?;
            output::write_more(line.as_bytes())
        }
    }
}

/// JSON on one line, with its end; order, numbers and texts stay as they are. None if it is no JSON.
fn compact(json: &[u8]) -> Option<String> {
    let json = if json.trim_ascii().is_empty() { b"{}" } else { json };
    let json = serde_json::from_slice::<&RawValue>(json).ok()?.get();
    let (mut in_string, mut escaped) = (false, false);
    let mut line = String::with_capacity(json.len() + 1);
    for letter in json.chars() {
        if in_string {
            in_string = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
        } else if letter.is_ascii_whitespace() {
            continue;
        } else {
            in_string = letter == '"';
        }
        line.push(letter);
    }
    line.push('\n');
    Some(line)
}

/// The lines of an input, each of which must be JSON. Empty ones are passed over.
fn lines(input: impl AsyncBufRead + Send + Unpin + 'static) -> BoxStream<'static, Result<Bytes, Error>> {
    let read = async |(mut input, number): (_, u64)| {
        next_line(&mut input, number).await.map(|(line, number)| (line, (input, number)))
    };
    stream::unfold((input, 0), read).boxed()
}

/// The next line with something in it, and its number; an error is the last.
async fn next_line<R: AsyncBufRead + Unpin>(
    input: &mut R,
    mut number: u64,
) -> Option<(Result<Bytes, Error>, u64)> {
    loop {
        let mut line = Vec::new();
        number += 1;
        let refused = |why: String| Error::bad_request(ID, format!("line {number} of standard input {why}"));
        match input.take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Err(error) => return Some((Err(refused(format!("cannot be read: {error}"))), number)),
            Ok(0) => return None,
            Ok(_) if line.trim_ascii().is_empty() => continue,
            Ok(length) if length as u64 == LONGEST_LINE && !line.ends_with(b"\n") => {
                return Some((Err(refused(format!("is longer than {LONGEST_LINE} bytes"))), number));
            }
            Ok(_) => {}
        }
        let message = match serde_json::from_slice::<&RawValue>(&line) {
            Ok(_) => Ok(Bytes::copy_from_slice(line.trim_ascii())),
            Err(error) => Err(refused(format!("is no JSON: {error}"))),
        };
        return Some((message, number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_line() {
        for (json, expected) in [
            ("{\n\t\"a\" : [ 1, 2.50 ]\r\n}\n", "{\"a\":[1,2.50]}\n"),
            (r#"{"a b": "c \" d\\" }"#, "{\"a b\":\"c \\\" d\\\\\"}\n"),
            ("", "{}\n"),
        ] {
            assert_eq!(compact(json.as_bytes()).as_deref(), Some(expected), "{json}");
        }
        assert_eq!(compact(b"{}{}"), None);
    }

    #[tokio::test]
    async fn lines_are_messages_until_one_is_none() {
        let input = &b"{\"a\":1}\n\n  [2]  \r\n3\n{\n4\n"[..];
        let all: Vec<_> = lines(input).take(4).collect().await;
        let texts: Vec<_> = all.iter().filter_map(|line| line.as_deref().ok()).collect();
        assert_eq!(texts, [&b"{\"a\":1}"[..], b"[2]", b"3"]);
        let error = all[3].as_ref().expect_err("no JSON");
        assert!(error.detail.starts_with("line 5 of standard input is no JSON"), "{error}");
        assert_eq!(lines(&b""[..]).count().await, 0);
    }
}
