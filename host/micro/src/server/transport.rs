//! Messages that come through Go Micro's gRPC transport (`go-micro-wire` §1.8): each stream of gRPC is a connection.

use super::{Server, stream_of};
use crate::grpc::transport::{pack, spelled_as, unpack};
use futures::stream::StreamExt;
use micro_core::{Headers, Message};
use micro_net::grpc::{self, Code, Incoming, Outgoing, Status};
use micro_net::wire::{Answer, Carrier, Handler, Inbox, Opening, Request, StreamId, carried};

impl Server {
    /// Answers the messages of a stream as those of a connection over HTTP.
    pub(super) fn transport(&self, call: Incoming) -> Outgoing {
        let Incoming { messages, peer, local, stopping, .. } = call;
        let arriving = messages.map(|packet| {
            let malformed = |error| Status::new(Code::INVALID_ARGUMENT, micro_net::error_chain(&error));
            unpack(packet?).map_err(malformed)
        });
        let answers = carried(Literal(self.clone()), Carrier { peer, local, stopping }, arriving);
        let answers = answers.map(|message| message.map(pack));
        Outgoing { answer: grpc::Answer::Many(answers.boxed()), ..Outgoing::default() }
    }
}

/// Answers in the spelling of the question.
#[derive(Clone)]
struct Literal(Server);

impl Handler for Literal {
    async fn handle(&self, request: Request) -> Message {
        let asked = request.message.headers.clone();
        respell(&asked, self.0.message(request.message, Some(request.peer)).await)
    }

    async fn receive(&self, request: Request) -> Answer {
        let asked = request.message.headers.clone();
        match self.0.receive(request.message, Some(request.peer)).await {
            Answer::Message(message) => Answer::Message(respell(&asked, message)),
            Answer::Stream(opening) => {
                let Opening { explicit, name, open } = *opening;
                let open = Box::new(move |inbox: Inbox| {
                    open(inbox).map(move |message| respell(&asked, message)).boxed()
                });
                Answer::Stream(Box::new(Opening { explicit, name, open }))
            }
            Answer::Nothing => Answer::Nothing,
        }
    }

    fn stream_of<'m>(&self, message: &'m Message) -> StreamId<'m> {
        stream_of(&message.headers)
    }

    fn busy(&self, message: &Message) -> Message {
        respell(&message.headers, self.0.busy(message))
    }
}

fn respell(asked: &Headers, message: Message) -> Message {
    Message { headers: spelled_as(asked, &message.headers), ..message }
}
