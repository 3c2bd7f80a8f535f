//! The committed seeds, on the compiler that everything is built with.

use fuzz_seeds as seeds;
use fuzz_targets::TARGETS;

#[test]
fn every_promise_holds_for_every_seed() {
    for target in TARGETS {
        let file = seeds::file(target.name);
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}: write some seeds", file.display()));
        let inputs = seeds::read(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(inputs.len() >= 5, "{} has hardly any seeds", file.display());
        for input in inputs {
            let checked = std::panic::catch_unwind(|| (target.check)(&input));
            assert!(checked.is_ok(), "{} breaks a promise on the seed {}", target.name, seeds::line(&input));
        }
    }
}

#[test]
fn every_file_of_seeds_has_a_target() {
    let mut names = TARGETS.map(|target| target.name);
    names.sort_unstable();
    assert_eq!(seeds::targets().expect("the folder of seeds"), names);
}
