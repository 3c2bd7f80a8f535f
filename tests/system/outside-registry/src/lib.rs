//! A registry that knows one service and forgets everything else.

use micro_sdk::registry::{Batch, Entry, Registry, Service, Snapshot};
use micro_sdk::{Call, Context, Error};
use std::collections::BTreeMap;
use std::time::Duration;

struct Outside;

fn known() -> Service {
    Service { name: "told.by.the.outside".to_owned(), version: "1".to_owned(), ..Service::default() }
}

impl Registry for Outside {
    /// The manifest has none.
    type Options = BTreeMap<String, String>;

    fn configure(_: Context, _: Self::Options) -> Result<Self, Error> {
        Ok(Self)
    }

    async fn register(&self, _: &Call, _: Service, _: Option<Duration>) -> Result<(), Error> {
        Ok(())
    }

    async fn deregister(&self, _: &Call, _: Service) -> Result<(), Error> {
        Ok(())
    }

    async fn get_service(&self, _: &Call, name: &str) -> Result<Snapshot, Error> {
        let found = Some(known()).filter(|service| service.name == name);
        Ok(Snapshot { services: found.into_iter().collect(), cursor: None })
    }

    async fn list_services(&self, _: &Call) -> Result<Vec<String>, Error> {
        Ok(vec![known().name])
    }

    async fn changes(&self, _: &Call, _: Option<&str>, after: Option<&str>, wait: Duration) -> Result<Batch, Error> {
        if let Some(after) = after {
            micro_sdk::time::sleep(wait).await;
            return Ok(Batch::unchanged(after));
        }
        let service = known();
        let entry = Entry { name: service.name.clone(), services: vec![service] };
        Ok(Batch { cursor: "1".to_owned(), resync: true, entries: vec![entry] })
    }
}

micro_sdk::register_registry!(Outside);
