//! What is going on, on standard error: a spinner for a person, plain lines for everything else.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// The numbered steps of something that takes a while.
#[derive(Debug)]
pub(crate) struct Steps {
    total: usize,
    current: usize,
    begun: Instant,
}

impl Steps {
    pub(crate) fn new(total: usize) -> Self {
        Self { total, current: 0, begun: Instant::now() }
    }

    /// Says that the next step begins. Its own output may follow.
    pub(crate) fn next(&mut self, what: &str) {
        self.current += 1;
        eprintln!("[{}/{}] {what}", self.current, self.total);
    }

    /// Says that all is done, and how long it took.
    pub(crate) fn done(&self, what: &str) {
        debug_assert_eq!(self.current, self.total, "as many steps as were announced");
        eprintln!("{what} in {:.1} s", self.begun.elapsed().as_secs_f32());
    }
}

/// Shows that something is being waited for, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting(Option<ProgressBar>);

impl Waiting {
    pub(crate) fn new(what: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            eprintln!("      {what}");
            return Self(None);
        }
        let bar = ProgressBar::new_spinner().with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template("      {spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(Some(bar))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
