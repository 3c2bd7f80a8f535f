//! `micro plugin …`.

mod build;
mod doctor;
mod inspect;
mod language;
mod new;
mod ps;
mod swap;

pub(super) use build::build;
pub(super) use doctor::doctor;
pub(super) use inspect::inspect;
pub(super) use new::new;
pub(super) use ps::ps;
pub(super) use swap::swap;
