//! Connections by address.

use super::call::{Call, Opening, Reply};
use super::client::{Channel, Entered};
use super::error::CallError;
use super::stream::{Receiving, Sending};
use crate::dial::{Dialer, Target};
use crate::egress::EgressPolicy;
use parking_lot::Mutex;
use rustls::ClientConfig;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a call is sent in all, while peers say that they have not looked at it.
const ATTEMPTS: usize = 3;

/// What channels are made of.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    /// Connections to one address. There is another one when those there are full: 256 calls, or fewer if the server
    /// takes fewer.
    pub max_per_address: usize,
    /// How long a connection without calls is kept.
    pub idle: Duration,
    /// The largest message of an answer, in bytes.
    pub max_message: usize,
    /// Makes the connections.
    pub dialer: Dialer,
    /// Speaks TLS to everybody, and offers HTTP/2 only.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Default for ChannelConfig {
    /// 16 per address, closed after five idle minutes, answers up to 64 MiB, any address, plain TCP.
    fn default() -> Self {
        Self {
            max_per_address: 16,
            idle: Duration::from_secs(300),
            max_message: 64 << 20,
            dialer: Dialer::new(EgressPolicy::unrestricted()),
            tls: None,
        }
    }
}

/// Sends calls on connections that they share. There are no pings: servers of the usual kind take more than one in five
/// minutes for abuse. The kernel's keep-alive finds peers that vanished, and a connection on which somebody gave up after
/// a second without any answer gets no new calls.
#[derive(Debug)]
pub struct Channels {
    config: ChannelConfig,
    tls: Option<Arc<ClientConfig>>,
    peers: Mutex<Peers>,
}

#[derive(Debug)]
struct Peers {
    by_address: HashMap<String, Arc<Peer>>,
    swept: Instant,
}

/// The connections to one address.
#[derive(Debug, Default)]
struct Peer {
    channels: Mutex<Vec<Arc<Channel>>>,
    /// One connection is made at a time; the others wait for it.
    dialing: tokio::sync::Mutex<Option<Failure>>,
}

/// The last attempt to connect that failed. Whoever was waiting for it need not try again.
#[derive(Debug)]
struct Failure {
    at: Instant,
    error: CallError,
}

impl Channels {
    /// No connections yet.
    pub fn new(config: ChannelConfig) -> Self {
        let tls = config.tls.as_ref().map(|tls| {
            let mut tls = ClientConfig::clone(tls);
            tls.alpn_protocols = vec![b"h2".to_vec()];
            Arc::new(tls)
        });
        let peers = Peers { by_address: HashMap::new(), swept: Instant::now() };
        Self { config, tls, peers: Mutex::new(peers) }
    }

    /// Sends a call to `address` (`host:port`) and waits for its answer. A connection gets `connect_timeout` to be made.
    /// The call itself has no deadline: drop the future, and its stream is reset.
    ///
    /// A call that the peer has not looked at, because it was about to close the connection or had no room for another
    /// stream, is sent again on another connection.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(
        &self,
        address: &str,
        call: &Call<'_>,
        connect_timeout: Duration,
    ) -> Result<Reply, CallError> {
        let peer = self.peer(address);
        let mut refused = None;
        for _ in 0..ATTEMPTS {
            let entered = self.enter(&peer, address, connect_timeout).await?;
            match entered.call(call).await {
                Err(CallError::NotTaken(error)) => refused = Some(CallError::NotTaken(error)),
                outcome => return outcome,
            }
        }
        Err(refused.unwrap_or_else(|| CallError::Malformed("no attempt was made".to_owned())))
    }

    /// Makes sure that there is a connection to `address`, without a call on it.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn reach(&self, address: &str, connect_timeout: Duration) -> Result<(), CallError> {
        let peer = self.peer(address);
        self.enter(&peer, address, connect_timeout).await.map(drop)
    }

    /// Opens a stream to `address` (`host:port`): a call with any number of messages each way. Returns when it is open,
    /// which is before anything of it was answered. A connection gets `connect_timeout` to be made; where all of them are
    /// full, this waits until another call ends.
    ///
    /// The call ends when both halves are dropped, which tells the callee.
    ///
    /// # Errors
    /// See [`CallError`]. Nothing was executed.
    pub async fn open_stream(
        &self,
        address: &str,
        opening: &Opening<'_>,
        connect_timeout: Duration,
    ) -> Result<(Sending, Receiving), CallError> {
        let peer = self.peer(address);
        let mut refused = None;
        for _ in 0..ATTEMPTS {
            let entered = self.enter(&peer, address, connect_timeout).await?;
            match entered.open(opening).await {
                Err(CallError::NotTaken(error)) => refused = Some(CallError::NotTaken(error)),
                outcome => return outcome,
            }
        }
        Err(refused.unwrap_or_else(|| CallError::Malformed("no attempt was made".to_owned())))
    }

    /// The number of open connections.
    pub fn open(&self) -> usize {
        let peers: Vec<_> = self.peers.lock().by_address.values().cloned().collect();
        peers.iter().map(|peer| peer.channels.lock().iter().filter(|channel| channel.is_open()).count()).sum()
    }

    fn peer(&self, address: &str) -> Arc<Peer> {
        let mut peers = self.peers.lock();
        let swept = peers.sweep(self.config.idle);
        let peer = match peers.by_address.get(address) {
            Some(peer) => peer.clone(),
            None => peers.by_address.entry(address.to_owned()).or_default().clone(),
        };
        drop(peers);
        // Closing connections needs no lock.
        drop(swept);
        peer
    }

    /// A place on a connection: on the one with the fewest calls, if it has room, or on a new one.
    async fn enter(
        &self,
        peer: &Peer,
        address: &str,
        connect_timeout: Duration,
    ) -> Result<Entered, CallError> {
        if let Some(entered) = self.existing(peer) {
            return Ok(entered);
        }
        let waiting_since = Instant::now();
        let mut failure = peer.dialing.lock().await;
        if let Some(failure) = failure.as_ref().filter(|failure| failure.at >= waiting_since) {
            return Err(failure.error.clone());
        }
        if let Some(entered) = self.existing(peer) {
            return Ok(entered);
        }
        match self.connect(address, connect_timeout).await {
            Ok(channel) => {
                let channel = Arc::new(channel);
                let entered = channel.enter();
                peer.channels.lock().push(channel);
                Ok(entered)
            }
            Err(error) => {
                *failure = Some(Failure { at: Instant::now(), error: error.clone() });
                Err(error)
            }
        }
    }

    fn existing(&self, peer: &Peer) -> Option<Entered> {
        let mut channels = peer.channels.lock();
        // Calls that still run on one that is closed to new ones keep it.
        channels.retain(|channel| channel.is_open());
        let least = channels.iter().min_by_key(|channel| channel.in_flight())?;
        // When all are full and there may be no more, calls wait inside a connection for their turn.
        let room =
            least.in_flight() < least.capacity() || channels.len() >= self.config.max_per_address.max(1);
        room.then(|| least.enter())
    }

    async fn connect(&self, address: &str, timeout: Duration) -> Result<Channel, CallError> {
        let target: Target = address.parse()?;
        let dialer = self.config.dialer.clone().with_timeout(timeout);
        let stream = dialer.dial(&target, self.tls.as_ref()).await;
        let stream = stream.map_err(|error| CallError::Dial(Arc::new(error)))?;
        Channel::open(stream, &target.to_string(), self.config.max_message).await
    }
}

impl Peers {
    /// Takes out what nobody has used for long, looking only now and then.
    fn sweep(&mut self, idle: Duration) -> Vec<Arc<Channel>> {
        if self.swept.elapsed() < idle {
            return Vec::new();
        }
        self.swept = Instant::now();
        let mut swept = Vec::new();
        self.by_address.retain(|_, peer| {
            let mut channels = peer.channels.lock();
            swept.extend(channels.extract_if(.., |channel| channel.idle() >= idle));
            // Somebody may hold the peer in order to connect.
            !channels.is_empty() || Arc::strong_count(peer) > 1
        });
        swept
    }
}
