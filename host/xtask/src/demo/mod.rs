//! `cargo xtask demo`: everything from nothing, in front of one's eyes.
//!
//! Builds a distribution and uses it as a user would: two services, two gateways, requests through them and commands
//! beside them, all in a temporary folder and on free ports of the loopback address. If etcd is there, the same service
//! is found through the etcd plugin as well. Every answer is checked, and nothing is left behind.

mod program;

use crate::command;
use crate::dist;
use crate::interrupt;
use crate::plugins;
use crate::progress::{Steps, Waiting};
use crate::test::servers::Etcd;
use anyhow::{Context, Result, bail, ensure};
use program::Program;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long anything may take to become ready. Generous: a slow machine compiles a plugin first.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(10);

const GREETER: &str = "go.micro.srv.greeter";

/// Runs the demo.
///
/// # Errors
/// A build fails, something does not become ready, or an answer is not as it should be. The logs of all programs are
/// printed before the error.
pub(crate) fn run() -> Result<()> {
    interrupt::catch()?;
    let mut steps = Steps::new(6);
    steps.next("building the plugins");
    let plugins = plugins::build()?;
    steps.next("building the programs");
    let scratch = tempfile::Builder::new().prefix("micro-demo-").tempdir().context("no temporary folder")?;
    let mut demo = Demo::new(scratch.path())?;
    dist::compile()?;
    dist::lay_out(&demo.dist, &plugins)?;

    let shown = demo.show(&mut steps);
    if shown.is_err() {
        demo.running.iter().for_each(Program::print_log);
    }
    shown?;
    steps.next("stopping everything");
    demo.stop()?;
    drop(demo);
    scratch.close().context("cannot remove the temporary folder")?;
    steps.done("the demo went through");
    Ok(())
}

/// What is running, and where.
#[derive(Debug)]
struct Demo {
    dist: PathBuf,
    /// `MICRO_HOME` of everything: no other service on this machine is seen, and none sees these.
    home: PathBuf,
    logs: PathBuf,
    running: Vec<Program>,
    agent: ureq::Agent,
}

impl Demo {
    fn new(scratch: &Path) -> Result<Self> {
        let (home, logs) = (scratch.join("home"), scratch.join("logs"));
        for folder in [&home, &logs] {
            std::fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(REQUEST))
            .http_status_as_error(false)
            // HTTP_PROXY is for the world outside.
            .proxy(None)
            .build();
        Ok(Self { dist: scratch.join("dist"), home, logs, running: Vec::new(), agent: config.into() })
    }

    fn show(&mut self, steps: &mut Steps) -> Result<()> {
        steps.next("starting two services and two gateways");
        let (api, rpc) = (free_port()?, free_port()?);
        self.start("greeter-srv", &[])?;
        self.start("greeter-api", &[])?;
        let address = format!("--api_address=127.0.0.1:{api}");
        self.start("micro", &[&address, "api"])?;
        let address = format!("--api_address=127.0.0.1:{rpc}");
        self.start("micro", &[&address, "--api_namespace=go.micro.srv", "--api_handler=rpc", "api"])?;
        self.wait_for_services(&[], &[GREETER, "go.micro.api.greeter"])?;
        for port in [api, rpc] {
            self.wait("the gateway", |demo| {
                Ok(demo.get(&format!("http://127.0.0.1:{port}/readyz")).is_ok_and(|(s, _)| s == 200))
            })?;
        }

        steps.next("requests");
        let url = format!("http://127.0.0.1:{api}/greeter/say/hello?name=John");
        println!("$ curl {}", command::quoted(&url));
        self.expect(self.get(&url)?, "Hello John")?;
        let (url, body) = (format!("http://127.0.0.1:{rpc}/greeter/say/hello"), r#"{"name":"Jane"}"#);
        println!("$ curl -d {} -H 'Content-Type: application/json' {url}", command::quoted(body));
        self.expect(self.post(&url, body)?, "Hello Jane")?;
        self.micro(&["list", "services"], GREETER)?;
        self.micro(&["get", "service", GREETER], "Say.Hello")?;
        self.micro(&["call", GREETER, "Say.Hello", r#"{"name":"Mary"}"#], "Hello Mary")?;

        steps.next("the same through the etcd plugin");
        if !Etcd::available() {
            eprintln!("      left out: there is no etcd here; tests/servers/etcd.sh install gets one");
            return Ok(());
        }
        let etcd = Etcd::start(&self.logs.join("etcd"))?;
        let address = format!("--registry_address={}", etcd.address);
        let flags = ["--registry=etcd", &address];
        self.start("greeter-srv", &flags)?;
        self.wait_for_services(&flags, &[GREETER])?;
        self.micro(&[&flags[..], &["list", "services"]].concat(), GREETER)?;
        let call = ["call", GREETER, "Say.Hello", r#"{"name":"etcd"}"#];
        self.micro(&[&flags[..], &call].concat(), "Hello etcd")?;
        // The service says goodbye to its registry, so the registry goes last.
        self.running.pop().map_or(Ok(()), Program::stop)
    }

    /// A program of the distribution, with nothing from the caller's settings.
    fn program(&self, name: &str) -> Command {
        let mut program = Command::new(self.dist.join("bin").join(name));
        command::without_settings(&mut program)
            .env("MICRO_HOME", &self.home)
            .env("MICRO_REGISTRY", "local")
            .env("MICRO_SERVER_ADDRESS", "127.0.0.1:0")
            // Nobody else calls these services, so nobody has to be waited for.
            .env("MICRO_DRAIN_DELAY", "0s");
        program
    }

    fn start(&mut self, name: &str, args: &[&str]) -> Result<()> {
        let mut program = self.program(name);
        program.args(args);
        println!("$ {} &", [&[name], args].concat().join(" "));
        let log = self.logs.join(format!("{}-{name}", self.running.len()));
        self.running.push(Program::start(name, &mut program, log)?);
        Ok(())
    }

    /// Runs a command of `micro`, shows it as typed, and checks what it says.
    fn micro(&self, args: &[&str], expected: &str) -> Result<()> {
        let mut micro = self.program("micro");
        let line = args.iter().map(|word| command::quoted(word)).collect::<Vec<_>>().join(" ");
        println!("$ micro {line}");
        let answer = command::output(micro.args(args))?;
        println!("{}\n", answer.trim_end());
        ensure!(answer.contains(expected), "micro {line}: no {expected:?} in the answer");
        Ok(())
    }

    fn get(&self, url: &str) -> Result<(u16, String)> {
        read(self.agent.get(url).call()).with_context(|| format!("GET {url}"))
    }

    fn post(&self, url: &str, body: &str) -> Result<(u16, String)> {
        let request = self.agent.post(url).header("content-type", "application/json");
        read(request.send(body)).with_context(|| format!("POST {url}"))
    }

    fn expect(&self, (status, body): (u16, String), expected: &str) -> Result<()> {
        println!("{}\n", body.trim_end());
        ensure!(status == 200, "answered with status {status}");
        ensure!(body.contains(expected), "no {expected:?} in the answer");
        Ok(())
    }

    fn wait_for_services(&mut self, flags: &[&str], names: &[&str]) -> Result<()> {
        self.wait(&names.join(" and "), |demo| {
            // An error is not the end: the registry may still be on its way up.
            let listed = demo.program("micro").args(flags).args(["list", "services"]).output();
            let listed = listed.context("cannot run micro")?;
            let text = String::from_utf8_lossy(&listed.stdout);
            Ok(names.iter().all(|name| text.lines().any(|line| line.trim() == *name)))
        })
    }

    /// Asks until the answer is yes.
    fn wait(&mut self, what: &str, ready: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let _shown = Waiting::new(&format!("waiting for {what}"));
        let end = Instant::now() + PATIENCE;
        while !ready(self)? {
            self.running.iter_mut().try_for_each(Program::check)?;
            interrupt::check()?;
            ensure!(Instant::now() < end, "{what} did not become ready in {} s", PATIENCE.as_secs());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// In the reverse order of the start; each one has to end by itself and without an error.
    fn stop(&mut self) -> Result<()> {
        while let Some(program) = self.running.pop() {
            program.stop()?;
        }
        Ok(())
    }
}

fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<(u16, String)> {
    let mut answer = answer?;
    Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
}

/// A port that is free now. Somebody could take it before the program does; then that program says so and ends.
fn free_port() -> Result<u16> {
    match TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()) {
        Ok(address) => Ok(address.port()),
        Err(error) => bail!("no free port on 127.0.0.1: {error}"),
    }
}
