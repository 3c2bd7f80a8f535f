//! HTTP/2 on the RPC port: refused in its own language.

use crate::stop::Stop;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io::Cursor;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// What every HTTP/2 connection starts with (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long such a connection may stay.
const LIFETIME: Duration = Duration::from_secs(10);

/// Answers every request on an HTTP/2 connection with 415. `read` is what was read from `io` already.
pub(super) async fn refuse<S>(io: S, read: Vec<u8>, stop: &Stop)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (reader, writer) = tokio::io::split(io);
    let io = TokioIo::new(tokio::io::join(Cursor::new(read).chain(reader), writer));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).max_concurrent_streams(16).max_header_list_size(64 << 10);
    let mut connection =
        pin!(builder.serve_connection(io, service_fn(|_| std::future::ready(unsupported()))));
    tokio::select! {
        // A connection that breaks has been refused as well.
        _ = &mut connection => return,
        () = tokio::time::sleep(LIFETIME) => {}
        () = stop.soon.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(Duration::from_secs(1), connection).await;
}

fn unsupported() -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from("this port answers HTTP/1.1 only\n"));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Ok(response)
}
