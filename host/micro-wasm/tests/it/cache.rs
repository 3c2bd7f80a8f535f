//! Compiled code is used only as this user wrote it.

use crate::support::{Lab, eventually, plugin, request};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn entries(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("readable").path());
    found.filter(|path| path.extension().is_some_and(|it| it == extension)).collect()
}

/// A cache with one entry, and the entry.
async fn filled() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("a temporary folder");
    load(&root).await;
    let folder = root.path().join("cache");
    assert_eq!(fs::metadata(&folder).expect("made").permissions().mode() & 0o777, 0o700);
    assert_eq!(entries(&folder, "tmp"), Vec::<PathBuf>::new());
    let entry = entries(&folder, "cwasm").pop().expect("one entry");
    (root, entry)
}

/// Loads the plugin with this cache and sees that it works.
async fn load(root: &TempDir) {
    let lab = Lab::with(|config| config.cache_dir = Some(root.path().join("cache")));
    let file = lab.file("x.wasm", &plugin("fault-registry"));
    let registry = lab.host.load_registry(request(&file)).await.expect("it loads");
    assert_eq!(registry.list_services().await, Ok(vec![]));
}

#[tokio::test]
async fn a_second_load_uses_the_entry() {
    let (root, entry) = filled().await;
    let written = fs::metadata(&entry).and_then(|it| it.modified()).expect("there");
    load(&root).await;
    assert_eq!(fs::metadata(&entry).and_then(|it| it.modified()).expect("there"), written);
}

#[tokio::test]
async fn a_changed_entry_is_compiled_again() {
    let (root, entry) = filled().await;
    let sound = fs::read(&entry).expect("there");
    let mut tampered = sound.clone();
    let middle = tampered.len() / 2;
    tampered[middle] ^= 1;
    fs::write(&entry, &tampered).expect("ours");
    load(&root).await;
    assert!(fs::read(&entry).expect("there") == sound, "compiled again");

    for content in [b"".as_slice(), b"not code"] {
        fs::write(&entry, content).expect("ours");
        // With a digest that fits, wasmtime's own check is what is left.
        let digest = micro_plugin::Digest::of(content).to_string();
        fs::write(entry.with_extension("sha256"), digest).expect("ours");
        load(&root).await;
        assert!(fs::read(&entry).expect("there") == sound, "compiled again");
    }

    fs::remove_file(entry.with_extension("sha256")).expect("there");
    load(&root).await;
    assert!(entry.with_extension("sha256").exists());
}

#[tokio::test]
async fn an_entry_that_others_may_write_is_compiled_again() {
    let (root, entry) = filled().await;
    for mode in [0o666, 0o620, 0o602] {
        fs::set_permissions(&entry, Permissions::from_mode(mode)).expect("ours");
        load(&root).await;
        assert_eq!(fs::metadata(&entry).expect("there").permissions().mode() & 0o777, 0o600, "{mode:o}");
    }
}

#[tokio::test]
async fn a_folder_that_others_may_write_is_not_used() {
    let (root, entry) = filled().await;
    let folder = entry.parent().expect("a folder");
    fs::set_permissions(folder, Permissions::from_mode(0o777)).expect("ours");
    fs::remove_file(&entry).expect("there");
    load(&root).await;
    assert!(!entry.exists(), "nothing is put where others may write");
}

#[tokio::test]
async fn a_link_is_not_followed() {
    let (root, entry) = filled().await;
    let elsewhere = root.path().join("elsewhere.cwasm");
    fs::rename(&entry, &elsewhere).expect("ours");
    std::os::unix::fs::symlink(&elsewhere, &entry).expect("ours");
    load(&root).await;
    assert!(fs::symlink_metadata(&entry).expect("there").is_file(), "replaced by a file");
}

#[tokio::test]
async fn an_entry_of_another_user_is_compiled_again() {
    let (root, entry) = filled().await;
    // Only root can give files away; for others there is nothing to test.
    if std::os::unix::fs::chown(&entry, Some(65534), None).is_ok() {
        load(&root).await;
        use std::os::unix::fs::MetadataExt;
        let folder = fs::metadata(root.path()).expect("there");
        assert_eq!(fs::metadata(&entry).expect("there").uid(), folder.uid());
    } else {
        eprintln!("SKIPPED: giving a file to another user needs root");
    }
}

#[tokio::test]
async fn loads_at_the_same_time_do_not_disturb_each_other() {
    let root = tempfile::tempdir().expect("a temporary folder");
    tokio::join!(load(&root), load(&root), load(&root));
    let folder = root.path().join("cache");
    eventually("one entry is left", || (entries(&folder, "cwasm").len() == 1).then_some(())).await;
    assert_eq!(entries(&folder, "tmp"), Vec::<PathBuf>::new());
}
