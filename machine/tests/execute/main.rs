//! The instruction executor.

mod faults;
mod flags;
mod forms;
mod hostile;
mod rig;
mod strings;
