//! What a plugin costs before its first call: size, compiling, loading, starting, memory.

use super::report::Figures;
use crate::failure::{Next, with_next};
use anyhow::Context;
use micro_wasm::{Host, HostConfig, PluginRequest};
use std::time::Duration;

const PROCESSOR: &str = "micro needs a processor that wasmtime supports";
const FILE: &str = "micro plugin inspect FILE shows what a file is";

/// Measures each `rounds` times. Nothing is left behind: the cache is one of its own.
///
/// # Errors
/// The plugin cannot be loaded or does not start.
pub(super) async fn measure(
    config: &HostConfig,
    request: &PluginRequest,
    rounds: u32,
) -> anyhow::Result<Figures> {
    let uncached = HostConfig { cache_dir: None, ..config.clone() };
    let host = Host::new(uncached).next(PROCESSOR)?;
    let mut figures = Figures::default();
    // Compiling takes all the processor there is; three times are enough to see how far they lie apart.
    for _ in 0..rounds.min(3) {
        let surface = host.examine(&request.locator).await.next(FILE)?;
        figures.compile.push(surface.compiled_in);
    }
    let folder = tempfile::tempdir().context("no temporary folder").next("make room for temporary files")?;
    let cached = HostConfig { cache_dir: Some(folder.path().join("plugins")), ..config.clone() };
    let host = Host::new(cached).next(PROCESSOR)?;
    let surface = host.examine(&request.locator).await.next(FILE)?;
    for _ in 0..rounds {
        figures.load.push(host.examine(&request.locator).await.next(FILE)?.compiled_in);
    }
    for _ in 0..rounds {
        let probe = host.probe(request, &surface, false).await;
        let probe = probe.map_err(|error| with_next(error, "correct --opt, --address and --allow"))?;
        let (instantiate, configure): (Duration, Duration) = probe.started_in;
        figures.instantiate.push(instantiate);
        figures.configure.push(configure);
        figures.memory = probe.memory().unwrap_or_default();
    }
    figures.plugin.clone_from(&surface.manifest.name);
    figures.version.clone_from(&surface.manifest.version);
    figures.file.clone_from(&surface.file);
    figures.size = surface.size;
    Ok(figures)
}
