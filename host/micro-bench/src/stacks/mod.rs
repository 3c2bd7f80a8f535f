//! The stacks that are compared. Each echoes 64 bytes with the same request headers, server and client in one process.

pub(crate) mod bare;
pub(crate) mod framework;
pub(crate) mod hyper_http1;

use std::time::Instant;

/// Why a row has no figure.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What goes back and forth.
pub(crate) const BODY: &[u8] = &[0x2a; 64];
pub(crate) const SERVICE: &str = "go.micro.srv.echo";
pub(crate) const ENDPOINT: &str = "Echo.Bytes";

/// A running server, and how to call it.
#[derive(Clone)]
pub(crate) enum Stack {
    /// `micro::Client` to `micro::Service`.
    Framework(framework::Framework),
    /// The loops of `micro_net::wire` without the framework.
    Bare(bare::Bare),
    /// hyper's http1 client and server.
    Hyper(hyper_http1::Hyper),
}

impl Stack {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Framework(_) => "micro, whole framework",
            Self::Bare(_) => "micro, bare loop",
            Self::Hyper(_) => "hyper http1",
        }
    }

    /// Calls one after the other until `until`; the latencies in nanoseconds of those that began after `from`.
    pub(crate) async fn closed_loop(self, from: Instant, until: Instant) -> Result<Vec<u32>, Failed> {
        match self {
            Self::Framework(stack) => stack.closed_loop(from, until).await,
            Self::Bare(stack) => stack.closed_loop(from, until).await,
            Self::Hyper(stack) => stack.closed_loop(from, until).await,
        }
    }
}

/// The latencies of one loop.
pub(crate) struct Latencies {
    from: Instant,
    until: Instant,
    nanoseconds: Vec<u32>,
}

impl Latencies {
    pub(crate) fn new(from: Instant, until: Instant) -> Self {
        Self { from, until, nanoseconds: Vec::with_capacity(1 << 16) }
    }

    /// The start of the next call; none when the time is over.
    pub(crate) fn start(&self) -> Option<Instant> {
        let now = Instant::now();
        (now < self.until).then_some(now)
    }

    pub(crate) fn end(&mut self, started: Instant) {
        if started >= self.from {
            self.nanoseconds.push(u32::try_from(started.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
    }

    pub(crate) fn done(self) -> Vec<u32> {
        self.nanoseconds
    }
}
