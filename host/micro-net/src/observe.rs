//! How a connection came about, for whoever wants to know: `micro explain` does.
//!
//! The dialer is deep inside pools, and only one call in a million is watched. So the watcher is a property of the task:
//! without one, a connection that is made costs a look at an empty place, and one that is kept costs nothing.

use std::net::SocketAddr;
use std::sync::Arc;

tokio::task_local! {
    static OBSERVER: Observer;
}

/// Told of each step, in the task that connects.
pub type Observer = Arc<dyn Fn(DialStep) + Send + Sync>;

/// One step on the way to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialStep {
    /// Begins.
    Dialing {
        /// `host:port`.
        target: String,
    },
    /// The addresses that the name has, and that may be used.
    Resolved {
        /// In the order in which they are tried.
        addresses: Vec<SocketAddr>,
    },
    /// TCP is there.
    Connected {
        /// The address that answered first.
        address: Option<SocketAddr>,
    },
    /// TLS is there.
    Tls {
        /// For instance `TLSv1_3`.
        version: String,
        /// For instance `TLS13_AES_256_GCM_SHA384`.
        cipher: String,
        /// The protocol inside that both agreed on; empty for none.
        alpn: String,
    },
}

/// Runs `work` with an observer of the connections that it makes itself. Tasks that it spawns are not watched.
pub async fn observed<F: Future>(observer: Observer, work: F) -> F::Output {
    OBSERVER.scope(observer, work).await
}

/// Says a step to whoever watches this task.
pub(crate) fn say(step: impl FnOnce() -> DialStep) {
    // Nearly always nobody does.
    _ = OBSERVER.try_with(|observer| observer(step()));
}

/// What a handshake agreed on.
pub(crate) fn tls(connection: &rustls::ClientConnection) -> DialStep {
    let text = |debug: Option<String>| debug.unwrap_or_default();
    DialStep::Tls {
        version: text(connection.protocol_version().map(|it| format!("{it:?}"))),
        cipher: text(connection.negotiated_cipher_suite().map(|it| format!("{:?}", it.suite()))),
        alpn: text(connection.alpn_protocol().map(|it| String::from_utf8_lossy(it).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dialer, EgressPolicy};
    use parking_lot::Mutex;

    #[tokio::test]
    async fn each_step_is_told_and_without_a_watcher_nobody_cares() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let target = address.to_string().parse().expect("an address");
        let dialer = Dialer::new(EgressPolicy::unrestricted());
        let steps = Arc::new(Mutex::new(Vec::new()));
        let told = steps.clone();
        let observer: Observer = Arc::new(move |step| told.lock().push(step));
        observed(observer, dialer.dial(&target, None)).await.expect("it listens");
        dialer.dial(&target, None).await.expect("it listens");
        let expected = [
            DialStep::Dialing { target: address.to_string() },
            DialStep::Resolved { addresses: vec![address] },
            DialStep::Connected { address: Some(address) },
        ];
        assert_eq!(*steps.lock(), expected);
    }
}
