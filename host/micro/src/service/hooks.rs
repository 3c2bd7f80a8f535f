//! What a program does around the life of its service.

use super::ServiceError;
use futures::future::BoxFuture;

/// What a hook may fail with.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Hook = Box<dyn FnOnce() -> BoxFuture<'static, Result<(), HookError>> + Send>;

#[derive(Default)]
pub(super) struct Hooks {
    pub(super) before_start: Vec<Hook>,
    pub(super) after_start: Vec<Hook>,
    pub(super) before_stop: Vec<Hook>,
    pub(super) after_stop: Vec<Hook>,
}

/// Runs the hooks of a start in the order given, up to the first error.
pub(super) async fn run_hooks(
    service: &str,
    when: &'static str,
    hooks: Vec<Hook>,
) -> Result<(), ServiceError> {
    for hook in hooks {
        hook().await.map_err(|source| ServiceError::Hook { service: service.to_owned(), when, source })?;
    }
    Ok(())
}

/// Runs the hooks of a stop in the order given. All of them run, whatever becomes of the others; the first error is
/// returned and the rest are logged.
pub(super) async fn run_all_hooks(
    service: &str,
    when: &'static str,
    hooks: Vec<Hook>,
) -> Result<(), ServiceError> {
    let mut outcome = Ok(());
    for hook in hooks {
        let Err(source) = hook().await else { continue };
        match &outcome {
            Ok(()) => outcome = Err(ServiceError::Hook { service: service.to_owned(), when, source }),
            Err(_) => tracing::error!(service, when, error = %source, "another hook failed"),
        }
    }
    outcome
}
