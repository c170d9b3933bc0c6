//! Guest memory as the CPUs see it, for those who look at it from outside.

use std::sync::Arc;

use boot_plan::MemoryMap;
use guest_state::{AccessError, Gpa, GuestMemory};
use machine::Backing;

use super::{SHADOW_PARTS, shadow_part};
use crate::sys::HostMemory;

/// What stands where, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) memory: Arc<HostMemory>,
    pub(super) shadow: Option<[Backing; SHADOW_PARTS]>,
}

impl View {
    /// Sees RAM alone.
    #[cfg(test)]
    pub(crate) const fn of_ram(memory: Arc<HostMemory>) -> Self {
        Self { memory, shadow: None }
    }

    /// Reads what a CPU would, from RAM or ROM.
    pub(crate) fn peek(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        if self.is_rom(gpa) {
            self.memory.read_rom(gpa, buffer)
        } else {
            self.memory.ram.read(gpa, buffer)
        }
    }

    /// Writes to RAM, read-only as it may be to the guest. ROM stays what it is.
    pub(crate) fn poke(&self, gpa: Gpa, bytes: &[u8]) -> Result<(), AccessError> {
        if self.is_rom(gpa) {
            return Err(AccessError::NotMapped { gpa, size_bytes: bytes.len() as u64 });
        }
        self.memory.ram.write(gpa, bytes)
    }

    fn is_rom(&self, gpa: Gpa) -> bool {
        let part = (0..SHADOW_PARTS).find(|index| shadow_part(*index).1.contains(gpa));
        match part.and_then(|part| self.shadow.map(|parts| parts[part])) {
            Some(backing) => matches!(backing, Backing::Rom | Backing::RomOverRam),
            None => gpa >= MemoryMap::PC_HOLE_START && gpa < MemoryMap::PC_HOLE_END,
        }
    }
}
