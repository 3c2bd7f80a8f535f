//! The loops of `micro_net::wire` alone: sockets, heads, bodies; no selection, no deadlines, no statistics.

use super::{BODY, ClosedLoop, ENDPOINT, InProcess, Latencies, SERVICE, Stack};
use crate::Failed;
use bytes::Bytes;
use micro_core::{Headers, Message};
use micro_net::wire::{Connection, Handler, Limits, Request, Wire, serve_rpc_with};
use micro_net::{Dialer, EgressPolicy, Listener, Stop, Target};
use std::time::{Duration, Instant};

#[derive(Clone)]
struct Bare<W> {
    target: Target,
    wire: W,
}

/// Heads are read and written by `wire` on both sides.
pub(crate) async fn start<W: Wire>(wire: W) -> Result<Box<dyn Stack>, Failed> {
    let listener = Listener::bind("127.0.0.1:0").await?;
    let target = listener.local_addr().to_string().parse()?;
    // Serves until the program ends.
    let limits = Limits::default();
    tokio::spawn(serve_rpc_with(wire.clone(), listener, Echo, limits, Stop::new(), Duration::ZERO));
    Ok(Box::new(InProcess(Bare { target, wire })))
}

#[derive(Clone)]
struct Echo;

impl Handler for Echo {
    /// Looks at what a service has to look at, and answers the body.
    async fn handle(&self, request: Request) -> Message {
        let Message { headers, body } = request.message;
        let is = |name: &str, value: &str| headers.get(name) == Some(value);
        let mut answer = Headers::with_capacity(3, 128);
        if !is("Micro-Service", SERVICE) || !is("Micro-Endpoint", ENDPOINT) {
            answer.append("Micro-Error", "not found");
        }
        for name in ["Content-Type", "Micro-Id"] {
            if let Some(value) = headers.get_bytes(name) {
                answer.append(name, value);
            }
        }
        Message { headers: answer, body }
    }
}

impl<W: Wire> ClosedLoop for Bare<W> {
    async fn closed_loop(self, from: Instant, until: Instant) -> Result<Vec<u32>, Failed> {
        let mut latencies = Latencies::new(from, until);
        let dialer = Dialer::new(EgressPolicy::unrestricted());
        let mut connection = Connection::dial(&dialer, &self.target, None, 1 << 20, self.wire).await?;
        let body = Bytes::from_static(BODY);
        let mut id = 0u64;
        while let Some(started) = latencies.start() {
            id += 1;
            let mut headers = Headers::with_capacity(8, 256);
            headers.append("Content-Type", "application/protobuf");
            headers.append("Micro-Service", SERVICE);
            headers.append("Micro-Endpoint", ENDPOINT);
            headers.append("Micro-Method", ENDPOINT);
            headers.append("Micro-Id", id.to_string());
            headers.append("Timeout", "5000000000");
            headers.append("Micro-From-Service", "go.micro.cli.bench");
            let answer = connection.exchange(&Message { headers, body: body.clone() }).await?;
            if answer.headers.contains("Micro-Error") || answer.body != body {
                return Err("the echo is not what was sent".into());
            }
            latencies.end(started);
        }
        Ok(latencies.done())
    }
}
