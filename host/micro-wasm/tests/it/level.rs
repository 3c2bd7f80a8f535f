//! What a process holds after many swaps.

use crate::support::eventually;

/// Swaps before the first look, and between one look and the next.
const FIRST: usize = 200;
const MORE: usize = 400;
/// What memory may grow by from one look to the next, in KiB: less than the least that each swap could leave behind.
const NOISE: i64 = 2 << 10;

/// Runs a test in a process of its own, since other tests take memory as well.
pub(crate) fn alone(test: &str, body: impl AsyncFnOnce()) {
    const ALONE: &str = "MICRO_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let itself = std::env::current_exe().expect("a test binary");
        let mut command = std::process::Command::new(itself);
        let output =
            command.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().expect("it runs");
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(body());
}

/// Memory, threads and files are level between swap 200 and swap 1,000.
pub(crate) async fn stays_level(swap: impl AsyncFn(usize)) {
    swap(FIRST).await;
    let before = at_rest().await;
    swap(MORE).await;
    let between = at_rest().await;
    swap(MORE).await;
    let after = at_rest().await;
    // An allocator takes a piece from the system once in a while. What leaks grows all the time.
    let growth = (between.0 - before.0).min(after.0 - between.0);
    assert!(growth < NOISE, "memory: {before:?}, {between:?}, {after:?}");
    assert!(after.1 - before.1 <= 2, "threads: {before:?}, {after:?}");
    assert!(after.2 - before.2 <= 2, "files: {before:?}, {after:?}");
}

async fn at_rest() -> (i64, i64, i64) {
    eventually("threads of compilers have ended", || Some(held()).filter(|(_, threads, _)| *threads <= 12))
        .await
}

/// What this process holds: resident memory in KiB, threads, open files.
fn held() -> (i64, i64, i64) {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a field of the kernel");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    };
    let files = std::fs::read_dir("/proc/self/fd").expect("Linux").count();
    (field("VmRSS:"), field("Threads:"), i64::try_from(files).expect("few"))
}
