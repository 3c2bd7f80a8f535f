//! `micro plugin …`.

mod build;
mod inspect;
mod ps;

pub(super) use build::build;
pub(super) use inspect::inspect;
pub(super) use ps::ps;
