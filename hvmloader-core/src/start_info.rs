//! Reading PVH's start info: how an hvmloader learns what was loaded with it.

use alloc::vec::Vec;

use guest_state::{
    AccessError, Gpa, GpaRange, GuestMemory, StartInfo, StartInfoMemory, StartInfoModule,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::Error;

/// What version 0 has: all before the memory map.
const VERSION_0_BYTES: usize = 40;
const MOST_MODULES: u32 = 64;
const MOST_REGIONS: u32 = 1024;
const MOST_TEXT_BYTES: usize = 4096;

/// A module that was loaded with the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedModule {
    /// Where it is.
    pub range: GpaRange,
    /// Its command line, without the zero byte at its end; empty if it has none.
    pub command_line: Vec<u8>,
}

/// A start info that was read: nothing in it points into guest memory unseen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadedInfo {
    /// The command line, without the zero byte at its end; empty if there is none.
    pub command_line: Vec<u8>,
    /// Where the RSDP is.
    pub rsdp: Option<Gpa>,
    /// The modules.
    pub modules: Vec<LoadedModule>,
    /// The memory map as it stands there; empty in version 0.
    pub memory: Vec<StartInfoMemory>,
}

impl LoadedInfo {
    /// Reads the start info at `gpa`, of any version.
    ///
    /// At most 64 modules, 1024 memory ranges and 4096 bytes of each command line are read.
    ///
    /// # Errors
    /// [`Error::StartInfoMagic`], [`Error::StartInfoCount`], [`Error::StartInfoRange`] for a module
    /// or a list that passes the end of the address space, [`Error::StartInfoText`] for a command
    /// line without an end, and [`Error::Memory`].
    ///
    /// # Source
    /// Xen `public/arch-x86/hvm/start_info.h`.
    pub fn read(memory: &impl GuestMemory, gpa: Gpa) -> Result<Self, Error> {
        let mut info = StartInfo::new_zeroed();
        let (first, _) = info.as_mut_bytes().split_at_mut(VERSION_0_BYTES);
        read(memory, gpa, 0, first)?;
        if info.magic.get() != StartInfo::MAGIC {
            return Err(Error::StartInfoMagic { magic: info.magic.get() });
        }
        if info.version.get() > 0 {
            let (_, rest) = info.as_mut_bytes().split_at_mut(VERSION_0_BYTES);
            read(memory, gpa, VERSION_0_BYTES as u64, rest)?;
        }
        let modules: Vec<StartInfoModule> =
            list(memory, info.modules.get(), info.module_count.get(), MOST_MODULES)?;
        let module = |module: &StartInfoModule| {
            let (start, size_bytes) = (Gpa::new(module.address.get()), module.size_bytes.get());
            let range = GpaRange::new(start, size_bytes)
                .ok_or(Error::StartInfoRange { start, size_bytes })?;
            Ok::<_, Error>(LoadedModule {
                range,
                command_line: text(memory, module.command_line.get())?,
            })
        };
        Ok(Self {
            command_line: text(memory, info.command_line.get())?,
            rsdp: Some(Gpa::new(info.rsdp.get())).filter(|rsdp| *rsdp != Gpa::ZERO),
            modules: modules.iter().map(module).collect::<Result<_, Error>>()?,
            memory: list(memory, info.memory_map.get(), info.memory_map_count.get(), MOST_REGIONS)?,
        })
    }

    /// Returns the module whose command line is `name`: hvmloader's image is named `firmware`.
    #[must_use]
    pub fn module(&self, name: &[u8]) -> Option<&LoadedModule> {
        self.modules.iter().find(|module| module.command_line == name)
    }
}

fn read(memory: &impl GuestMemory, gpa: Gpa, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
    let size_bytes = buffer.len() as u64;
    let at = gpa.checked_add(offset).ok_or(AccessError::NotMapped { gpa, size_bytes })?;
    Ok(memory.read(at, buffer)?)
}

/// Reads `count` entries from `start`.
fn list<T: FromBytes + IntoBytes + Copy>(
    memory: &impl GuestMemory,
    start: u64,
    count: u32,
    most: u32,
) -> Result<Vec<T>, Error> {
    if count > most {
        return Err(Error::StartInfoCount { count, most });
    }
    let mut entries = Vec::new();
    for index in 0..u64::from(count) {
        let mut entry = T::new_zeroed();
        read(memory, Gpa::new(start), index * size_of::<T>() as u64, entry.as_mut_bytes())?;
        entries.push(entry);
    }
    Ok(entries)
}

/// Reads a text that ends with a zero byte.
fn text(memory: &impl GuestMemory, start: u64) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    if start == 0 {
        return Ok(text);
    }
    for offset in 0..=MOST_TEXT_BYTES as u64 {
        let mut byte = [0];
        read(memory, Gpa::new(start), offset, &mut byte)?;
        match byte {
            [0] => return Ok(text),
            [byte] => text.push(byte),
        }
    }
    Err(Error::StartInfoText { start: Gpa::new(start) })
}
