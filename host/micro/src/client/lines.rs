//! The connections of a client, apart by what secures them.

use super::ID;
use super::security::Security;
use crate::wire::AnyWire;
use micro_core::Error;
use micro_net::grpc::{ChannelConfig, Channels};
use micro_net::tls::{ClientTls, TlsError, client_config};
use micro_net::wire::{Pool, PoolConfig};
use rustls::ClientConfig;
use std::sync::{Arc, OnceLock};

/// What a client knows to make connections.
#[derive(Debug)]
pub(super) struct Lines {
    config: PoolConfig,
    wire: AnyWire,
    tls: ClientTls,
    plain: Line,
    /// Made when a node needs them: reading the roots of the operating system takes a while, and may fail.
    verified: OnceLock<Result<Line, Arc<TlsError>>>,
    unverified: OnceLock<Result<Line, Arc<TlsError>>>,
}

/// Connections of one kind.
#[derive(Debug)]
pub(super) struct Line {
    /// For messages over HTTP.
    pub(super) pool: Pool<AnyWire>,
    /// For calls over gRPC.
    pub(super) channels: Channels,
    /// What secures both; none for plain TCP.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Line {
    fn new(config: PoolConfig, wire: AnyWire) -> Self {
        let channels = Channels::new(ChannelConfig {
            max_message: config.max_body,
            dialer: config.dialer.clone(),
            tls: config.tls.clone(),
            ..ChannelConfig::default()
        });
        let tls = config.tls.clone();
        Self { pool: Pool::with_wire(config, wire), channels, tls }
    }
}

impl Lines {
    /// Connects to nothing yet.
    pub(super) fn new(config: PoolConfig, wire: AnyWire, tls: ClientTls) -> Self {
        let plain = Line::new(PoolConfig { tls: None, ..config.clone() }, wire.clone());
        Self { config, wire, tls, plain, verified: OnceLock::new(), unverified: OnceLock::new() }
    }

    /// The connections for nodes of this kind.
    ///
    /// # Errors
    /// Id `go.micro.client`, code 500: the TLS settings cannot be used.
    pub(super) fn of(&self, security: Security) -> Result<&Line, Error> {
        let line = match security {
            Security::Plain => return Ok(&self.plain),
            Security::Tls => self.verified.get_or_init(|| self.secure(self.tls.clone())),
            Security::TlsUnverified => self
                .unverified
                .get_or_init(|| self.secure(ClientTls { insecure_skip_verify: true, ..self.tls.clone() })),
        };
        line.as_ref().map_err(|error| Error::internal(ID, micro_net::error_chain(&**error)))
    }

    fn secure(&self, tls: ClientTls) -> Result<Line, Arc<TlsError>> {
        let tls = Some(client_config(&tls, &["http/1.1"])?);
        Ok(Line::new(PoolConfig { tls, ..self.config.clone() }, self.wire.clone()))
    }
}
