//! `plugin ps`, `inspect`, `build`.

use crate::support::Home;
use micro_plugin::Manifest;

/// A component with nothing in it: the header only.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

#[tokio::test]
async fn no_processes_are_no_error() {
    let home = Home::new();
    let ps = home.run(&["plugin", "ps"]).await;
    assert_eq!((ps.code, &*ps.out), (0, ""));
    assert!(ps.err.starts_with("no running processes in "), "{}", ps.err);
    home.run(&["--output=json", "plugin", "ps"]).await.json();
}

#[tokio::test]
async fn processes_are_found() {
    let home = Home::new();
    let greeter = home.greeter("go.micro.srv.greeter").await;
    let ps = home.run(&["plugin", "ps"]).await;
    let row: Vec<&str> = ps.out.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    assert_eq!(row, [&*std::process::id().to_string(), "go.micro.srv.greeter", "-"], "{ps:?}");
    greeter.stop().await.expect("stops");
}

#[tokio::test]
async fn files_are_inspected() {
    let home = Home::new();
    let manifest = Manifest::from_toml("name = 'x-registry'\nkind = 'registry'\nversion = '1.2.3'", None)
        .expect("valid");
    let plugin = micro_plugin::finish(COMPONENT, &manifest).expect("a component");
    std::fs::write(home.path().join("x.wasm"), plugin).expect("writable");
    let inspect = home.run(&["plugin", "inspect", "x.wasm"]).await;
    assert_eq!((inspect.code, &*inspect.err), (0, ""));
    assert!(
        inspect.out.starts_with("x-registry 1.2.3 (registry, micro:registry@0.1.0)\n"),
        "{}",
        inspect.out
    );
    let json = home.run(&["plugin", "inspect", "x.wasm", "--output=json"]).await.json();
    assert_eq!(json["manifest"]["kind"], "registry");

    std::fs::write(home.path().join("y.wasm"), COMPONENT).expect("writable");
    let unfinished = home.run(&["plugin", "inspect", "y.wasm"]).await;
    assert_eq!(unfinished.code, 1);
    assert!(unfinished.out.contains("format   component\n"), "{}", unfinished.out);
    assert!(unfinished.err.contains("without a manifest") && unfinished.err.contains("micro plugin build"));
    home.run(&["plugin", "inspect", "z.wasm"]).await.complains(&["cannot read z.wasm"]);
    home.run(&["plugin", "inspect"]).await.complains(&["FILE"]);
}

#[tokio::test]
async fn building_says_what_is_missing() {
    let home = Home::new();
    home.run(&["plugin", "build"]).await.complains(&["plugin.toml"]);
    std::fs::write(home.path().join("plugin.toml"), "name = 'x'\nkind = 'nonsense'").expect("writable");
    home.run(&["plugin", "build"]).await.complains(&["plugin.toml", "nonsense"]);
    std::fs::write(home.path().join("plugin.toml"), "name = 'x'\nkind = 'registry'\nversion = '1'")
        .expect("writable");
    home.run(&["plugin", "build"]).await.complains(&["what language the plugin is in", "--wasm"]);
    std::fs::write(home.path().join("core.wasm"), b"\0asm\x01\0\0\0").expect("writable");
    home.run(&["plugin", "build", "--wasm", "core.wasm"])
        .await
        .complains(&["cannot finish core.wasm", "a core module"]);
    std::fs::write(home.path().join("empty.wasm"), COMPONENT).expect("writable");
    home.run(&["plugin", "build", "--wasm", "empty.wasm"])
        .await
        .complains(&["exports nothing", "micro:registry@0.1.0"]);
    assert!(!home.path().join("x.wasm").exists());
}

#[tokio::test]
async fn versions_may_be_the_workspaces() {
    let home = Home::new();
    let write =
        |name: &str, content: &[u8]| std::fs::write(home.path().join(name), content).expect("writable");
    write("plugin.toml", b"name = 'x'\nkind = 'registry'");
    write("empty.wasm", COMPONENT);
    let build = ["plugin", "build", "--wasm", "empty.wasm"];
    home.run(&build).await.complains(&["no version"]);
    let package = "[workspace]\n[workspace.package]\nversion = '1.2.3'\n\
                   [package]\nname = 'x'\nversion.workspace = true\nedition = '2024'\n[lib]\npath = 'lib.rs'";
    write("Cargo.toml", package.as_bytes());
    write("lib.rs", b"");
    home.run(&build).await.complains(&["exports nothing"]);
}
