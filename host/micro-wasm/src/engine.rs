//! The engine for plugins that wait, and the clock that makes guests give way.

use std::io;
use std::time::Duration;
use wasmtime::{Config, Engine};

/// How often a guest that computes gives its thread back.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// Compile and run share this, or compiled code could not be loaded: a `.cwasm` is tied to its configuration.
fn config() -> Config {
    let mut config = Config::new();
    config.wasm_component_model_async(true).epoch_interruption(true);
    config
}

/// An engine with a ticker thread that ends soon after the engine's last clone.
///
/// # Errors
/// The processor is not supported, or no thread can be started.
pub(crate) fn engine() -> wasmtime::Result<Engine> {
    let engine = Engine::new(&config())?;
    tick(&engine)?;
    Ok(engine)
}

fn tick(engine: &Engine) -> io::Result<()> {
    let ticked = engine.weak();
    let ticker = std::thread::Builder::new().name("micro-epoch".to_owned());
    ticker.spawn(move || {
        while let Some(engine) = ticked.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}
