//! `HttpClient` over plain sockets, blocking: enough HTTP/1.1 for etcd, and for nobody else.

use etcd_core::http::{Body, Chunk, HttpClient, HttpError, Request, Response};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Native;

/// The bytes after the head, without the chunk framing.
#[derive(Debug)]
pub(crate) struct NativeBody {
    stream: TcpStream,
    raw: Vec<u8>,
    framing: Framing,
}

#[derive(Debug)]
enum Framing {
    Length(usize),
    Chunked,
}

impl HttpClient for Native {
    type Body = NativeBody;

    async fn post(&self, request: Request<'_>) -> Result<Response<NativeBody>, HttpError> {
        let deadline = Instant::now() + request.within;
        let mut stream = TcpStream::connect(&request.origin.authority).map_err(unreachable)?;
        let token = request.token.map(|token| format!("authorization: {token}\r\n")).unwrap_or_default();
        let (path, host, length) = (request.path, request.origin, request.json.len());
        let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n{token}\r\n");
        stream.write_all(&[head.as_bytes(), &request.json].concat()).map_err(unreachable)?;

        let mut raw = Vec::new();
        let end = loop {
            if let Some(end) = find(&raw, b"\r\n\r\n") {
                break end;
            }
            if !fill(&mut stream, &mut raw, deadline.saturating_duration_since(Instant::now()))? {
                return Err(HttpError::Unreachable("no answer in time".to_owned()));
            }
        };
        let head = String::from_utf8_lossy(&raw[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status line");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let framing = match length {
            Some(length) => Framing::Length(length.trim().parse().expect("a length")),
            None => Framing::Chunked,
        };
        raw.drain(..end + 4);
        Ok(Response { status, body: NativeBody { stream, raw, framing } })
    }
}

impl Body for NativeBody {
    async fn read(&mut self, wait: Duration) -> Result<Chunk, HttpError> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(chunk) = self.take() {
                return Ok(chunk);
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            if !fill(&mut self.stream, &mut self.raw, rest)? {
                return Ok(Chunk::Idle);
            }
        }
    }
}

impl NativeBody {
    fn take(&mut self) -> Option<Chunk> {
        match &mut self.framing {
            Framing::Length(0) => Some(Chunk::End),
            Framing::Length(_) if self.raw.is_empty() => None,
            Framing::Length(rest) => {
                let bytes = std::mem::take(&mut self.raw);
                *rest -= bytes.len();
                Some(Chunk::Bytes(bytes))
            }
            Framing::Chunked => {
                let line = find(&self.raw, b"\r\n")?;
                let size = std::str::from_utf8(&self.raw[..line]).expect("a chunk's size");
                let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
                let end = line + 2 + size + 2;
                if self.raw.len() < end {
                    return None;
                }
                let bytes = self.raw[line + 2..line + 2 + size].to_vec();
                self.raw.drain(..end);
                Some(if size == 0 { Chunk::End } else { Chunk::Bytes(bytes) })
            }
        }
    }
}

/// Reads what comes. False: nothing in time.
fn fill(stream: &mut TcpStream, raw: &mut Vec<u8>, wait: Duration) -> Result<bool, HttpError> {
    stream.set_read_timeout(Some(wait.max(Duration::from_millis(1)))).map_err(unreachable)?;
    let mut buffer = [0; 16 << 10];
    match stream.read(&mut buffer) {
        Ok(0) => Err(HttpError::Unreachable("connection closed".to_owned())),
        Ok(read) => {
            raw.extend_from_slice(&buffer[..read]);
            Ok(true)
        }
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
        Err(e) => Err(unreachable(e)),
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn unreachable(error: std::io::Error) -> HttpError {
    HttpError::Unreachable(error.to_string())
}
