//! Messages that go through Go Micro's gRPC transport (`go-micro-wire` §1.8): a stream for each call, on connections that
//! they share.

use crate::grpc::transport::{PATHS, pack, unpack};
use micro_core::{Headers, Message};
use micro_net::grpc::{CallError, Channels, Code, Codec, Opening, Status};
use std::time::Duration;

/// Sends a request to `address` and waits for its answer. Dropping the future ends the stream.
pub(super) async fn exchange(
    channels: &Channels,
    address: &str,
    mut request: Message,
    connect_timeout: Duration,
) -> Result<Message, CallError> {
    // Peers compare names with case; v4.10 and later spell this one in another way.
    if let Some(id) = request.headers.get("Micro-Id").map(str::to_owned) {
        request.headers.append("Micro-ID", id);
    }
    let packet = pack(request, None);
    let mut refused = Status::new(Code::UNIMPLEMENTED, "no such method");
    for path in PATHS {
        let metadata = Headers::new();
        let opening = Opening { path, codec: Codec::Proto, metadata: &metadata, timeout: None };
        let (mut sending, mut receiving) = channels.open_stream(address, &opening, connect_timeout).await?;
        // Where that fails, the answer says why.
        _ = sending.send(&packet).await;
        // The direction stays open until the answer is here: its end would be that of the connection to the server.
        match receiving.next().await {
            Ok(Some(packet)) => {
                return unpack(packet).map_err(|error| CallError::Malformed(micro_net::error_chain(&error)));
            }
            Ok(None) => return Err(CallError::Malformed("the stream ends without an answer".to_owned())),
            // Nothing was executed: the peer knows the method by its other name.
            Err(CallError::Status(status)) if status.code == Code::UNIMPLEMENTED => refused = status,
            Err(error) => return Err(error),
        }
    }
    Err(refused.into())
}
