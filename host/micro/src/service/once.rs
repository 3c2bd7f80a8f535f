//! Services that end after one call, as Go Micro's functions do.

use super::ServiceBuilder;
use crate::rpc::{self, Body, RpcLayer, RpcRequest, RpcService};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

/// Handlers of every service, which looking after it calls.
const CARE: [&str; 2] = ["Debug.", "grpc."];

/// Stops the service when the first call is over.
pub(super) struct Once(pub(super) CancellationToken);

/// A call that runs; the service stops with its end, whatever that is.
struct Running(CancellationToken);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl RpcLayer for Once {
    fn wrap(&self, inner: RpcService) -> RpcService {
        let stop = self.0.clone();
        RpcService::new(tower::service_fn(move |request: RpcRequest| {
            let inner = inner.clone();
            let counts = !CARE.iter().any(|prefix| request.head.endpoint.starts_with(prefix));
            let running = counts.then(|| Running(stop.clone()));
            async move {
                let mut response = rpc::call(&inner, request).await?;
                if let (Body::Stream(_), Some(running)) = (&response.body, running)
                    && let Body::Stream(messages) = std::mem::take(&mut response.body)
                {
                    // The call lasts as long as its answers.
                    response.body = Body::Stream(
                        messages
                            .inspect(move |_| {
                                _ = &running;
                            })
                            .boxed(),
                    );
                }
                Ok(response)
            }
        }))
    }
}

impl ServiceBuilder {
    /// Ends the service after one call of a handler, in the usual order: [`Service::run`](super::Service::run) returns
    /// then. Calls that come in the meantime are answered too. Health checks do not count.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Serves on a socket that was bound elsewhere, in place of the address. It must be listening.
    #[must_use]
    pub fn listener(mut self, listener: std::net::TcpListener) -> Self {
        self.listener = Some(listener);
        self
    }
}
