//! `micro plugin …`.

mod build;
mod call;
mod inspect;
mod probed;
mod ps;
mod swap;

pub(super) use build::build;
pub(super) use call::call;
pub(super) use inspect::inspect;
pub(super) use ps::ps;
pub(super) use swap::swap;
