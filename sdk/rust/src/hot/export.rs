//! Between the generated exports and a plugin's trait: the one instance and its options.

use super::{Context, Invalid, Names, arena};
use crate::bindings::hot::lifecycle::exports::micro::hot::lifecycle as wit;
use crate::log;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// What the register macros export in place of the plugin itself.
#[derive(Debug)]
pub struct Exported<S>(PhantomData<S>);

/// A component's one plugin. The register macros write it with the plugin's own type: on this path a type that is looked
/// up for each call would be felt.
pub trait Slot: 'static {
    /// The plugin.
    type Plugin;

    /// Makes the plugin of its options, a JSON object.
    ///
    /// # Errors
    /// For the operator.
    fn make(context: &Context, options: &str) -> Result<Self::Plugin, String>;

    /// Lends what is in the slot. The host never calls a plugin from inside a call, so it is not lent twice.
    fn lend<T>(work: impl FnOnce(&mut Option<Configured<Self::Plugin>>) -> T) -> T;
}

/// A plugin that has its options.
#[derive(Debug)]
pub struct Configured<P> {
    /// The plugin itself.
    pub plugin: P,
    /// What it was configured with.
    pub context: Context,
}

/// Reads options and hands them to a plugin's `configure`.
///
/// # Errors
/// They are not of that type, or the plugin does not want them.
pub fn make<P, O: DeserializeOwned>(
    context: &Context,
    options: &str,
    configure: impl FnOnce(&Context, O) -> Result<P, Invalid>,
) -> Result<P, String> {
    let options = serde_json::from_str(options).map_err(|error| format!("options: {error}"))?;
    configure(context, options).map_err(|error| error.to_string())
}

/// One call. A host that asks before it has configured breaks the contract, and hears of it by a trap.
#[inline]
pub(crate) fn call<S: Slot, T>(work: impl FnOnce(&mut S::Plugin, &Context) -> T) -> T {
    S::lend(|slot| {
        let configured = slot.as_mut().expect("the host configures an instance before it calls it");
        work(&mut configured.plugin, &configured.context)
    })
}

impl<S: Slot> wit::Guest for Exported<S> {
    fn configure(context: wit::Context, config_json: String) -> Result<(), String> {
        log::use_hot();
        let context = Context {
            plugin: context.plugin,
            instance: context.instance,
            generation: context.generation,
            host_version: context.host_version,
            names: Names::new(context.names),
        };
        let plugin = S::make(&context, &config_json)?;
        S::lend(|slot| *slot = Some(Configured { plugin, context }));
        arena::open();
        Ok(())
    }
}

/// What all register macros of hot kinds do: a slot of the plugin's type, and the exports of its kind. Natively they only
/// check that it is a plugin of that kind.
#[doc(hidden)]
#[macro_export]
macro_rules! __register_hot {
    ($plugin:ty, $kind:path, $($interface:ident),+) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            const fn check<T: $kind>() {}
            check::<$plugin>()
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type MicroConfigured = ::std::option::Option<$crate::hot::export::Configured<$plugin>>;

            ::std::thread_local! {
                static MICRO_PLUGIN: ::std::cell::RefCell<MicroConfigured> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }

            struct MicroSlot;

            impl $crate::hot::export::Slot for MicroSlot {
                type Plugin = $plugin;

                fn make(
                    context: &$crate::hot::Context,
                    options: &str,
                ) -> ::std::result::Result<$plugin, ::std::string::String> {
                    $crate::hot::export::make(context, options, <$plugin as $kind>::configure)
                }

                fn lend<T>(work: impl ::std::ops::FnOnce(&mut MicroConfigured) -> T) -> T {
                    MICRO_PLUGIN.with_borrow_mut(work)
                }
            }

            type MicroExported = $crate::hot::export::Exported<MicroSlot>;
            $crate::bindings::hot::lifecycle::export!(
                MicroExported with_types_in $crate::bindings::hot::lifecycle
            );
            $(
                $crate::bindings::hot::$interface::export!(
                    MicroExported with_types_in $crate::bindings::hot::$interface
                );
            )+
        };
    };
}
