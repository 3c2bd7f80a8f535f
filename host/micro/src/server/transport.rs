//! Messages that come through Go Micro's gRPC transport (`go-micro-wire` §1.8).

use super::Server;
use crate::grpc::transport::{pack, unpack};
use futures::stream::StreamExt;
use micro_net::grpc::{Answer, Code, Incoming, Outgoing, Status};

impl Server {
    /// Answers the messages of a stream one after the other, as those of a connection over HTTP.
    pub(super) fn transport(&self, call: Incoming) -> Outgoing {
        let Incoming { messages, peer, .. } = call;
        let server = self.clone();
        let answers = messages.then(move |packet| {
            let server = server.clone();
            async move {
                let malformed = |error| Status::new(Code::INVALID_ARGUMENT, micro_net::error_chain(&error));
                let message = unpack(packet?).map_err(malformed)?;
                let asked = message.headers.clone();
                Ok(pack(server.message(message, Some(peer)).await, Some(&asked)))
            }
        });
        Outgoing { answer: Answer::Many(answers.boxed()), ..Outgoing::default() }
    }
}
