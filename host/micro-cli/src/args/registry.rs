//! The commands about the registry.

use clap::{Args, Subcommand};

/// `micro registry`.
#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    /// Where to serve, as --server_address [default: :8000, where Go programs look]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
}

/// `micro registry …`.
#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    /// List what the registry knows
    List {
        #[command(subcommand)]
        what: Option<List>,
    },
    /// Show one thing of the registry
    Get {
        #[command(subcommand)]
        what: Option<Get>,
    },
    /// Add something to the registry
    Register {
        #[command(subcommand)]
        what: Option<Register>,
    },
    /// Remove something from the registry
    Deregister {
        #[command(subcommand)]
        what: Option<Deregister>,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum List {
    /// The names of all services, one on a line
    Services,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Get {
    /// Versions, nodes and endpoints of a service
    Service {
        /// The service's name
        name: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Register {
    /// Add the nodes of a service, as `micro get service NAME --output json` prints them
    Service(Definition),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Deregister {
    /// Remove the nodes of a service
    Service(Definition),
}

#[derive(Debug, Args)]
pub(crate) struct Definition {
    /// {"name": "…", "version": "…", "nodes": [{"id": "…", "address": "host:port"}]}
    #[arg(value_name = "JSON")]
    pub(crate) json: Vec<String>,
}
