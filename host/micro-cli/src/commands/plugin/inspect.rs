//! `micro plugin inspect`: what a file is, without running it.

use crate::args::Format;
use crate::failure::{Next, coded};
use crate::output::{self, plain};
use micro_core::Code;
use micro_net::error_chain;
use micro_plugin::inspect::Format as FileFormat;
use micro_plugin::manifest::OptionSpec;
use micro_plugin::{Manifest, Report};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

pub(in crate::commands) fn inspect(format: Format, file: &Path) -> anyhow::Result<()> {
    let wasm =
        std::fs::read(file).map_err(|error| anyhow::anyhow!("cannot read {}: {error}", file.display()));
    let wasm =
        wasm.next_as(Code::PLUGIN_UNREADABLE, "micro plugin inspect takes the path of a .wasm file")?;
    let report = micro_plugin::inspect(&wasm);
    output::answer(format, || in_words(file, &report), &as_json(file, &report)?)?;
    match report.manifest {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = format!("{} is no plugin: {}", file.display(), error_chain(&error));
            Err(coded(
                Code::AUTHOR_NOT_A_PLUGIN,
                text,
                "micro plugin build makes one of a crate or of a component (--wasm)",
            ))
        }
    }
}

fn as_json(file: &Path, report: &Report) -> serde_json::Result<Value> {
    Ok(json!({
        "file": file,
        "size": report.size,
        "digest": format!("sha256:{}", report.digest),
        "format": format_name(report.format),
        "manifest": report.manifest.as_ref().ok().map(serde_json::to_value).transpose()?,
        "exports": report.exports,
        "imports": report.imports,
        "function_names": report.has_names,
    }))
}

fn in_words(file: &Path, report: &Report) -> String {
    let mut text = String::new();
    if let Ok(manifest) = &report.manifest {
        let Manifest { name, version, kind, contract, description, .. } = manifest;
        push(&mut text, format_args!("{name} {} ({kind}, {})\n", plain(version), plain(contract)));
        if !description.is_empty() {
            push(&mut text, format_args!("{}\n", plain(description)));
        }
        text.push('\n');
    }
    push(&mut text, format_args!("file     {}\n", file.display()));
    push(&mut text, format_args!("format   {}\n", format_name(report.format)));
    push(&mut text, format_args!("size     {}\n", size(report.size as u64)));
    push(&mut text, format_args!("digest   sha256:{}\n", report.digest));
    push(
        &mut text,
        format_args!("names    {}\n", if report.has_names { "yes" } else { "no: traces will be numbers" }),
    );
    if let Ok(manifest) = &report.manifest {
        let option = |option: &OptionSpec| {
            let default = option.default.as_ref().filter(|it| !it.is_empty());
            let default = default.map(|it| format!(", default {it}")).unwrap_or_default();
            let required = if option.required { ", required" } else { "" };
            let kind = serde_json::to_value(option.kind).ok();
            let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
            format!("{} ({kind}{required}{default})  {}", option.name, option.doc)
        };
        let grants = manifest.grants.iter().map(|request| format!("{}  {}", request.grant, request.why));
        section(&mut text, "options", manifest.options.iter().map(option));
        section(&mut text, "permissions that it asks for", grants);
    }
    section(&mut text, "exports", report.exports.iter().cloned());
    section(&mut text, "imports", report.imports.iter().cloned());
    text
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    for (at, line) in lines.enumerate() {
        if at == 0 {
            push(text, format_args!("\n{title}:\n"));
        }
        push(text, format_args!("  {}\n", plain(line.trim_end())));
    }
}

/// Writing to a String cannot fail.
fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    _ = text.write_fmt(more);
}

fn format_name(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Component => "component",
        FileFormat::CoreModule => "core module",
        FileFormat::Damaged => "damaged component",
        FileFormat::NotWasm => "not WebAssembly",
    }
}

/// `3.0 MiB`.
pub(super) fn size(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "one decimal")]
    let bytes_f = bytes as f64;
    match bytes {
        ..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes_f / 1024.0),
        _ => format!("{:.1} MiB", bytes_f / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_described() {
        let source = "
            name = 'etcd-registry'
            version = '1.2.3'
            kind = 'registry'
            description = 'Services in etcd'
            [[option]]
            name = 'address'
            type = 'address-list'
            default = ['127.0.0.1:2379']
            doc = 'Members of the cluster'
            [[grant]]
            net = 'configured'
            why = 'the members'";
        let manifest = Manifest::from_toml(source, None).expect("valid");
        let wasm = micro_plugin::finish(b"\0asm\x0d\0\x01\0", &manifest).expect("a component");
        let report = micro_plugin::inspect(&wasm);
        let text = in_words(Path::new("x.wasm"), &report);
        assert!(text.starts_with(
            "etcd-registry 1.2.3 (registry, micro:registry@0.1.0)\nServices in etcd\n\nfile     x.wasm\n"
        ));
        assert!(
            text.contains(
                "\noptions:\n  address (address-list, default 127.0.0.1:2379)  Members of the cluster\n"
            ),
            "{text}"
        );
        assert!(text.contains("\npermissions that it asks for:\n  net:configured  the members\n"), "{text}");
        let json = as_json(Path::new("x.wasm"), &report).expect("serializes");
        assert_eq!(json["manifest"]["name"], "etcd-registry");
        assert_eq!(json["format"], "component");
    }

    #[test]
    fn sizes() {
        assert_eq!([size(0), size(1023), size(1536), size(3 << 20)], ["0 B", "1023 B", "1.5 KiB", "3.0 MiB"]);
    }
}
