//! The bodies of the fuzz targets: one function of bytes each, which panics when something is wrong.
//!
//! `cargo test --no-default-features` replays the committed corpus on a stable compiler.
#![forbid(unsafe_code)]

mod bytes;
mod capabilities;
mod dumps;
mod ept_edits;
mod exits;

use bytes::Bytes;

pub use capabilities::capabilities;
pub use dumps::dumps;
pub use ept_edits::ept_edits;
pub use exits::exits;
