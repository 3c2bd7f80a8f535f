//! SIGINT, SIGTERM and SIGQUIT, as often as they come.

use futures::StreamExt;
use futures::stream::SelectAll;
use std::future::pending;

/// The signals that ask this process to stop.
pub(crate) struct Signals {
    #[cfg(unix)]
    received: SelectAll<futures::stream::BoxStream<'static, &'static str>>,
}

impl Signals {
    /// Takes the signals over from the system's defaults; with `handle` false it does not, and never yields one.
    pub(crate) fn new(handle: bool) -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let mut received = SelectAll::new();
            let wanted = [
                ("SIGINT", SignalKind::interrupt()),
                ("SIGTERM", SignalKind::terminate()),
                ("SIGQUIT", SignalKind::quit()),
            ];
            for (name, kind) in wanted.into_iter().filter(|_| handle) {
                match signal(kind) {
                    Ok(signal) => {
                        let names = futures::stream::unfold(signal, move |mut signal| async move {
                            signal.recv().await.map(|()| (name, signal))
                        });
                        received.push(names.boxed());
                    }
                    Err(error) => tracing::warn!(signal = name, %error, "cannot handle this signal"),
                }
            }
            Self { received }
        }
        #[cfg(not(unix))]
        {
            _ = handle;
            Self {}
        }
    }

    /// The next signal's name. Cancel safe.
    pub(crate) async fn next(&mut self) -> &'static str {
        #[cfg(unix)]
        if let Some(name) = self.received.next().await {
            return name;
        }
        pending().await
    }
}
