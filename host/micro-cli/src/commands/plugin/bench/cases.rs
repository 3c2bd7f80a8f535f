//! The calls of each kind, with inputs of usual sizes.

use super::super::call::explain;
use crate::failure::{Next, coded};
use bytes::Bytes;
use futures::future::{FutureExt, LocalBoxFuture, ready};
use http1_core::{End, Framing, Method, Role as Side, Start};
use micro::codec::Codecs;
use micro::selector::{Random, native};
use micro_core::codec::{Envelope, Role};
use micro_core::filter::RequestHead;
use micro_core::selector::{Candidate, Candidates, Load};
use micro_core::{Code, Codec, Filter, Registry, Selector};
use micro_net::wire::{NativeWire, Wire};
use micro_plugin::Kind;
use micro_wasm::probe::{Call, Probe, Surface};
use micro_wasm::{Host, PluginRequest};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Nodes of the sets that selectors choose from.
const SETS: [u32; 3] = [3, 10, 100];
/// Bytes of the values in envelopes.
const VALUES: [usize; 2] = [64, 1 << 10];
/// What to do when something does not answer.
const NEXT: &str = "start its backend and name it with --address, or name a call with --call 'NAME(…)'";

/// So many calls; how long they took together.
pub(super) type Run = Box<dyn FnMut(u32) -> LocalBoxFuture<'static, anyhow::Result<Duration>>>;

/// Something that is measured.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) run: Run,
    /// The same done otherwise, and what that is called.
    pub(super) beside: Option<(&'static str, Run)>,
}

/// What is measured unless somebody says otherwise.
///
/// # Errors
/// The plugin cannot be put into service, or its kind has no usual calls.
pub(super) async fn usual(
    host: &Host,
    request: &PluginRequest,
    surface: Surface,
) -> anyhow::Result<Vec<Case>> {
    let help = "micro plugin inspect FILE shows what it takes and what it asks for";
    match surface.manifest.kind {
        Kind::Selector => {
            let twin = |name: &str| native(name).unwrap_or_else(|| Arc::new(Random));
            let selector = host.load_selector(request.clone(), twin).await.next(help)?;
            Ok(selectors(Arc::new(selector)))
        }
        Kind::Codec => {
            let codec = host.load_codec(request.clone(), |_| None).await.next(help)?;
            codecs(Arc::new(codec))
        }
        Kind::Filter => {
            let filter = host.load_filter(request.clone()).await.next(help)?;
            Ok(filters(Arc::new(filter)))
        }
        Kind::Wire => {
            let wire = host.load_wire(request.clone()).await.next(help)?;
            Ok(wires(&Arc::new(wire)))
        }
        Kind::Registry => {
            let registry = host.load_registry(request.clone()).await.next(help)?;
            registries(host, request, surface, registry).await
        }
        kind @ (Kind::Broker | Kind::Transport | Kind::Middleware) => {
            let text = format!("plugins of kind {kind} have no usual calls");
            Err(coded(Code::AUTHOR_BENCH, text, "name a call with --call 'NAME(…)'"))
        }
    }
}

/// What somebody asked for: each call is made once, in this order, before it is measured.
///
/// # Errors
/// A text that is no call of the plugin, or a call that brings no answer.
pub(super) async fn given(
    host: &Host,
    request: &PluginRequest,
    surface: Surface,
    calls: &[String],
) -> anyhow::Result<Vec<Case>> {
    let probe =
        host.probe(request, &surface, false).await.next("micro plugin inspect FILE shows what it takes")?;
    let (probe, surface) = (Arc::new(Mutex::new(probe)), Arc::new(surface));
    let mut cases = Vec::new();
    for text in calls {
        let call = surface.call_text(text).map_err(explain)?;
        answered(&probe, &surface, &call).await?;
        cases.push(Case { name: text.clone(), run: direct(&probe, &surface, call), beside: None });
    }
    Ok(cases)
}

/// An answer that is not an error: how fast a plugin fails says nothing.
async fn answered(probe: &Mutex<Probe>, surface: &Surface, call: &Call) -> anyhow::Result<()> {
    let answer = probe.lock().await.call(surface, call, None).await.map_err(explain)?;
    match answer.is_error {
        false => Ok(()),
        true => Err(coded(
            Code::AUTHOR_BENCH,
            format!("{} answered an error: {}", call.export(), answer.wave),
            NEXT,
        )),
    }
}

fn direct(probe: &Arc<Mutex<Probe>>, surface: &Arc<Surface>, call: Call) -> Run {
    let (probe, surface, call) = (probe.clone(), surface.clone(), Arc::new(call));
    Box::new(move |calls| {
        let (probe, surface, call) = (probe.clone(), surface.clone(), call.clone());
        async move { probe.lock().await.time(&surface, &call, calls).await.map_err(explain) }.boxed_local()
    })
}

/// Work that does not wait. It gets the number of the call.
fn timed(mut work: impl FnMut(u64) -> anyhow::Result<()> + 'static) -> Run {
    let mut number = 0;
    Box::new(move |calls| {
        let begun = Instant::now();
        let done = (0..calls).try_for_each(|_| {
            number += 1;
            work(number)
        });
        ready(done.map(|()| begun.elapsed())).boxed_local()
    })
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> anyhow::Error {
    coded(Code::AUTHOR_BENCH, format!("{what} failed: {error}"), "micro plugin call repeats single calls")
}

fn selectors(selector: Arc<dyn Selector>) -> Vec<Case> {
    let picks = |selector: Arc<dyn Selector>, count: u32| {
        let node = |id| Candidate { id, weight: 1000, ..Candidate::default() };
        let nodes: Vec<Candidate> = (0..count).map(node).collect();
        let load = if selector.needs_load() { vec![Load::default(); nodes.len()] } else { Vec::new() };
        timed(move |number| {
            let candidates = Candidates { set: count, version: 1, nodes: &nodes };
            // Keys are random numbers as a rule; these are far enough from each other.
            let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let picked = selector.pick(candidates, &load, number, key, &[]);
            picked.map(|at| _ = std::hint::black_box(at)).ok_or_else(|| failed("pick", &"no node"))
        })
    };
    let twin = native(selector.name());
    SETS.map(|count| Case {
        name: format!("pick, {count} nodes"),
        run: picks(selector.clone(), count),
        beside: twin.clone().map(|twin| ("native", picks(twin, count))),
    })
    .into()
}

fn codecs(codec: Arc<dyn Codec>) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    let natives = Codecs::default();
    for (format, spoken) in codec.formats().iter().enumerate() {
        for size in VALUES {
            let value: Bytes = match spoken.value.as_str() {
                "application/json" => format!("{{\"v\":\"{}\"}}", "x".repeat(size - 8)).into(),
                _ => vec![b'x'; size].into(),
            };
            let envelope = Envelope { id: b"7", endpoint: "Say.Hello", error: "" };
            let mut message = Vec::new();
            let sealed = codec.seal(format, Role::Request, envelope, &value, &mut message);
            sealed.map_err(|error| failed("seal", &error))?;
            let message = Bytes::from(message);
            let native = natives.find(&spoken.content_type);
            let (sealing, inner, twin) = (codec.clone(), value.clone(), native.clone());
            let seal = timed(move |_| {
                let mut out = Vec::with_capacity(2 * inner.len());
                let sealed = sealing.seal(format, Role::Request, envelope, &inner, &mut out);
                std::hint::black_box(out);
                sealed.map_err(|error| failed("seal", &error))
            });
            let native_seal = twin.map(|twin| {
                let inner = value.clone();
                let run = timed(move |_| {
                    let sealed = twin.seal(Role::Request, envelope, &inner);
                    sealed.map(|it| _ = std::hint::black_box(it)).map_err(|error| failed("seal", &error))
                });
                ("native", run)
            });
            let (opening, closed) = (codec.clone(), message.clone());
            let open = timed(move |_| {
                let opened = opening.open(format, Role::Request, &closed);
                opened.map(|it| _ = std::hint::black_box(it)).map_err(|error| failed("open", &error))
            });
            let native_open = native.map(|twin| {
                let run = timed(move |_| {
                    let opened = twin.open(Role::Request, &message);
                    opened.map(|it| _ = std::hint::black_box(it)).map_err(|error| failed("open", &error))
                });
                ("native", run)
            });
            let name = |what: &str| format!("{what} {}, {size} B", spoken.content_type);
            cases.push(Case { name: name("seal"), run: seal, beside: native_seal });
            cases.push(Case { name: name("open"), run: open, beside: native_open });
        }
    }
    Ok(cases)
}

type Fields = &'static [(&'static [u8], &'static [u8])];

/// What programs and browsers send.
const HEADS: [(&str, Fields); 2] = [("3 fields", &SMALL), ("10 fields", &BROWSER)];
const SMALL: [(&[u8], &[u8]); 3] =
    [(b"content-type", b"application/json"), (b"accept", b"*/*"), (b"user-agent", b"curl/8.5.0")];
const BROWSER: [(&[u8], &[u8]); 10] = [
    (b"content-type", b"application/json"),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    (b"accept-language", b"en-GB,en;q=0.7,de;q=0.3"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"cookie", b"session=0123456789abcdef0123456789abcdef; theme=dark"),
    (b"referer", b"https://example.org/greetings?lang=en"),
    (b"origin", b"https://example.org"),
    (b"sec-fetch-mode", b"cors"),
    (b"sec-fetch-site", b"same-origin"),
];

fn filters(filter: Arc<dyn Filter>) -> Vec<Case> {
    let case = |(name, fields): (&str, Fields)| {
        let filter = filter.clone();
        let run = timed(move |_| {
            let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let head = RequestHead {
                peer,
                method: "POST",
                target: b"/greeter/say/hello",
                host: b"localhost:8080",
                fields,
            };
            let verdict = filter.request(head);
            verdict.map(|it| _ = std::hint::black_box(it)).map_err(|error| failed("request", &error))
        });
        Case { name: format!("request, {name}"), run, beside: None }
    };
    HEADS.map(case).into()
}

fn wires<W: Wire>(wire: &Arc<W>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, fields) in HEADS {
        cases.push(Case {
            name: format!("encode, {name}"),
            run: encode(wire.clone(), fields),
            beside: Some(("native", encode(Arc::new(NativeWire), fields))),
        });
        cases.push(Case {
            name: format!("decode, {name}"),
            run: decode(wire.clone(), fields),
            beside: Some(("native", decode(Arc::new(NativeWire), fields))),
        });
    }
    cases
}

const START: Start<'static> =
    Start::Request { method: "POST", path: b"/greeter/say/hello", host: b"localhost:8080" };
const END: End = End { framing: Framing::Length(15), close: false };

fn encode<W: Wire>(wire: Arc<W>, fields: Fields) -> Run {
    let mut out = Vec::new();
    timed(move |_| {
        out.clear();
        let written = wire.encode(START, fields.iter().copied(), END, &mut out);
        std::hint::black_box(&out);
        written.map_err(|error| failed("encode", &error))
    })
}

fn decode<W: Wire>(wire: Arc<W>, fields: Fields) -> Run {
    let (mut head, mut words) = (Vec::new(), Vec::new());
    let written = NativeWire.encode(START, fields.iter().copied(), END, &mut head);
    timed(move |_| {
        if let Err(error) = &written {
            return Err(failed("encode", error));
        }
        words.clear();
        let read = wire.decode(Side::Request, Method::POST, &head, &mut words);
        read.map(|it| _ = std::hint::black_box(it)).map_err(|error| failed("decode", &error))
    })
}

/// A registry is only asked: what is in its backend belongs to others.
async fn registries(
    host: &Host,
    request: &PluginRequest,
    surface: Surface,
    registry: Arc<dyn Registry>,
) -> anyhow::Result<Vec<Case>> {
    let names = registry.list_services().await.next_as(Code::AUTHOR_BENCH, NEXT)?;
    let name = names.into_iter().next().unwrap_or_else(|| "micro-bench".to_owned());
    let probe =
        host.probe(request, &surface, false).await.next("micro plugin inspect FILE shows what it takes")?;
    let (probe, surface) = (Arc::new(Mutex::new(probe)), Arc::new(surface));
    let argument = micro_wasm::probe::Argument::Text(name.clone());
    let list = surface.call("list-services", &[]).map_err(explain)?;
    let get = surface.call("get-service", &[argument]).map_err(explain)?;
    answered(&probe, &surface, &list).await?;
    answered(&probe, &surface, &get).await?;

    let listed = registry.clone();
    let lists = asked(move || {
        let registry = listed.clone();
        async move { registry.list_services().await.map(drop).next_as(Code::AUTHOR_BENCH, NEXT) }
            .boxed_local()
    });
    let gets = asked(move || {
        let (registry, name) = (registry.clone(), name.clone());
        async move { registry.get_service(&name).await.map(drop).next_as(Code::AUTHOR_BENCH, NEXT) }
            .boxed_local()
    });
    Ok(vec![
        Case {
            name: "list-services".to_owned(),
            run: lists,
            beside: Some(("direct", direct(&probe, &surface, list))),
        },
        Case {
            name: "get-service".to_owned(),
            run: gets,
            beside: Some(("direct", direct(&probe, &surface, get))),
        },
    ])
}

/// Work that waits.
fn asked(work: impl Fn() -> LocalBoxFuture<'static, anyhow::Result<()>> + 'static) -> Run {
    let work = Arc::new(work);
    Box::new(move |calls| {
        let work = work.clone();
        async move {
            let begun = Instant::now();
            for _ in 0..calls {
                work().await?;
            }
            Ok(begun.elapsed())
        }
        .boxed_local()
    })
}
