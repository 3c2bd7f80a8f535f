//! Whether this process should get work, and if not, why.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Named conditions; ready when all of them hold. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    conditions: Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>,
}

impl Readiness {
    /// Sets a condition: fine, or why not.
    pub fn set(&self, condition: &'static str, state: Result<(), String>) {
        self.conditions.lock().insert(condition, state);
    }

    /// Ready, or what is not, as `condition: reason`.
    ///
    /// # Errors
    /// Never empty.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let conditions = self.conditions.lock();
        let failed =
            conditions.iter().filter_map(|(name, state)| Some(format!("{name}: {}", state.as_ref().err()?)));
        let failed: Vec<_> = failed.collect();
        if failed.is_empty() { Ok(()) } else { Err(failed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_condition_is_enough() {
        let ready = Readiness::default();
        assert_eq!(ready.check(), Ok(()));
        ready.set("registry", Err("down".to_owned()));
        ready.set("server", Ok(()));
        assert_eq!(ready.check(), Err(vec!["registry: down".to_owned()]));
        ready.set("registry", Ok(()));
        assert_eq!(ready.check(), Ok(()));
    }
}
