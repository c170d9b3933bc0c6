//! The entry lab: VM entries with something wrong in them, made in Bochs, beside what the entry
//! checker says of them.

mod judge;
mod known;
mod messages;
mod run;

pub use judge::{Difference, Direction, Judgement, find};
pub use known::{Known, differences, of_model, unverified};
pub use run::{LabFailure, LabRun, Report, run};
