//! `micro plugin …`.

mod bench;
mod build;
mod call;
mod doctor;
mod inspect;
mod language;
mod new;
mod probed;
mod ps;
mod run;
mod sources;
mod swap;
mod test;

pub(super) use bench::bench;
pub(super) use build::build;
pub(super) use call::call;
pub(super) use doctor::doctor;
pub(super) use inspect::inspect;
pub(super) use new::new;
pub(super) use ps::ps;
pub(super) use run::run;
pub(super) use swap::swap;
pub(super) use test::test;
