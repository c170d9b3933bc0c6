#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod address;
mod control;
mod memory;
mod memory_type;
mod page;
mod paging;
mod registers;
mod segment;
mod show;
mod vcpu;
#[cfg(feature = "vm-memory")]
mod vm_memory_impl;
mod wire;

pub use address::{Gpa, GpaRange, Gva, Hpa};
pub use control::{cr0, cr4, efer, rflags};
pub use memory::{AccessError, GuestMemory, WordMemory};
pub use memory_type::{FIXED_MTRRS, MemoryType, Mtrrs, VariableMtrr};
pub use page::PageSize;
pub use paging::{
    Access, AccessKind, PageFault, PagingState, Privilege, Translation, WalkError, translate,
    translate_and_mark,
};
pub use segment::{AccessRights, DescriptorTable, Segment};
pub use show::{InWords, RegisterTable};
pub use vcpu::{Activity, DebugRegisters, FpuState, GeneralRegisters, Msrs, VcpuState};
pub use wire::{E820Entry, MemoryKind, StartInfo, StartInfoMemory, StartInfoModule};
