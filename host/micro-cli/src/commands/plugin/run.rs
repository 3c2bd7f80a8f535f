//! `micro plugin run`: a plugin in its place in a running `micro`, replaced when its source changes.
//!
//! Building, serving and replacing are the commands that do the same by hand: `micro plugin build`, `micro` with the flag of
//! the plugin's kind, and the swap of `micro plugin swap`. What fails leaves the running one in place.

use super::{sources, swap};
use crate::args::{Format, PluginRunArgs, SwapArgs};
use crate::failure::{Next, coded};
use crate::output::plain;
use anyhow::Context;
use micro::Flags;
use micro::admin;
use micro_core::Code;
use micro_plugin::{Kind, Manifest, section};
use rustix::process::{Pid, kill_process};
use sources::Sources;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, sleep_until, timeout};

/// How long the program may take to open its admin socket before a swap is given up.
const STARTING: Duration = Duration::from_secs(10);
/// How often it is looked for it.
const LOOK: Duration = Duration::from_millis(50);
/// How long the program may take to end: longer than its own limits on draining.
const ENDING: Duration = Duration::from_secs(60);
const SELF: &str = "the program `micro` has to be where it was started from";

/// What is run: a file, and how it is made.
struct Subject {
    /// The finished plugin.
    file: PathBuf,
    /// Its crate, if it is built here.
    folder: Option<PathBuf>,
    /// Where `file` is when it is built here.
    _built: Option<TempDir>,
}

pub(in crate::commands) async fn run(
    flags: &Flags,
    format: Format,
    arguments: &PluginRunArgs,
) -> anyhow::Result<()> {
    let subject = Subject::new(&arguments.source)?;
    // Watched before the first build: what is saved while it runs counts.
    let mut sources = match arguments.watch {
        true => Some(Sources::watch(subject.folder.as_deref().unwrap_or(&subject.file))?),
        false => None,
    };
    if !subject.build(flags).await? {
        let next = "correct what is named above";
        return Err(coded(Code::AUTHOR_BUILD, format!("{} was not built", arguments.source.display()), next));
    }
    let manifest = subject.manifest()?;
    // Taken over before the program starts, so that none ends this process alone.
    let mut signals =
        Signals::new().context("cannot handle signals").next_as(Code::AUTHOR_RUN, "try again")?;
    let mut child = serve(flags, &subject.file, manifest.kind, &arguments.arguments)?;
    let ended = loop {
        let changed = async {
            match &mut sources {
                Some(sources) => sources.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = child.wait() => break ended,
            () = changed => replace(flags, format, &subject, &manifest, &child).await,
            () = signals.next() => break end(&mut child, &mut signals).await,
        }
    };
    let status = ended.context("cannot wait for micro").next("look for it with ps")?;
    match status.success() {
        true => Ok(()),
        false => Err(coded(Code::AUTHOR_RUN, format!("micro ended with {status}"), "its own error is above")),
    }
}

impl Subject {
    fn new(source: &Path) -> anyhow::Result<Self> {
        let help = "name the folder of a plugin crate, or a .wasm file";
        if source.extension().is_some_and(|it| it == "wasm") {
            let file = std::path::absolute(source).next_as(Code::AUTHOR_RUN, help)?;
            return Ok(Self { file, folder: None, _built: None });
        }
        if !source.join("plugin.toml").is_file() {
            return Err(coded(Code::AUTHOR_RUN, format!("no plugin.toml in {}", source.display()), help));
        }
        let folder = source.canonicalize().next_as(Code::AUTHOR_RUN, help)?;
        let built = tempfile::tempdir().context("no temporary folder");
        let built = built.next_as(Code::AUTHOR_RUN, "make room for temporary files")?;
        Ok(Self { file: built.path().join("plugin.wasm"), folder: Some(folder), _built: Some(built) })
    }

    /// Builds the crate in a process of its own, which says by itself what is wrong: then this is false.
    async fn build(&self, flags: &Flags) -> anyhow::Result<bool> {
        let Some(folder) = &self.folder else { return Ok(true) };
        let begun = Instant::now();
        let mut micro = Command::new(std::env::current_exe().next_as(Code::AUTHOR_RUN, SELF)?);
        micro.args(["plugin", "build"]).arg(folder).arg("--out").arg(&self.file);
        if let Some(home) = &flags.home {
            micro.arg("--home").arg(home);
        }
        micro.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let status = micro.status().await.context("cannot run micro plugin build");
        let status = status.next_as(Code::AUTHOR_RUN, SELF)?;
        if status.success() {
            say(&format!("built in {:.1} s", begun.elapsed().as_secs_f64()));
        }
        Ok(status.success())
    }

    fn manifest(&self) -> anyhow::Result<Manifest> {
        let shown = self.file.display();
        let wasm = std::fs::read(&self.file).with_context(|| format!("cannot read {shown}"));
        let wasm =
            wasm.next_as(Code::PLUGIN_UNREADABLE, "name a .wasm file or the folder of a plugin crate")?;
        let manifest = section::read(&wasm).with_context(|| format!("{shown} is no plugin"));
        manifest.next_as(Code::PLUGIN_MANIFEST, "micro plugin build makes a plugin of a component")
    }
}

/// Starts `micro` with the plugin in its place.
fn serve(flags: &Flags, file: &Path, kind: Kind, arguments: &[String]) -> anyhow::Result<Child> {
    let flag = match kind {
        Kind::Registry | Kind::Selector | Kind::Codec | Kind::Filter => kind.as_str(),
        Kind::Wire => Kind::Wire.suffix(),
        Kind::Broker | Kind::Transport | Kind::Middleware => {
            let text = format!("no command uses a plugin of kind {kind}");
            return Err(coded(Code::AUTHOR_RUN, text, "micro plugin call runs its exports"));
        }
    };
    let mut value = std::ffi::OsString::from(format!("--{flag}="));
    value.push(file);
    let mut micro = Command::new(std::env::current_exe().next_as(Code::AUTHOR_RUN, SELF)?);
    micro.arg(value);
    // Swaps look for its admin socket there.
    if let Some(home) = &flags.home {
        micro.arg("--home").arg(home);
    }
    match arguments {
        [] => micro.arg("api"),
        arguments => micro.args(arguments),
    };
    // In a group of its own it hears of an interrupt from here alone, once: a second one would cut its goodbye short.
    let child = micro.stdin(Stdio::null()).process_group(0).kill_on_drop(true).spawn();
    let child = child.context("cannot run micro");
    child.next_as(Code::AUTHOR_RUN, SELF)
}

/// Builds again and puts what comes out into service. Every failure is told, and changes nothing.
async fn replace(flags: &Flags, format: Format, subject: &Subject, manifest: &Manifest, child: &Child) {
    let Some(process) = child.id() else { return };
    let replaced = async {
        if !subject.build(flags).await? {
            return Ok(false);
        }
        opened(flags, process).await?;
        let kind = format!("{}:{}", manifest.kind, manifest.name);
        let locator = subject.file.display().to_string();
        swap(flags, format, SwapArgs { kind, locator, process: Some(process), persist: false }).await?;
        anyhow::Ok(true)
    };
    let replaced = replaced.await.unwrap_or_else(|error| {
        crate::failure::report(&error, Code::AUTHOR_RUN);
        false
    });
    if !replaced {
        say("the running plugin stays in place");
    }
}

/// Waits until the program can be asked.
async fn opened(flags: &Flags, process: u32) -> anyhow::Result<()> {
    let folder = admin::folder(flags.home.clone());
    let looking = async {
        while !is_open(&folder, process).await {
            sleep(LOOK).await;
        }
    };
    let waited = timeout(STARTING, looking).await.context("micro has no admin socket yet");
    waited.next_as(Code::SWAP_SILENT, "save again when it has started")
}

async fn is_open(folder: &Path, process: u32) -> bool {
    for socket in admin::processes(folder).await {
        let info = admin::ask(&socket, "/info").await;
        if info.is_ok_and(|info| info["pid"] == process) {
            return true;
        }
    }
    false
}

/// Interrupts, requests to end, and the end of the terminal.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next of any. Cancel safe.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Lets the program finish what it has. Each further signal is handed on: the second one skips its waits.
async fn end(child: &mut Child, signals: &mut Signals) -> std::io::Result<ExitStatus> {
    let limit = Instant::now() + ENDING;
    loop {
        if let Some(process) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // One that has ended just now needs no telling.
            _ = kill_process(process, rustix::process::Signal::TERM);
        }
        tokio::select! {
            ended = child.wait() => return ended,
            () = signals.next() => {}
            () = sleep_until(limit.into()) => {
                child.start_kill()?;
                return child.wait().await;
            }
        }
    }
}

fn say(what: &str) {
    crate::output::eprint(&format!("micro plugin run: {}\n", plain(what)));
}
