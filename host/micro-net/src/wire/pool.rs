//! Exchanges on connections that are kept for the next ones.

use super::client::Connection;
use super::error::ExchangeError;
use super::idle::Idle;
use super::link::{LinkReceiver, LinkSender, link};
use super::{NativeWire, Wire};
use crate::dial::{Dialer, Target};
use crate::egress::EgressPolicy;
use crate::stream::Stream;
use micro_core::Message;
use parking_lot::Mutex;
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;

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
/// burst needed can expire; but servers that may lose a request which follows an answer too closely get some time
/// between the two (`Idle`).
#[derive(Debug)]
pub struct Pool<W = NativeWire> {
    config: PoolConfig,
    wire: W,
    idle: Mutex<Idle<W>>,
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
        Self { config, wire, idle: Mutex::new(Idle::new()) }
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
        while let Some(mut connection) = self.take(address) {
            if !connection.is_alive().await {
                continue;
            }
            let answer = connection.exchange_at(path, request).await;
            if !matches!(answer, Err(ExchangeError::NotSent(_))) {
                self.keep(address, connection, is_forgetful(request, &answer));
                return answer;
            }
        }
        let mut connection = self.dial(address, connect_timeout).await?;
        let answer = connection.exchange_at(path, request).await;
        self.keep(address, connection, is_forgetful(request, &answer));
        answer
    }

    /// Makes sure that there is a connection to `address`, without sending anything on it: a kept one that is alive, or
    /// a new one, which is kept.
    ///
    /// # Errors
    /// See [`ExchangeError`].
    pub async fn reach(&self, address: &str, connect_timeout: Duration) -> Result<(), ExchangeError> {
        while let Some(mut connection) = self.take(address) {
            if connection.is_alive().await {
                self.keep(address, connection, false);
                return Ok(());
            }
        }
        let connection = self.dial(address, connect_timeout).await?;
        self.keep(address, connection, false);
        Ok(())
    }

    /// A new connection to `address` (`host:port`) for messages that are not paired, which never was in the pool and
    /// never will be. It gets `connect_timeout` to be made.
    ///
    /// # Errors
    /// [`ExchangeError::Address`] and [`ExchangeError::Dial`].
    pub async fn link(
        &self,
        address: &str,
        connect_timeout: Duration,
    ) -> Result<(LinkSender<W>, LinkReceiver<W>), ExchangeError> {
        let target: Target = address.parse()?;
        let dialer = self.config.dialer.clone().with_timeout(connect_timeout);
        let stream = dialer.dial(&target, self.config.tls.as_ref()).await?;
        Ok(link(stream, target.to_string(), self.config.max_body, self.wire.clone()))
    }

    /// The number of idle connections.
    pub fn idle(&self) -> usize {
        self.idle.lock().len()
    }

    /// Closes all idle connections.
    pub fn clear(&self) {
        let closed = std::mem::replace(&mut *self.idle.lock(), Idle::new());
        // Closing sockets needs no lock.
        drop(closed);
    }

    async fn dial(
        &self,
        address: &str,
        connect_timeout: Duration,
    ) -> Result<Connection<Stream, W>, ExchangeError> {
        let target: Target = address.parse()?;
        let dialer = self.config.dialer.clone().with_timeout(connect_timeout);
        let tls = self.config.tls.as_ref();
        Ok(Connection::dial(&dialer, &target, tls, self.config.max_body, self.wire.clone()).await?)
    }

    fn take(&self, address: &str) -> Option<Connection<Stream, W>> {
        if self.config.size == 0 {
            return None;
        }
        let (connection, expired) = self.idle.lock().take(address, &self.config);
        drop(expired);
        connection
    }

    fn keep(&self, address: &str, connection: Connection<Stream, W>, forgetful: bool) {
        if !connection.is_reusable() || self.config.size == 0 {
            return;
        }
        let expired = self.idle.lock().keep(address, connection, forgetful, &self.config);
        drop(expired);
    }
}

/// Whether a server knows its requests by no id, as Go Micro since v4.10 (`go-micro-wire` §1.1). All of Go Micro echo the
/// header of the first request on a connection. Those that know the id set it in good answers, under both its names
/// (§1.3), and these leave the echo as it is.
fn is_forgetful(request: &Message, answer: &Result<Message, ExchangeError>) -> bool {
    let (id, old, service) = ("Micro-Id", "X-Micro-Id", "Micro-Service");
    let Ok(answer) = answer else { return false };
    let (Some(sent), Some(echoed)) = (request.headers.get(id), answer.headers.get(id)) else { return false };
    let has = |message: &Message, name| message.headers.get(name).is_some();
    let good = !has(answer, "Micro-Error");
    sent != echoed || good && has(answer, service) && !has(answer, old) && !has(request, old)
}
