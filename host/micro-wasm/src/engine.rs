//! The engines, one for plugins that wait and one for those that run per request, and the clock that both hear.

use crate::loader::is_hot;
use micro_plugin::Kind;
use std::io;
use std::time::Duration;
use wasmtime::{Config, Engine, OptLevel};

/// How often a guest that computes is looked at.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// Both engines. A component is compiled for one of them.
#[derive(Clone)]
pub(crate) struct Engines {
    /// For plugins whose calls wait.
    pub(crate) waiting: Engine,
    /// For plugins that run per request: without the machinery of concurrency, a call costs a third.
    pub(crate) hot: Engine,
}

impl Engines {
    /// Both, with a ticker thread that ends soon after the last clone of either.
    ///
    /// # Errors
    /// The processor is not supported, or no thread can be started.
    pub(crate) fn new() -> wasmtime::Result<Self> {
        let engines = Self { waiting: Engine::new(&waiting())?, hot: Engine::new(&hot())? };
        engines.tick()?;
        Ok(engines)
    }

    /// The one for plugins of a kind.
    pub(crate) fn of(&self, kind: Kind) -> &Engine {
        if is_hot(kind) { &self.hot } else { &self.waiting }
    }

    fn tick(&self) -> io::Result<()> {
        let ticked = [self.waiting.weak(), self.hot.weak()];
        let ticker = std::thread::Builder::new().name("micro-epoch".to_owned());
        ticker.spawn(move || {
            loop {
                let living = ticked.iter().filter_map(wasmtime::EngineWeak::upgrade);
                if living.map(|engine| engine.increment_epoch()).count() == 0 {
                    return;
                }
                std::thread::sleep(TICK);
            }
        })?;
        Ok(())
    }
}

// Compile and run share these, or compiled code could not be loaded: a `.cwasm` is tied to its configuration.

fn waiting() -> Config {
    let mut config = Config::new();
    config.wasm_component_model_async(true).epoch_interruption(true);
    config
}

fn hot() -> Config {
    let mut config = Config::new();
    config.concurrency_support(false).wasm_component_model_async(false);
    config.epoch_interruption(true).cranelift_opt_level(OptLevel::Speed);
    config
}
