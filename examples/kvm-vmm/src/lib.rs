#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod board;
mod console;
mod cpu;
mod cpuid;
mod crash;
mod disk;
mod dry_run;
mod events;
mod failure;
#[cfg(feature = "fault-injection")]
mod fault;
mod files;
mod fpu;
mod gdb;
mod guest;
mod live;
#[cfg(feature = "bench")]
mod loading;
mod options;
mod power;
mod program;
mod registers;
mod stats;
mod sys;
mod trace;
mod variables;

#[cfg(feature = "bench")]
#[doc(hidden)]
pub use loading::Loaded;
pub use program::main;

#[cfg(all(test, feature = "kvm-rig"))]
mod reset_state;
