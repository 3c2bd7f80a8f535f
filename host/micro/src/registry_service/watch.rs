//! The stream `Watch`: events as Go's watchers know them.

use super::feed::{Action, Event, Feed, Subscription};
use super::messages::{ID, ServiceRecord, WatchResult};
use super::names::Namespace;
use futures::stream::{self, Stream, StreamExt};
use micro_core::{Error, Service};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// What one caller hears: what is there, as created, so that nothing falls between a look-up and this, and then each
/// change. `wanted` narrows it to one name; empty: everything that the namespace sees. It ends with an error for a
/// caller that takes its events too slowly.
pub(super) fn results(
    feed: Arc<Feed>,
    namespace: Namespace,
    wanted: String,
) -> impl Stream<Item = Result<WatchResult, Error>> + Send + 'static {
    let opened = async move {
        let Subscription { present, events } = feed.subscribe().await;
        let created = present.into_iter().map(|service| Event { action: Action::Create, service });
        let narrow = move |event: Event| {
            let shown = namespace.show(&event.service).filter(|it| wanted.is_empty() || it.name == wanted)?;
            Some(result(event.action, shown))
        };
        let present = stream::iter(created).map(Ok);
        let all = present.chain(following(events));
        // Holds the feed for as long as somebody listens.
        all.filter_map(move |event| {
            let _held = &feed;
            std::future::ready(event.map(&narrow).transpose())
        })
    };
    stream::once(opened).flatten()
}

fn following(events: Receiver<Event>) -> impl Stream<Item = Result<Event, Error>> + Send {
    stream::unfold(Some(events), |events| async {
        let mut events = events?;
        match events.recv().await {
            Ok(event) => Some((Ok(event), Some(events))),
            Err(RecvError::Lagged(missed)) => {
                let detail = format!("{missed} events were not taken in time: watch again");
                Some((Err(Error::internal(ID, detail)), None))
            }
            Err(RecvError::Closed) => None,
        }
    })
}

fn result(action: Action, service: Service) -> WatchResult {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    WatchResult {
        action: action.name().to_owned(),
        service: Some(ServiceRecord::from(service)),
        timestamp: i64::try_from(now).unwrap_or(i64::MAX),
    }
}
