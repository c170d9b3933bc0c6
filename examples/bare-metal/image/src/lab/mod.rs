//! The entry lab: VMCSs with one or two fields changed, to see whether the processor does with them
//! what the entry checker says.
//!
//! All that can be decided without a processor is here: [`Lab::case`] makes case number N of a seed,
//! always the same. The image `entry-lab` enters each and prints a [`Record`], which the launcher
//! judges.

mod base;
mod case;
mod feature;
mod mutate;
mod random;
mod recipe;
mod record;
mod safety;

pub use case::{BASES, Case, Entering, Lab, LabError, Pages, Processor};
pub use record::{Observed, Record};
