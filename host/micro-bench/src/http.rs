//! One HTTP request.

use crate::Failed;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Sends `body` as JSON on a connection of its own.
pub(crate) async fn ask(
    address: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Result<(StatusCode, Bytes), Failed> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the connection.
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", address);
    let request = request.header("content-type", "application/json");
    let response =
        sender.send_request(request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}
