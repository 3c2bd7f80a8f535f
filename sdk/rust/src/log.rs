//! Log lines that reach the operator under the plugin's name: [`trace!`](crate::trace), [`debug!`](crate::debug),
//! [`info!`](crate::info), [`warn!`](crate::warn) and [`error!`](crate::error), each a format string followed by fields.
//!
//! ```
//! let address = "127.0.0.1:2379";
//! micro_sdk::info!("no leader yet, waiting", address = address, attempts = 3);
//! ```
//!
//! Natively, in a plugin's own tests, lines go to standard error.

use std::cell::Cell;

/// How much an operator should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every message.
    Trace,
    /// Every connection.
    Debug,
    /// Life and death of things.
    Info,
    /// Somebody should look at it some day.
    Warn,
    /// Somebody should look at it now.
    Error,
}

type Sink = fn(Level, &str, &[(&str, String)]);

thread_local! {
    // Asynchronous and hot kinds have a log of their own, and a component must not import that of the other: so nothing
    // names both, and the kind chooses before the plugin's first line runs.
    static SINK: Cell<Sink> = const { Cell::new(to_stderr) };
}

/// Queues one line; never waits. The macros call it.
pub fn write(level: Level, message: &str, fields: &[(&str, String)]) {
    SINK.get()(level, message, fields);
}

fn to_stderr(level: Level, message: &str, fields: &[(&str, String)]) {
    let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    eprintln!("{level:?}: {message}{fields}");
}

/// From now on lines go to the log of a package: natively there is none.
macro_rules! sink {
    ($choose:ident, $wit:path) => {
        pub(crate) fn $choose() {
            #[cfg(target_arch = "wasm32")]
            SINK.set(|level, message, fields| {
                use $wit as wit;
                let level = match level {
                    Level::Trace => wit::Level::Trace,
                    Level::Debug => wit::Level::Debug,
                    Level::Info => wit::Level::Info,
                    Level::Warn => wit::Level::Warn,
                    Level::Error => wit::Level::Error,
                };
                let fields: Vec<(String, String)> =
                    fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
                wit::write(level, message, &fields);
            });
        }
    };
}

sink!(use_plugin, crate::bindings::micro::plugin::log);
sink!(use_hot, crate::bindings::hot::lifecycle::micro::hot::log);

/// Writes a line of a level: `log!(Level::Info, "text {value}", field = value)`.
#[macro_export]
macro_rules! log {
    ($level:expr, $message:literal $(, $field:ident = $value:expr)* $(,)?) => {
        $crate::log::write(
            $level,
            &::std::format!($message),
            &[$((::std::stringify!($field), ::std::string::ToString::to_string(&$value))),*],
        )
    };
}

/// Writes a line of level trace.
#[macro_export]
macro_rules! trace {
    ($($line:tt)+) => { $crate::log!($crate::log::Level::Trace, $($line)+) };
}

/// Writes a line of level debug.
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::log!($crate::log::Level::Debug, $($line)+) };
}

/// Writes a line of level info.
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::log!($crate::log::Level::Info, $($line)+) };
}

/// Writes a line of level warn.
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::log!($crate::log::Level::Warn, $($line)+) };
}

/// Writes a line of level error.
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::log!($crate::log::Level::Error, $($line)+) };
}
