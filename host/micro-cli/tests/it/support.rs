//! A private home, the program in it, and a service beside it.

use micro::flags::LogFormat;
use micro::{Context, Flags, Handler, RunningService, Service};
use micro_core::Error;
use micro_test::process::Program;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::Notify;

/// What has to happen happens within this time, on a slow machine too.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// `Say.Wait` says on the first that it runs, and waits for the second.
pub(crate) static WAITING: Notify = Notify::const_new();
pub(crate) static GO_ON: Notify = Notify::const_new();

/// A folder that stands for `MICRO_HOME`: registry, admin sockets, plugins.
#[derive(Debug)]
pub(crate) struct Home(TempDir);

/// What a command left behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A plugin that `cargo xtask plugins` has built.
pub(crate) fn fixture(name: &str) -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/target/plugins");
    let folder = std::env::var_os("MICRO_TEST_PLUGINS").map_or_else(default, PathBuf::from);
    let file = folder.join(format!("{name}.wasm"));
    assert!(file.is_file(), "no {}; run `cargo xtask plugins`", file.display());
    file
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// The program, with nothing of this process's environment that could change what it does.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_micro"));
        command.args(arguments).env_clear().env("MICRO_HOME", self.path()).current_dir(self.path());
        for kept in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let ended = tokio::time::timeout(SOON, command.output()).await;
        let output = ended.unwrap_or_else(|_| panic!("micro {arguments:?} does not end")).expect("it starts");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Output {
            code: output.status.code().expect("no signal"),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Starts a command that runs until it is told to stop.
    pub(crate) fn start(&self, arguments: &[&str]) -> Program {
        Program::start(self.command(arguments))
    }

    /// The greeter, registered in this home.
    pub(crate) async fn greeter(&self, name: &str) -> RunningService {
        let flags = Flags {
            home: Some(self.path().to_owned()),
            log_level: Some("error".to_owned()),
            log_format: Some(LogFormat::Text),
            ..Flags::default()
        };
        let say = Handler::new("Say")
            .json("Hello", |_cx, request: Value| async move {
                let name = request["name"].as_str().unwrap_or_default();
                Ok(json!({ "msg": format!("Hello {name}"), "big": 12_345_678_901_234_567_890_u64 }))
            })
            .json(
                "Colour",
                |cx: Context, _: Value| async move { Ok(json!({ "colour": cx.metadata("Colour") })) },
            )
            .json("Refuse", |_cx, _: Value| async { Err::<(), _>(Error::forbidden("greeter", "not you")) })
            .json("Wait", |_cx, _: Value| async {
                WAITING.notify_one();
                GO_ON.notified().await;
                Ok(())
            })
            .json("Hang", |_cx, _: Value| async { std::future::pending::<Result<(), Error>>().await });
        let service = Service::builder(name)
            .version("1.0.0")
            .id("1")
            .address("127.0.0.1:0")
            .handle_signals(false)
            .drain_delay(Duration::ZERO)
            .handler(say)
            .flags(&flags);
        service.build().await.expect("builds").start().await.expect("starts")
    }
}

impl Output {
    /// Success with this on standard output, and nothing on standard error.
    pub(crate) fn is(&self, out: &str) {
        assert_eq!((self.code, &*self.out, &*self.err), (0, out, ""));
    }

    /// Exit code 1, nothing on standard output, and a complaint of the house's form that holds all of `parts`.
    pub(crate) fn complains(&self, parts: &[&str]) {
        assert_eq!((self.code, &*self.out), (1, ""), "{}", self.err);
        assert!(self.err.starts_with("error: "), "{}", self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in {}", self.err);
        }
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
