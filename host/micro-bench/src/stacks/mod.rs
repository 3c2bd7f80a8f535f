//! The stacks that are compared: each greets with the same 64 bytes of protobuf, and a caller sends its next request
//! when it has the answer to the one before.
//!
//! Those in Rust run in this process, server and callers on one runtime. Go Micro's are a server process and a client
//! process. Either way the CPU of both sides counts.

pub(crate) mod bare;
pub(crate) mod events;
pub(crate) mod framework;
pub(crate) mod go;
pub(crate) mod hyper_http1;
pub(crate) mod tonic_grpc;

use crate::Failed;
use crate::figures::Sample;
use async_trait::async_trait;
use rustix::time::{ClockId, clock_gettime};
use std::future::Future;
use std::time::{Duration, Instant};

pub(crate) const SERVICE: &str = greeter::SRV;
pub(crate) const ENDPOINT: &str = "Say.Hello";
/// The name in the request and the message in the answer.
pub(crate) const TEXT: &str = "**************************************************************";
/// What goes back and forth: `TEXT` as field 1 of the example greeter's messages.
pub(crate) const BODY: &[u8] = &{
    let mut body = [b'*'; 64];
    body[0] = 0x0a;
    body[1] = 62;
    body
};

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Closed loops.
    pub(crate) connections: usize,
    /// What counts.
    pub(crate) time: Duration,
    /// What comes before and does not count: connections are opened and buffers grow.
    pub(crate) warm_up: Duration,
}

/// A running server, and how to call it.
#[async_trait]
pub(crate) trait Stack: Send + Sync {
    /// Loads it once. A failed call is an error: a stack that drops requests has no figure.
    async fn measure(&self, load: Load) -> Result<Sample, Failed>;
}

/// A stack whose server and callers run in this process.
pub(crate) trait ClosedLoop: Clone + Send + Sync + 'static {
    /// Calls one after the other until `until`; the latencies in nanoseconds of those that began after `from`.
    fn closed_loop(
        self,
        from: Instant,
        until: Instant,
    ) -> impl Future<Output = Result<Vec<u32>, Failed>> + Send;
}

/// Measures a [`ClosedLoop`] with the CPU of this process.
pub(crate) struct InProcess<L>(pub(crate) L);

#[async_trait]
impl<L: ClosedLoop> Stack for InProcess<L> {
    async fn measure(&self, load: Load) -> Result<Sample, Failed> {
        let from = Instant::now() + load.warm_up;
        let until = from + load.time;
        let loops: Vec<_> =
            (0..load.connections).map(|_| tokio::spawn(self.0.clone().closed_loop(from, until))).collect();
        tokio::time::sleep_until(from.into()).await;
        let before = process_cpu();
        tokio::time::sleep_until(until.into()).await;
        let cpu = process_cpu() - before;
        let mut latencies = Vec::new();
        for one in loops {
            latencies.extend(one.await??);
        }
        Sample::of(&mut latencies, load.time, cpu)
    }
}

fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
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

#[cfg(test)]
mod tests {
    use super::*;
    use micro::{Format, Payload};

    #[test]
    fn all_stacks_send_the_same_64_bytes() {
        assert_eq!((BODY.len(), &BODY[2..]), (64, TEXT.as_bytes()));
        let request = greeter::srv::Request { name: TEXT.to_owned() };
        let response = greeter::srv::Response { msg: TEXT.to_owned() };
        assert_eq!(request.to_bytes(Format::Protobuf).expect("encodes"), BODY);
        assert_eq!(response.to_bytes(Format::Protobuf).expect("encodes"), BODY);
    }
}
