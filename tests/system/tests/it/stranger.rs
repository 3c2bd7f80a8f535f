//! `docs/plugins/first-plugin.md`, followed word for word on a clean state folder.
//!
//! A block of commands is marked by what stands behind its opening fence:
//!
//! | fence | is |
//! |---|---|
//! | `sh` | commands that have to succeed, in one shell session over the whole page |
//! | `sh background` | one program that runs on, in a terminal of its own |
//! | `sh until` | commands that are repeated until they print what the next block says |
//! | `text` | lines that the block before it prints; each may be a part of a line |
//!
//! Only the gateway's port differs from the page: 8080 may be taken on the machine that tests.

use crate::world::World;
use micro_test::eventually;
use micro_test::process::Program;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

/// Nothing on the page takes longer, installing the tools of Python included, and compiling a component that has Python
/// in it: the gateway does that with the processor time that nobody else wants, of which other tests leave little.
const STEP: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the tools of other languages"]
async fn the_guide_to_the_first_plugin_works_word_for_word() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plugins/first-plugin.md");
    let page = std::fs::read_to_string(page).expect("readable");
    let world = World::new();
    let terminal = Terminal::new(&world);
    let mut programs = Vec::new();
    let steps = steps(&page);
    assert!(steps.len() >= 10, "the page lost its commands: {steps:#?}");
    for step in steps {
        match step.mode.as_str() {
            "" => {
                let output =
                    terminal.run(&step.commands).await.unwrap_or_else(|why| panic!("{step:#?}\n{why}"));
                step.missing(&output)
                    .map_or(Ok(()), Err)
                    .unwrap_or_else(|line| panic!("no {line:?}\n{output}"));
            }
            "background" => {
                let program = terminal.start(&step.commands);
                for line in &step.prints {
                    program.line(line, STEP).await;
                }
                programs.push(program);
            }
            "until" => {
                eventually(&format!("{:?}", step.prints), STEP, async || {
                    terminal.run(&step.commands).await.is_ok_and(|output| step.missing(&output).is_none())
                })
                .await;
            }
            mode => panic!("{mode:?} is no way to run commands"),
        }
    }
    assert_eq!(programs.len(), 2, "a service and a gateway");
}

/// One block of commands and what it prints.
#[derive(Debug, Default)]
struct Step {
    mode: String,
    commands: String,
    prints: Vec<String>,
}

impl Step {
    fn missing(&self, output: &str) -> Option<&str> {
        self.prints.iter().map(String::as_str).find(|line| !output.contains(line))
    }
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::<Step>::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match info.split_once(' ').unwrap_or((info, "")) {
            ("sh", mode) => {
                steps.push(Step { mode: mode.to_owned(), commands: block.join("\n"), ..Step::default() });
            }
            ("text", "") => {
                let step = steps.last_mut().expect("commands stand before what they print");
                step.prints = block.into_iter().map(str::to_owned).collect();
            }
            other => panic!("{other:?} is no kind of block"),
        }
    }
    steps
}

/// A shell session: the working directory and the variables of one block are there for the next.
struct Terminal<'a> {
    world: &'a World,
    gateway: String,
}

impl<'a> Terminal<'a> {
    fn new(world: &'a World) -> Self {
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port").port();
        std::fs::write(world.path().join("session"), "").expect("writable");
        Self { world, gateway: format!("127.0.0.1:{port}") }
    }

    fn command(&self, commands: &str, mode: &str) -> Command {
        let script = commands.replace("localhost:8080", &self.gateway);
        let session = self.world.path().join("session");
        let session = session.display();
        let script = match mode {
            "background" => format!("source '{session}'\nexec {script}"),
            _ => format!(
                "set -euo pipefail\nsource '{session}'\n{script}\n{{ export -p; echo \"cd '$PWD'\"; }} > '{session}'"
            ),
        };
        // As in `World::command`, but the program is found as a user would find it.
        let mut command = self.world.command("micro", &[]);
        let bin = self.world.dist().join("bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path =
            std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path))).expect("a PATH");
        let mut bash = Command::new("bash");
        bash.arg("-c").arg(script).current_dir(self.world.path()).env("PATH", path);
        for (name, value) in command.as_std_mut().get_envs() {
            match value {
                Some(value) => bash.env(name, value),
                None => bash.env_remove(name),
            };
        }
        bash.env("MICRO_API_ADDRESS", &self.gateway).kill_on_drop(true);
        bash
    }

    /// Runs commands to their end; their standard output.
    async fn run(&self, commands: &str) -> Result<String, String> {
        let output = tokio::time::timeout(STEP, self.command(commands, "").output()).await;
        let output = output.map_err(|_| format!("not done within {STEP:?}"))?.map_err(|it| it.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !output.status.success() {
            return Err(format!("{}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr)));
        }
        Ok(text(&output.stdout))
    }

    fn start(&self, commands: &str) -> Program {
        Program::start(self.command(commands, "background"))
    }
}
