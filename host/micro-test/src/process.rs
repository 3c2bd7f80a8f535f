//! Other programs in tests: their output, signals to them, their end.

use parking_lot::Mutex;
use rustix::process::{Pid, kill_process};
use std::fmt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

pub use rustix::process::Signal;

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    output: Output,
}

/// The lines that a program wrote so far, to both of its outputs.
#[derive(Clone, Debug, Default)]
struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    count: watch::Sender<usize>,
}

impl Program {
    /// Starts `command` with nothing to read and both outputs captured.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start(mut command: Command) -> Self {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let output = Output::default();
        // These end with the program's outputs.
        output.capture(child.stdout.take());
        output.capture(child.stderr.take());
        Self { name, child, output }
    }

    /// Its process id.
    ///
    /// # Panics
    /// It has ended and [`Program::exit`] has seen that.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or_else(|| panic!("{} has ended\n{self}", self.name))
    }

    /// The first line that holds `text`, as soon as it is there.
    ///
    /// # Panics
    /// It is not there `within` the time; the message has all lines.
    pub async fn line(&self, text: &str, within: Duration) -> String {
        let mut count = self.output.count.subscribe();
        let found = async {
            loop {
                count.borrow_and_update();
                if let Some(line) = self.lines().into_iter().find(|line| line.contains(text)) {
                    return line;
                }
                let _ = count.changed().await;
            }
        };
        let line = tokio::time::timeout(within, found).await;
        line.unwrap_or_else(|_| panic!("{} did not say {text:?} within {within:?}\n{self}", self.name))
    }

    /// Everything that it wrote so far.
    pub fn lines(&self) -> Vec<String> {
        self.output.lines.lock().clone()
    }

    /// Sends a signal to it, and to nobody else.
    ///
    /// # Panics
    /// It has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("the system's own id");
        kill_process(pid, signal).unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
    }

    /// How it ended.
    ///
    /// # Panics
    /// It has not ended `within` the time.
    pub async fn exit(&mut self, within: Duration) -> ExitStatus {
        match tokio::time::timeout(within, self.child.wait()).await {
            Ok(status) => status.unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.name)),
            Err(_) => panic!("{} has not ended within {within:?}\n{self}", self.name),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|line| writeln!(f, "| {line}"))
    }
}

impl Output {
    fn capture(&self, from: Option<impl AsyncRead + Unpin + Send + 'static>) {
        let Some(from) = from else { return };
        let output = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(from).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                output.lines.lock().push(line);
                output.count.send_modify(|count| *count += 1);
            }
        });
    }
}
