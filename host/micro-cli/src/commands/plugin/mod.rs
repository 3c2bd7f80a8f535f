//! `micro plugin …`.

mod build;
mod inspect;
mod ps;
mod swap;
mod test;

pub(super) use build::build;
pub(super) use inspect::inspect;
pub(super) use ps::ps;
pub(super) use swap::swap;
pub(super) use test::test;
