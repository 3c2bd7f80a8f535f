//! What `micro plugin call` and `micro plugin bench` have in common: a plugin outside of service.

use crate::args::ProbedPlugin;
use crate::failure::Next;
use crate::session;
use micro::Flags;
use micro_core::Code;
use micro_plugin::{Grant, Locator};
use micro_wasm::probe::Surface;
use micro_wasm::{Host, PluginRequest};
use std::time::Duration;

/// A plugin that is compiled, and how it is to be configured.
pub(super) struct Opened {
    pub(super) host: Host,
    pub(super) request: PluginRequest,
    pub(super) surface: Surface,
}

/// Finds and compiles a plugin. Logging starts at `level` unless the flags say otherwise.
pub(super) async fn open(
    flags: &Flags,
    level: &str,
    plugin: &str,
    probed: &ProbedPlugin,
) -> anyhow::Result<Opened> {
    let settings = session::settings(flags, level)?;
    let host = Host::new(settings.host_config()).next("micro needs a processor that wasmtime supports")?;
    let request = request(plugin, probed)?;
    let surface = host.examine(&request.locator).await;
    let surface = surface.next("micro plugin inspect FILE shows what a file is")?;
    Ok(Opened { host, request, surface })
}

/// A request as for service, from the flags of these commands.
pub(super) fn request(plugin: &str, probed: &ProbedPlugin) -> anyhow::Result<PluginRequest> {
    let locator: Locator =
        plugin.parse().next_as(Code::VALUE, "name a .wasm file or a plugin, such as etcd-registry")?;
    let mut request = PluginRequest::new("", locator);
    request.address.clone_from(&probed.address);
    for option in &probed.options {
        let pair = micro::flags::key_value("opt", option).map_err(anyhow::Error::msg);
        let (name, value) =
            pair.next_as(Code::VALUE, "write --opt name=value; micro plugin inspect FILE shows the names")?;
        request = request.option(name, value);
    }
    for grant in &probed.allow {
        let grant: Grant = grant.parse().next("write a permission as behind --registry_allow")?;
        request = request.allow(grant);
    }
    Ok(request)
}

/// A duration in the unit that suits it, with three digits.
pub(super) fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos() as f64;
    let (number, unit) = match nanos {
        _ if nanos < 1e3 => (nanos, "ns"),
        _ if nanos < 1e6 => (nanos / 1e3, "µs"),
        _ if nanos < 1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    match number {
        _ if number >= 100.0 || unit == "ns" => format!("{number:.0} {unit}"),
        _ if number >= 10.0 => format!("{number:.1} {unit}"),
        _ => format!("{number:.2} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        let shown = |nanos| duration(Duration::from_nanos(nanos));
        let durations = [0, 181, 1_234, 45_678, 999_400, 12_000_000, 2_500_000_000].map(shown);
        assert_eq!(durations, ["0 ns", "181 ns", "1.23 µs", "45.7 µs", "999 µs", "12.0 ms", "2.50 s"]);
    }
}
