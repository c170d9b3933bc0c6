#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod blk;
mod device;
mod error;
mod pci;
mod queue;
mod rng;

pub use blk::{
    Blk, BlkConfig, BlkOperation, BlkRequest, BlkStatus, BlockBackend, BlockError, SECTOR_BYTES,
};
pub use device::{Device, DeviceId, Features, InFlight};
pub use error::{Error, RingPart};
pub use pci::{Effect, Status, VirtioPci};
pub use queue::{Buffers, Chain, Queue, QueueSetup, Segment};
pub use rng::{Rng, RngRequest};
