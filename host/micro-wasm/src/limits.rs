//! What one instance may use up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use wasmtime::ResourceLimiter;

/// Linear memory of one instance when neither the manifest nor the operator says otherwise.
pub(crate) const MEMORY: usize = 64 << 20;
/// No manifest raises it above this.
pub(crate) const MAX_MEMORY: usize = 512 << 20;
/// Elements of all tables of one instance. Python needs tens of thousands.
const TABLE_ELEMENTS: usize = 200_000;
/// Core instances, memories and tables of one component; a component of Python has over a hundred instances.
const CORE_ITEMS: usize = 256;
/// Bytes that one call may copy from guest to host, answers included.
pub(crate) const COPIED: usize = 16 << 20;
/// Handles (requests, streams, futures) that one instance may hold.
pub(crate) const HANDLES: usize = 4096;

/// Calls that wait for their turn in one instance.
pub(crate) const QUEUED: usize = 256;
/// How much longer than its own deadline a guest may take to say that it gave up.
pub(crate) const SLACK: Duration = Duration::from_millis(200);

/// Counts the memory and the tables of one store.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_limit: usize,
    table_elements: usize,
    usage: Arc<Usage>,
}

/// What the host can see of a store from outside.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    memory: AtomicUsize,
    refused: AtomicBool,
}

impl Usage {
    /// Bytes of linear memory.
    pub(crate) fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    /// Whether the guest wanted more memory than it may have.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Limiter {
    pub(crate) fn new(memory_limit: usize) -> Self {
        Self { memory_limit, table_elements: 0, usage: Arc::default() }
    }

    pub(crate) fn usage(&self) -> Arc<Usage> {
        self.usage.clone()
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.usage.memory().saturating_add(desired.saturating_sub(current));
        if total > self.memory_limit {
            self.usage.refused.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.usage.memory.store(total, Ordering::Relaxed);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if total > TABLE_ELEMENTS || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_ITEMS
    }

    fn tables(&self) -> usize {
        CORE_ITEMS
    }

    fn memories(&self) -> usize {
        CORE_ITEMS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut limiter = Limiter::new(100);
        let usage = limiter.usage();
        assert!(limiter.memory_growing(0, 60, None).expect("no error"));
        assert!(!limiter.memory_growing(0, 50, Some(40)).expect("no error"), "over the memory's own maximum");
        assert!(usage.was_refused(), "110 of 100 bytes");
        assert!(limiter.memory_growing(60, 100, None).expect("no error"));
        assert!(!limiter.memory_growing(0, usize::MAX, None).expect("no overflow"));
        assert_eq!(usage.memory(), 100);
    }

    #[test]
    fn tables_are_counted_together() {
        let mut limiter = Limiter::new(0);
        assert!(limiter.table_growing(0, TABLE_ELEMENTS, None).expect("no error"));
        assert!(!limiter.table_growing(0, 1, None).expect("no error"));
    }
}
