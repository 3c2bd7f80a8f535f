//! Every plugin of the distribution against the rules of its kind, with a real backend where it has one. What it needs for
//! that stands in its folder, in `conformance.toml`.

use crate::world::World;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A plugin with a backend takes two minutes; a busy machine may take longer.
const LONG: Duration = Duration::from_secs(900);

/// A backend that runs until it is dropped.
struct Server {
    script: PathBuf,
    folder: TempDir,
    address: String,
}

impl Server {
    /// Starts the server that `tests/servers/NAME.sh` is for.
    fn start(name: &str) -> Self {
        let script = root().join("tests/servers").join(format!("{name}.sh"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let output = Command::new(&script).arg("start").arg(folder.path()).output().expect("the script runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let address = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once("_ADDR="));
        let address = address.map(|(_, address)| address.to_owned()).next();
        let address =
            address.unwrap_or_else(|| panic!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
        Self { script, folder, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = Command::new(&self.script).arg("stop").arg(self.folder.path()).status();
        assert!(stopped.is_ok_and(|it| it.success()) || std::thread::panicking(), "a server did not stop");
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// `conformance.toml` of a plugin; empty where there is none.
fn needs(plugin: &Path) -> toml::Table {
    let name = plugin.file_stem().expect("a file has a name");
    let path = root().join("plugins").join(name).join("conformance.toml");
    match std::fs::read_to_string(&path) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        Err(_) => toml::Table::new(),
    }
}

fn plugins(world: &World) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(world.dist().join("plugins")).expect("a folder of plugins");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

/// Runs the whole test; panics with the report unless the plugin reaches its level.
async fn conforms(world: &World, plugin: &Path) {
    let needs = needs(plugin);
    let text = |key: &str| needs.get(key).and_then(toml::Value::as_str);
    let server = text("server").map(Server::start);
    let mut arguments = vec!["plugin".to_owned(), "test".to_owned(), plugin.display().to_string()];
    arguments.push(format!("--level={}", text("level").unwrap_or("stable")));
    arguments.extend(server.iter().map(|server| format!("--address={}", server.address)));
    for (name, value) in needs.get("options").and_then(toml::Value::as_table).into_iter().flatten() {
        arguments.push(format!("--opt={name}={}", value.as_str().expect("a text")));
    }
    for expect in needs.get("expect").and_then(toml::Value::as_array).into_iter().flatten() {
        arguments.push(format!("--expect={}", expect.as_str().expect("a text")));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = world.command("micro", &arguments);
    let output = tokio::time::timeout(LONG, command.kill_on_drop(true).output()).await;
    let output = output.unwrap_or_else(|_| panic!("{} is not tested within {LONG:?}", plugin.display()));
    let output = output.expect("it starts");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn plugins_that_ship_keep_the_rules() {
    let world = World::new();
    let alone: Vec<PathBuf> =
        plugins(&world).into_iter().filter(|plugin| !needs(plugin).contains_key("server")).collect();
    assert!(!alone.is_empty());
    for plugin in alone {
        conforms(&world, &plugin).await;
    }
}

#[tokio::test]
#[ignore = "needs etcd and consul"]
async fn plugins_that_ship_keep_the_rules_with_their_backends() {
    let world = World::new();
    for plugin in plugins(&world).iter().filter(|plugin| needs(plugin).contains_key("server")) {
        conforms(&world, plugin).await;
    }
}
