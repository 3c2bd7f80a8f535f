//! Registering: one key and one lease for each node.

use crate::client::Fault;
use crate::gateway::{DeleteAnswer, Frame, Lease, Revoked, TxnAnswer, code, encode};
use crate::http::HttpClient;
use crate::read::put_if_different;
use crate::{Error, Etcd, Service, record};
use futures::lock::Mutex;
use serde_json::json;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The lease of a node that this instance registered. A cache: an instance that has forgotten it grants a new one, and
/// the old one, without a key by then, is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    lease: i64,
    ttl: Duration,
}

/// One call at a time works on a key: two that overlap would both grant a lease.
pub(crate) type Slot = Rc<Mutex<Option<Granted>>>;

impl<H: HttpClient> Etcd<H> {
    /// Writes a record for each node of `service`, or keeps it alive. With a `ttl` of zero it stays until it is
    /// deregistered; etcd counts in seconds, so others are rounded up.
    ///
    /// # Errors
    /// What etcd refuses, and no answer within `timeout`.
    pub async fn register(&self, service: &Service, ttl: Duration, timeout: Duration) -> Result<(), Error> {
        let deadline = self.deadline(timeout);
        for node in &service.nodes {
            let keys = self.layout.keys(&service.name, &node.id)?;
            let text = record::write(service, node)
                .map_err(|error| Error::Invalid(format!("record of node {:?}: {error}", node.id)))?;
            let slot = self.slot(&keys[0]);
            let mut granted = slot.lock().await;
            self.write(deadline, &keys[0], &text, ttl, &mut granted).await?;
        }
        Ok(())
    }

    /// Removes the record of each node of `service`.
    ///
    /// # Errors
    /// What etcd refuses, and no answer within `timeout`.
    pub async fn deregister(&self, service: &Service, timeout: Duration) -> Result<(), Error> {
        let deadline = self.deadline(timeout);
        for node in &service.nodes {
            let keys = self.layout.keys(&service.name, &node.id)?;
            let slot = self.slot(&keys[0]);
            let mut granted = slot.lock().await;
            let mut lease = granted.map(|it| it.lease);
            // A node that is not where this plugin writes was written by an older Go Micro.
            for key in &keys {
                let delete = json!({ "key": encode(key), "prev_kv": true });
                let answer: DeleteAnswer = self.client.call(deadline, "/v3/kv/deleterange", &delete).await?;
                if let Some(old) = answer.prev_kvs.first() {
                    lease = lease.or(Some(old.lease));
                    break;
                }
            }
            *granted = None;
            self.slots.borrow_mut().remove(&keys[0]);
            if let Some(lease) = lease {
                self.release(deadline, lease).await;
            }
        }
        Ok(())
    }

    fn slot(&self, key: &str) -> Slot {
        self.slots.borrow_mut().entry(key.to_owned()).or_default().clone()
    }

    async fn write(
        &self,
        deadline: Instant,
        key: &str,
        text: &[u8],
        ttl: Duration,
        granted: &mut Option<Granted>,
    ) -> Result<(), Error> {
        let mut may_retry = true;
        loop {
            let lease = self.lease(deadline, ttl, granted).await?;
            match self.client.call(deadline, "/v3/kv/txn", &put_if_different(key, text, lease)).await {
                // The lease ended between its renewal and here.
                Err(fault) if fault.code() == Some(code::NOT_FOUND) && may_retry => {
                    *granted = None;
                    may_retry = false;
                }
                Err(fault) => return Err(fault.into()),
                Ok(answer) => {
                    let answer: TxnAnswer = answer;
                    let put = answer.responses.into_iter().next().and_then(|it| it.response_put.prev_kv);
                    if let Some(old) = put.filter(|old| old.lease != lease) {
                        self.release(deadline, old.lease).await;
                    }
                    return Ok(());
                }
            }
        }
    }

    /// The lease to write with: the known one, renewed, or a new one. 0 is none.
    async fn lease(
        &self,
        deadline: Instant,
        ttl: Duration,
        granted: &mut Option<Granted>,
    ) -> Result<i64, Fault> {
        if ttl.is_zero() {
            *granted = None;
            return Ok(0);
        }
        if let Some(known) = granted.filter(|known| known.ttl == ttl) {
            let renew = json!({ "ID": known.lease.to_string() });
            let answer: Frame<Lease> = self.client.call(deadline, "/v3/lease/keepalive", &renew).await?;
            if answer.result.is_some_and(|lease| lease.ttl > 0) {
                return Ok(known.lease);
            }
        }
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let grant = json!({ "TTL": seconds.to_string() });
        let lease: Lease = self.client.call(deadline, "/v3/lease/grant", &grant).await?;
        *granted = Some(Granted { lease: lease.id, ttl });
        Ok(lease.id)
    }

    /// Revokes a lease that no key has any more. Leases end by themselves, so a failure costs little; but a lease that
    /// still holds keys, whoever wrote them, must not be revoked.
    async fn release(&self, deadline: Instant, lease: i64) {
        if lease == 0 {
            return;
        }
        let ask = json!({ "ID": lease.to_string(), "keys": true });
        let known: Result<Lease, _> = self.client.call(deadline, "/v3/lease/timetolive", &ask).await;
        if known.is_ok_and(|lease| lease.ttl > 0 && lease.keys.is_empty()) {
            let revoke = json!({ "ID": lease.to_string() });
            let _: Result<Revoked, _> = self.client.call(deadline, "/v3/lease/revoke", &revoke).await;
        }
    }
}
