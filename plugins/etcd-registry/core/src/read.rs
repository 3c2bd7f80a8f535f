//! Reading records: a consistent picture of all prefixes, in pages.

use crate::client::{Client, Fault};
use crate::gateway::{KeyValue, RangeAnswer, TxnAnswer, code, encode, range, shorten};
use crate::http::HttpClient;
use crate::model::{Service, merge};
use crate::watch::Cursor;
use crate::{Error, Etcd, record};
use serde_json::{Value, json};
use std::time::Instant;

/// Keys in a page: a few megabytes with records of the usual size.
const PAGE: u64 = 500;
/// Keys in a page when records are so large that a page of the usual size does not fit into an answer. etcd takes values
/// of at most 1.5 MB, so this many always do.
const SMALL_PAGE: u64 = 6;
/// What all records of one reading may weigh, in bytes.
const MAX_RECORDS: usize = 32 << 20;
/// Readings that a compaction interrupted are begun again so often.
const ATTEMPTS: usize = 3;
/// Keys of which was warned are remembered up to this number.
const MAX_WARNED: usize = 1024;

/// How fresh a reading has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// What the member that is asked has. Cheap, and works without a leader.
    Member,
    /// Everything that was written before the call.
    Cluster,
}

/// All records under some prefixes at one revision.
pub(crate) struct Reading {
    pub(crate) cursor: Cursor,
    pub(crate) records: Vec<Service>,
}

impl Reading {
    /// All versions of one name. Records of another name may have the same key, but for slashes.
    pub(crate) fn services_of(self, name: &str) -> Vec<Service> {
        let records = self.records.into_iter().filter(|record| record.name == name);
        merge(records).into_values().next().unwrap_or_default()
    }
}

/// What one look at the prefixes tells about a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) cluster: u64,
    pub(crate) revision: u64,
    /// For each prefix the newest revision of a key, and how many keys there are.
    pub(crate) prefixes: Vec<(u64, u64)>,
}

impl<H: HttpClient> Etcd<H> {
    /// Reads all records under `prefixes`.
    pub(crate) async fn read(
        &self,
        deadline: Instant,
        prefixes: &[String],
        freshness: Freshness,
    ) -> Result<Reading, Error> {
        let (mut page, mut attempt) = (PAGE, 1);
        loop {
            match self.read_pages(deadline, prefixes, freshness, page).await {
                Err(ReadError::Fault(Fault::TooLong { .. })) if page > SMALL_PAGE => page = SMALL_PAGE,
                // The revision of the first page is compacted by now, or another member has not come to it yet.
                Err(ReadError::Fault(fault))
                    if fault.code() == Some(code::OUT_OF_RANGE) && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(ReadError::Fault(fault)) => return Err(fault.into()),
                Err(ReadError::TooMuch) => {
                    let limit = MAX_RECORDS >> 20;
                    return Err(Error::Other(format!(
                        "more than {limit} MiB of records under {}",
                        prefixes[0]
                    )));
                }
                Ok((cursor, kvs)) => {
                    let records = kvs.iter().filter_map(|kv| self.record(kv)).collect();
                    return Ok(Reading { cursor, records });
                }
            }
        }
    }

    async fn read_pages(
        &self,
        deadline: Instant,
        prefixes: &[String],
        freshness: Freshness,
        page: u64,
    ) -> Result<(Cursor, Vec<KeyValue>), ReadError> {
        let serializable = freshness == Freshness::Member;
        let limit = json!(page.to_string());
        let first = |prefix: &String| {
            let mut range = range(prefix, None);
            range["limit"] = limit.clone();
            range["serializable"] = json!(serializable);
            range
        };
        let (revision, cluster, pages) =
            read_ranges(&self.client, deadline, prefixes.iter().map(first).collect()).await?;

        let keys: Vec<u64> = pages.iter().map(|page| page.count).collect();
        let (mut all, mut weight) = (Vec::new(), 0);
        for (prefix, mut answer) in prefixes.iter().zip(pages) {
            loop {
                weight += answer.kvs.iter().map(|kv| kv.key.len() + kv.value.len()).sum::<usize>();
                if weight > MAX_RECORDS {
                    return Err(ReadError::TooMuch);
                }
                let last = answer.kvs.last().map(|kv| kv.key.clone());
                all.append(&mut answer.kvs);
                let Some(mut next) = last.filter(|_| answer.more) else { break };
                // The first key after the last one.
                next.push(0);
                let mut range = range(prefix, Some(&next));
                range["limit"] = limit.clone();
                range["revision"] = json!(revision.to_string());
                range["serializable"] = json!(serializable);
                answer = self.client.call(deadline, "/v3/kv/range", &range).await?;
            }
        }
        Ok((Cursor::new(cluster, revision, keys), all))
    }

    /// Looks at the prefixes as the whole cluster knows them, without reading records.
    pub(crate) async fn look(&self, deadline: Instant, prefixes: &[String]) -> Result<Look, Fault> {
        let newest = |prefix: &String| {
            let mut range = range(prefix, None);
            range["limit"] = json!("1");
            range["keys_only"] = json!(true);
            range["sort_order"] = json!("DESCEND");
            range["sort_target"] = json!("MOD");
            range
        };
        let (revision, cluster, answers) =
            read_ranges(&self.client, deadline, prefixes.iter().map(newest).collect()).await?;
        let prefixes = answers
            .iter()
            .map(|answer| (answer.kvs.first().map_or(0, |kv| kv.mod_revision), answer.count))
            .collect();
        Ok(Look { cluster, revision, prefixes })
    }

    /// The record of a key. One that cannot be read is skipped, since one bad writer must not blind everybody; the
    /// operator is told once.
    pub(crate) fn record(&self, kv: &KeyValue) -> Option<Service> {
        let key = String::from_utf8_lossy(&kv.key);
        match record::read(&kv.value) {
            Ok(mut record) => {
                let service = self.layout.service_of(&key).unwrap_or_default();
                if record.name.is_empty() {
                    record.name = service.to_owned();
                }
                // Otherwise a reading of one name and one of everything would disagree.
                if self.layout.is_service(&record.name, service) {
                    return Some(record);
                }
                self.warn_once(kv, || format!("{key} is skipped: it is the record of {:?}", record.name));
                None
            }
            Err(error) => {
                self.warn_once(kv, || format!("{key} is skipped: {error}"));
                None
            }
        }
    }

    fn warn_once(&self, kv: &KeyValue, message: impl FnOnce() -> String) {
        let mut warned = self.warned.borrow_mut();
        if warned.len() >= MAX_WARNED {
            warned.clear();
        }
        if warned.insert(kv.key.clone()) {
            (self.warn)(&shorten(&message()));
        }
    }
}

/// Several ranges at one revision.
async fn read_ranges<H: HttpClient>(
    client: &Client<H>,
    deadline: Instant,
    ranges: Vec<Value>,
) -> Result<(u64, u64, Vec<RangeAnswer>), Fault> {
    let count = ranges.len();
    let operations: Vec<Value> = ranges.into_iter().map(|range| json!({ "request_range": range })).collect();
    let answer: TxnAnswer = client.call(deadline, "/v3/kv/txn", &json!({ "success": operations })).await?;
    if answer.responses.len() != count {
        let what = format!("/v3/kv/txn: {} answers to {count} questions", answer.responses.len());
        return Err(Fault::Malformed { origin: client.current().to_string(), what });
    }
    let answers = answer.responses.into_iter().map(|it| it.response_range).collect();
    Ok((answer.header.revision, answer.header.cluster_id, answers))
}

enum ReadError {
    Fault(Fault),
    TooMuch,
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A put of a record, unless it is there already with this lease.
pub(crate) fn put_if_different(key: &str, record: &[u8], lease: i64) -> Value {
    let (key, lease) = (encode(key), lease.to_string());
    json!({
        "compare": [
            { "key": key, "target": "VALUE", "result": "EQUAL", "value": encode(record) },
            { "key": key, "target": "LEASE", "result": "EQUAL", "lease": lease },
        ],
        "failure": [
            { "request_put": { "key": key, "value": encode(record), "lease": lease, "prev_kv": true } },
        ],
    })
}
