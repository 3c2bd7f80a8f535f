//! Connections that something else than HTTP/1.1 carries, such as a stream of gRPC: calls and streams on them by the same
//! rules.

use super::conversations::{Conversations, End, Ends, wait};
use super::server::Handler;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use micro_core::Message;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::pin::pin;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What is behind the messages of [`carried`].
#[derive(Clone, Debug)]
pub struct Carrier {
    /// Who sends them.
    pub peer: SocketAddr,
    /// The address of ours that they are sent to.
    pub local: SocketAddr,
    /// Cancelled when no new ones are wanted: then this ends as soon as nothing runs.
    pub stopping: CancellationToken,
}

/// Answers the messages of a connection; what comes out goes back on it. Calls run beside each other, and their answers
/// come as they are ready. Nothing is read while an answer waits to be taken.
///
/// It ends when `messages` has ended and nothing runs any more, or with the first error in `messages`, which ends
/// whatever runs and comes out last. Dropping it ends whatever runs, too.
pub fn carried<H, M, E>(handler: H, carrier: Carrier, messages: M) -> BoxStream<'static, Result<Message, E>>
where
    H: Handler,
    M: Stream<Item = Result<Message, E>> + Send + 'static,
    E: Send + 'static,
{
    let (out, mut outgoing) = mpsc::channel(1);
    let mut serving = Some(Box::pin(serve(handler, carrier, messages, out)));
    let mut failure = None;
    let answers = stream::poll_fn(move |cx| {
        if let Some(running) = &mut serving
            && let std::task::Poll::Ready(outcome) = running.as_mut().poll(cx)
        {
            failure = outcome.err();
            // With it goes the last sender.
            serving = None;
        }
        outgoing.poll_recv(cx).map(|message| message.map(Ok).or_else(|| failure.take().map(Err)))
    });
    answers.boxed()
}

async fn serve<H, M, E>(
    handler: H,
    carrier: Carrier,
    messages: M,
    out: mpsc::Sender<Message>,
) -> Result<(), E>
where
    H: Handler,
    M: Stream<Item = Result<Message, E>>,
{
    let Carrier { peer, local, stopping } = carrier;
    let mut messages = pin!(messages);
    let mut running = Conversations::new(Ends { handler: &handler, peer, local }, out);
    let (mut reading, mut pending) = (true, None);
    loop {
        let quiet = running.is_quiet() && pending.is_none();
        if quiet && !reading {
            return Ok(());
        }
        tokio::select! {
            () = running.run() => {}
            () = wait(&mut pending) => {}
            message = messages.next(), if reading && pending.is_none() => match message {
                Some(message) => {
                    pending = running.take(message?, Cow::Borrowed("POST"), Cow::Borrowed("/")).await;
                }
                None => {
                    reading = false;
                    running.ended(End::Finished);
                }
            },
            () = stopping.cancelled(), if quiet => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Answer, Opening, Request, StreamId};
    use futures::FutureExt;
    use std::convert::Infallible;
    use std::time::Duration;
    use tokio::time::timeout;

    /// A message whose body starts with a capital letter is of the stream of that name, which repeats it; others are
    /// calls that are answered after as many seconds as they say.
    #[derive(Clone)]
    struct Repeats;

    fn message(text: &str) -> Message {
        Message { body: text.to_owned().into(), ..Message::default() }
    }

    fn text(message: &Message) -> &str {
        std::str::from_utf8(&message.body).expect("text")
    }

    impl Handler for Repeats {
        async fn handle(&self, request: Request) -> Message {
            let seconds = text(&request.message).parse().expect("a number");
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            request.message
        }

        async fn receive(&self, request: Request) -> Answer {
            let id = self.stream_of(&request.message);
            if !id.explicit {
                return Answer::Message(self.handle(request).await);
            }
            let name = id.name.to_owned();
            let opened = request.message.clone();
            let open = Box::new(|mut inbox: crate::wire::Inbox| {
                let more = stream::poll_fn(move |cx| inbox.poll_next(cx));
                stream::once(async { opened }).chain(more).boxed()
            });
            Answer::Stream(Box::new(Opening { explicit: true, name, open }))
        }

        fn stream_of<'m>(&self, message: &'m Message) -> StreamId<'m> {
            let name = text(message).get(..1).unwrap_or_default();
            StreamId { explicit: name.chars().all(char::is_uppercase), name }
        }
    }

    fn carrier() -> Carrier {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Carrier { peer: nowhere, local: nowhere, stopping: CancellationToken::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_and_streams_share_a_connection() {
        let sent = ["A1", "9", "B1", "A2", "3", "B2"].map(|text| Ok::<_, Infallible>(message(text)));
        let answers: Vec<_> = carried(Repeats, carrier(), stream::iter(sent)).collect().await;
        let mut texts: Vec<_> = answers.iter().flatten().map(text).collect();
        assert_eq!(texts.split_off(4), ["3", "9"], "calls are answered when they are ready");
        for stream in ["A", "B"] {
            let own: Vec<_> = texts.iter().filter(|text| text.starts_with(stream)).collect();
            assert_eq!(own, [&format!("{stream}1"), &format!("{stream}2")]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_the_last_and_ends_what_runs() {
        let (sender, mut messages) = mpsc::channel(4);
        let messages = stream::poll_fn(move |cx| messages.poll_recv(cx));
        let mut answers = carried(Repeats, carrier(), messages);
        for text in ["60", "A1"] {
            sender.send(Ok(message(text))).await.expect("open");
        }
        let heard = answers.next().await.expect("a message").expect("no error");
        assert_eq!(text(&heard), "A1");
        sender.send(Err("broken")).await.expect("open");
        assert_eq!(answers.next().await.map(|it| it.err()), Some(Some("broken")));
        assert!(answers.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_what_runs_and_for_nothing_else() {
        let (carrier, (sender, messages)) = (carrier(), mpsc::channel(4));
        let stopping = carrier.stopping.clone();
        let mut messages = messages;
        let messages = stream::poll_fn(move |cx| messages.poll_recv(cx)).map(Ok::<_, Infallible>);
        let mut answers = carried(Repeats, carrier, messages);
        sender.send(message("5")).await.expect("open");
        assert!(answers.next().now_or_never().is_none(), "it runs");
        stopping.cancel();
        let Ok(answer) = answers.next().await.expect("an answer");
        assert_eq!(text(&answer), "5");
        let ended = timeout(Duration::from_secs(1), answers.next()).await.expect("it is quiet");
        assert!(ended.is_none());
    }
}
