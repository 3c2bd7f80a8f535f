//! What is embedded is looked at when this crate is compiled, so it has to be compiled again when that changes.

fn main() {
    for folder in
        ["templates", "../../wit", "../../sdk/rust/src", "../../sdk/python/micro_sdk", "../../sdk/js/src"]
    {
        println!("cargo:rerun-if-changed={folder}");
    }
    println!("cargo:rerun-if-changed=../../sdk/c");
}
