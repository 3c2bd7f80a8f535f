//! The service of the matrix, as the Go programs have it too.

mod streams;

use super::SERVICE;
use super::case::TOPIC;
use super::messages::matrix::{Answer, Ask};
use micro::broker::MemoryBroker;
use micro::registry::MemoryRegistry;
use micro::{Error, Handler, Payload, RunningService, Service, Subscriber};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Longer than a caller's deadline, shorter than a test's patience.
const SLOWNESS: Duration = Duration::from_millis(1500);
/// For what has to happen on the other side of a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// What happened to whom, for those who ask later.
#[derive(Clone, Default)]
pub(super) struct Noted {
    events: Arc<Mutex<HashMap<String, Event>>>,
}

enum Event {
    Happened(String),
    Awaited(oneshot::Sender<String>),
}

impl Noted {
    pub(super) fn note(&self, name: &str, what: &str) {
        let mut events = self.events.lock().expect("not poisoned");
        match events.remove(name) {
            // Nobody to tell any more is as good as nobody yet.
            Some(Event::Awaited(waiting)) => drop(waiting.send(what.to_owned())),
            _ => drop(events.insert(name.to_owned(), Event::Happened(what.to_owned()))),
        }
    }

    async fn wait(&self, name: &str) -> Result<Answer, Error> {
        let happens = {
            let mut events = self.events.lock().expect("not poisoned");
            if let Some(Event::Happened(what)) = events.remove(name) {
                return Ok(Answer { msg: what, number: 0 });
            }
            let (sender, happens) = oneshot::channel();
            events.insert(name.to_owned(), Event::Awaited(sender));
            happens
        };
        match timeout(PATIENCE, happens).await {
            Ok(Ok(what)) => Ok(Answer { msg: what, number: 0 }),
            _ => Err(Error::internal(SERVICE, "nothing happened")),
        }
    }
}

/// The methods that answer once.
fn unary(ended: Noted, heard: Noted) -> Handler {
    let (ask, answer) = (Ask::shape, Answer::shape);
    Handler::new("Matrix")
        .unary("Echo", ask(), answer(), |_, ask: Ask| async move {
            Ok(Answer { msg: ask.name, number: ask.count })
        })
        .unary("Refuse", ask(), answer(), |_, ask: Ask| async move {
            Err::<Answer, _>(Error::conflict(SERVICE, format!("no {:?}: 100%", ask.name)))
        })
        .unary("Boom", ask(), answer(), |_, _: Ask| async {
            Err::<Answer, _>(Error { detail: "boom".to_owned(), ..Error::default() })
        })
        .unary("Slow", ask(), answer(), |_, ask: Ask| async move {
            tokio::time::sleep(SLOWNESS).await;
            Ok(Answer { msg: ask.name, number: 0 })
        })
        .unary("Metadata", ask(), answer(), |cx, ask: Ask| async move {
            let values: Vec<_> =
                ask.name.split(',').map(|name| cx.metadata(name).unwrap_or_default()).collect();
            Ok(Answer { msg: values.join("|"), number: 0 })
        })
        .unary("Ended", ask(), answer(), move |_, ask: Ask| {
            let ended = ended.clone();
            async move { ended.wait(&ask.name).await }
        })
        .unary("Heard", ask(), answer(), move |_, ask: Ask| {
            let heard = heard.clone();
            async move { heard.wait(&ask.name).await }
        })
}

/// Starts it on a port of its own, in this process.
pub(crate) async fn start() -> RunningService {
    let (ended, heard) = (Noted::default(), Noted::default());
    let hearing = heard.clone();
    let subscriber = Subscriber::new(TOPIC, move |_, event: Ask| {
        hearing.note(&event.name, &format!("heard {}", event.count));
        std::future::ready(Ok(()))
    });
    let service = Service::builder(SERVICE)
        .address("127.0.0.1:0")
        .registry(MemoryRegistry::new())
        .broker(MemoryBroker::new())
        .handle_signals(false)
        .drain_delay(Duration::ZERO)
        .subscriber(subscriber)
        .handler(streams::add(unary(ended.clone(), heard), ended));
    service.build().await.expect("builds").start().await.expect("starts")
}
