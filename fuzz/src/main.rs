//! Lets libFuzzer make up inputs for one of the targets. The environment says for which: libFuzzer owns `main` and its
//! arguments, and a program for each target would be linked for each.

#![no_main]

use fuzz_targets::Target;
use std::sync::LazyLock;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    Target::named(&name).unwrap_or_else(|| panic!("no target is called {name:?}"))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.check)(data));
