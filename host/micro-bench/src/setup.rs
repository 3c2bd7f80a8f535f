//! What the hot parts of a stack (wire, selector, codec, filter) are made of. Each row of ours is a function of this.
//!
//! This is the one place that knows how a kind of parts is put into a service, a client, a bare loop: another kind is
//! a variant here and an arm in each function; rows, tables and targets follow from [`Setup::id`].

use crate::Failed;
use crate::calls::Call;
use crate::stacks::{self, Stack};
use micro::{ClientBuilder, ServiceBuilder};
use micro_net::wire::NativeWire;

/// The hot parts of a stack.
#[derive(Clone, Debug)]
pub(crate) enum Setup {
    /// Linked into the program.
    Native,
}

impl Setup {
    /// All that this program can run. Targets are for the last one.
    pub(crate) fn all() -> Vec<Self> {
        vec![Self::Native]
    }

    /// How rows are told apart: `bare-native`.
    pub(crate) fn id(&self) -> &'static str {
        match self {
            Self::Native => "native",
        }
    }

    /// How tables say it.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Self::Native => "linked natively",
        }
    }

    /// The loops without the framework.
    pub(crate) async fn bare(&self) -> Result<Box<dyn Stack>, Failed> {
        match self {
            Self::Native => stacks::bare::start(NativeWire).await,
        }
    }

    /// Puts the parts into a service.
    pub(crate) async fn service(&self, service: ServiceBuilder) -> Result<ServiceBuilder, Failed> {
        match self {
            Self::Native => Ok(service),
        }
    }

    /// Puts the parts into a client.
    pub(crate) async fn client(&self, client: ClientBuilder) -> Result<ClientBuilder, Failed> {
        match self {
            Self::Native => Ok(client),
        }
    }

    /// One call of each part.
    pub(crate) async fn calls(&self) -> Result<Vec<Call>, Failed> {
        match self {
            Self::Native => Ok([
                Call::of_wire(NativeWire)?,
                Call::of_selector(micro::selector::Random),
                Call::of_selector(micro::selector::RoundRobin),
            ]
            .into_iter()
            .flatten()
            .collect()),
        }
    }

    /// Flags that make `micro` and the services of a distribution run with these parts.
    pub(crate) fn flags(&self) -> &[&str] {
        match self {
            Self::Native => &[],
        }
    }
}
