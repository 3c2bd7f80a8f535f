//! Where deliveries arrive.

use super::{HttpBroker, Inner, NAME};
use crate::broker::BrokerError;
use crate::register::advertised;
use micro_core::{Error, Message};
use micro_net::listen::Listener;
use micro_net::wire::{self, Plain, Request};
use micro_net::{Stop, error_chain};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long deliveries under way get when the port closes.
const GRACE: Duration = Duration::from_secs(10);

/// Where a port of its own listens unless the settings say it.
const ANYWHERE: &str = ":0";

/// An address that others reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reachable {
    pub(super) address: String,
    pub(super) secure: bool,
}

/// The ports of services that take deliveries, and the broker's own.
#[derive(Debug, Default)]
pub(super) struct Port {
    attached: Mutex<Vec<Reachable>>,
    own: tokio::sync::Mutex<Option<Own>>,
}

#[derive(Debug)]
struct Own {
    at: Reachable,
    soon: CancellationToken,
    serving: JoinHandle<()>,
    /// Of a broker that nobody shut down the port ends with it.
    _now: DropGuard,
}

impl Port {
    pub(super) fn attach(&self, address: String, secure: bool) {
        self.attached.lock().push(Reachable { address, secure });
    }

    pub(super) fn detach(&self, address: &str) {
        self.attached.lock().retain(|known| known.address != address);
    }

    /// Where deliveries arrive: what the settings say, else the port of a service, else a new one.
    pub(super) async fn open(&self, inner: &Arc<Inner>) -> Result<Reachable, BrokerError> {
        let wanted = inner.settings.address.as_deref();
        if wanted.is_none()
            && let Some(attached) = self.attached.lock().first().cloned()
        {
            return Ok(attached);
        }
        let mut own = self.own.lock().await;
        if let Some(own) = &*own {
            return Ok(own.at.clone());
        }
        let wanted = wanted.unwrap_or(ANYWHERE);
        let listener = match &inner.settings.memory {
            Some(memory) => Listener::in_memory(memory, wanted),
            None => Listener::bind(wanted).await,
        };
        let listener = listener
            .map_err(|error| BrokerError::Invalid { broker: NAME.to_owned(), reason: error_chain(&error) })?;
        let bound = listener.local_addr();
        let at = Reachable { address: advertised(bound), secure: false };
        tracing::info!(address = %bound, advertised = at.address, "taking events");
        let stop = Stop::new();
        let handler = Deliveries(Arc::downgrade(inner));
        let serving = wire::serve_rpc_with(
            inner.wire.clone(),
            listener,
            handler,
            wire::Limits::default(),
            stop.clone(),
            GRACE,
        );
        *own = Some(Own {
            at: at.clone(),
            soon: stop.soon,
            serving: tokio::spawn(serving),
            _now: stop.now.drop_guard(),
        });
        Ok(at)
    }

    pub(super) async fn close(&self) {
        let Some(own) = self.own.lock().await.take() else { return };
        own.soon.cancel();
        if let Err(error) = own.serving.await {
            tracing::error!(%error, "the port of the broker did not end well");
        }
    }
}

/// What the broker's own port serves: deliveries and nothing else. It does not keep the broker alive.
#[derive(Clone, Debug)]
struct Deliveries(Weak<Inner>);

impl wire::Handler for Deliveries {
    fn handle(&self, _: Request) -> impl Future<Output = Message> + Send {
        let error = Error::not_found("go.micro.broker", "this port takes events and has no endpoints");
        let mut answer = Message::default();
        answer.headers.append("Micro-Error", error.to_string());
        std::future::ready(answer)
    }

    fn divert(&self, request: &mut Request) -> Option<futures::future::BoxFuture<'static, Plain>> {
        HttpBroker { inner: self.0.upgrade()? }.divert(request)
    }
}
