//! Plugins as operators handle them: files that come and go.

use crate::world::{Etcd, World};
use std::path::Path;
use std::process::Command;

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_plugin_that_is_missing_is_searched_for_in_named_places_and_works_once_it_is_there() {
    let etcd = Etcd::start().await;
    let world = World::new().with_own_dist();
    let plugin = world.dist().join("plugins/etcd-registry.wasm");
    let aside = world.path().join("aside.wasm");
    std::fs::rename(&plugin, &aside).expect("it was there");
    let list = ["--registry=etcd", &etcd.flag(), "list", "services"];

    let error = world.fail("micro", &list).await;
    assert!(error.contains(&plugin.display().to_string()), "{error}");
    let own = world.path().join("home/plugins/etcd-registry.wasm");
    assert!(error.contains(&own.display().to_string()), "{error}");

    std::fs::create_dir_all(own.parent().expect("a folder")).expect("writable");
    std::fs::rename(&aside, &own).expect("the same file system");
    world.succeed("micro", &list).await;
    std::fs::rename(&own, &plugin).expect("the same file system");
    world.succeed("micro", &list).await;
}

#[tokio::test]
async fn a_plugin_built_outside_from_only_wit_and_sdk_works_by_path() {
    let world = World::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let elsewhere = world.path().join("elsewhere");
    std::fs::create_dir_all(elsewhere.join("sdk")).expect("writable");
    for (from, to) in [("wit", "wit"), ("sdk/rust", "sdk/rust"), ("tests/system/outside-registry", "plugin")]
    {
        let status = Command::new("cp").arg("-r").arg(root.join(from)).arg(elsewhere.join(to)).status();
        assert!(status.expect("cp runs").success(), "{from}");
    }
    let plugin = elsewhere.join("plugin");
    let folder = plugin.display().to_string();
    let build = tokio::time::timeout(
        std::time::Duration::from_secs(600),
        world.command("micro", &["plugin", "build", &folder]).env_remove("CARGO_TARGET_DIR").output(),
    );
    let built = build.await.expect("a build takes seconds").expect("it runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let wasm = world.path().join("outside-registry.wasm").display().to_string();
    let listed = world.succeed("micro", &[&format!("--registry={wasm}"), "list", "services"]).await;
    assert_eq!(listed, "told.by.the.outside\n");
    let report = world.succeed("micro", &["plugin", "inspect", &wasm]).await;
    assert!(report.contains("outside-registry"), "{report}");
}
