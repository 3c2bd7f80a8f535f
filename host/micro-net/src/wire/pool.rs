//! Idle connections, by address.

use super::client::Connection;
use super::error::ExchangeError;
use super::{NativeWire, Wire};
use crate::dial::{Dialer, Target};
use crate::egress::EgressPolicy;
use crate::stream::Stream;
use micro_core::Message;
use parking_lot::Mutex;
use rustls::ClientConfig;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a pool keeps, and how it connects.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Idle connections per address; 0 keeps none.
    pub size: usize,
    /// How long an idle connection is kept. Shorter than servers keep theirs.
    pub ttl: Duration,
    /// Idle connections over all addresses.
    pub max_idle: usize,
    /// The largest body of an answer, in bytes.
    pub max_body: usize,
    /// Makes the connections.
    pub dialer: Dialer,
    /// Speaks TLS to everybody.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Default for PoolConfig {
    /// 100 per address for one minute, 4096 in all, answers up to 64 MiB, any address, plain TCP.
    fn default() -> Self {
        Self {
            size: 100,
            ttl: Duration::from_secs(60),
            max_idle: 4096,
            max_body: 64 << 20,
            dialer: Dialer::new(EgressPolicy::unrestricted()),
            tls: None,
        }
    }
}

/// Sends requests on connections that it keeps. The connection that was used last is used next, so that those which a
/// burst needed can expire.
#[derive(Debug)]
pub struct Pool<W = NativeWire> {
    config: PoolConfig,
    wire: W,
    idle: Mutex<Idle<W>>,
}

#[derive(Debug)]
struct Idle<W> {
    /// The oldest first.
    by_address: HashMap<String, Vec<Kept<W>>>,
    total: usize,
    swept: Instant,
}

#[derive(Debug)]
struct Kept<W> {
    connection: Connection<Stream, W>,
    since: Instant,
}

impl Pool {
    /// An empty pool.
    pub fn new(config: PoolConfig) -> Self {
        Self::with_wire(config, NativeWire)
    }
}

impl<W: Wire> Pool<W> {
    /// An empty pool whose connections read and write heads with `wire`.
    pub fn with_wire(config: PoolConfig, wire: W) -> Self {
        let idle = Idle { by_address: HashMap::new(), total: 0, swept: Instant::now() };
        Self { config, wire, idle: Mutex::new(idle) }
    }

    /// Sends a request to `address` (`host:port`) and waits for its answer, on an idle connection or on a new one,
    /// which gets `connect_timeout` to be made. The exchange itself has no deadline: drop the future, and its
    /// connection is closed.
    ///
    /// A kept connection that turns out to be dead before anything was written is replaced; after that, nothing is
    /// sent twice.
    ///
    /// # Errors
    /// See [`ExchangeError`].
    pub async fn exchange(
        &self,
        address: &str,
        request: &Message,
        connect_timeout: Duration,
    ) -> Result<Message, ExchangeError> {
        self.exchange_at(address, "/", request, connect_timeout).await
    }

    /// [`Self::exchange`] with another request target than `/`.
    ///
    /// # Errors
    /// See [`ExchangeError`].
    pub async fn exchange_at(
        &self,
        address: &str,
        path: &str,
        request: &Message,
        connect_timeout: Duration,
    ) -> Result<Message, ExchangeError> {
        while let Some(Kept { mut connection, .. }) = self.take(address) {
            if !connection.is_alive().await {
                continue;
            }
            let answer = connection.exchange_at(path, request).await;
            if !matches!(answer, Err(ExchangeError::NotSent(_))) {
                self.keep(address, connection);
                return answer;
            }
        }
        let target: Target = address.parse()?;
        let dialer = self.config.dialer.clone().with_timeout(connect_timeout);
        let tls = self.config.tls.as_ref();
        let mut connection =
            Connection::dial(&dialer, &target, tls, self.config.max_body, self.wire.clone()).await?;
        let answer = connection.exchange_at(path, request).await;
        self.keep(address, connection);
        answer
    }

    /// Makes sure that there is a connection to `address`, without sending anything on it: a kept one that is alive, or
    /// a new one, which is kept.
    ///
    /// # Errors
    /// See [`ExchangeError`].
    pub async fn reach(&self, address: &str, connect_timeout: Duration) -> Result<(), ExchangeError> {
        while let Some(Kept { mut connection, .. }) = self.take(address) {
            if connection.is_alive().await {
                self.keep(address, connection);
                return Ok(());
            }
        }
        let target: Target = address.parse()?;
        let dialer = self.config.dialer.clone().with_timeout(connect_timeout);
        let tls = self.config.tls.as_ref();
        let connection =
            Connection::dial(&dialer, &target, tls, self.config.max_body, self.wire.clone()).await?;
        self.keep(address, connection);
        Ok(())
    }

    /// The number of idle connections.
    pub fn idle(&self) -> usize {
        self.idle.lock().total
    }

    /// Closes all idle connections.
    pub fn clear(&self) {
        let closed = {
            let mut idle = self.idle.lock();
            idle.total = 0;
            std::mem::take(&mut idle.by_address)
        };
        // Closing sockets needs no lock.
        drop(closed);
    }

    fn take(&self, address: &str) -> Option<Kept<W>> {
        if self.config.size == 0 {
            return None;
        }
        let mut idle = self.idle.lock();
        let kept = idle.by_address.get_mut(address)?.pop()?;
        idle.total -= 1;
        if kept.since.elapsed() < self.config.ttl {
            return Some(kept);
        }
        // The rest are older still.
        let expired = std::mem::take(idle.by_address.get_mut(address)?);
        idle.total -= expired.len();
        drop(idle);
        drop((kept, expired));
        None
    }

    fn keep(&self, address: &str, connection: Connection<Stream, W>) {
        if !connection.is_reusable() || self.config.size == 0 {
            return;
        }
        let since = Instant::now();
        let mut idle = self.idle.lock();
        let expired = idle.sweep(since, self.config.ttl);
        let Idle { by_address, total, .. } = &mut *idle;
        let kept = match by_address.get_mut(address) {
            Some(kept) => kept,
            None => by_address.entry(address.to_owned()).or_default(),
        };
        if kept.len() < self.config.size && *total < self.config.max_idle {
            kept.push(Kept { connection, since });
            *total += 1;
        }
        drop(idle);
        drop(expired);
    }
}

impl<W> Idle<W> {
    /// Takes out what has expired at addresses that nobody calls any more, once per `ttl`.
    fn sweep(&mut self, now: Instant, ttl: Duration) -> Vec<Kept<W>> {
        if now.saturating_duration_since(self.swept) < ttl {
            return Vec::new();
        }
        self.swept = now;
        let mut expired = Vec::new();
        self.by_address.retain(|_, kept| {
            let fresh = kept.partition_point(|kept| now.saturating_duration_since(kept.since) >= ttl);
            expired.extend(kept.drain(..fresh));
            !kept.is_empty()
        });
        self.total -= expired.len();
        expired
    }
}
