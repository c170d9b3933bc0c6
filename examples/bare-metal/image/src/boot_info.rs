//! What the loader hands over: one view of PVH and Multiboot 2.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use boot_plan::MemoryMap;
use guest_state::{Gpa, GpaRange, MemoryKind, StartInfo, StartInfoMemory, StartInfoModule};
use zerocopy::FromBytes;

use crate::MOST_GUESTS;

/// Physical memory, as far as it is mapped.
pub trait Physical {
    /// Returns the bytes, or `None` where nothing is mapped.
    fn bytes(&self, address: u64, size_bytes: usize) -> Option<&'static [u8]>;
}

/// Which protocol the loader speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loader {
    /// Xen's PVH.
    Pvh,
    /// Multiboot 2.
    Multiboot2,
}

/// A file that the loader brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// Where it is.
    pub range: GpaRange,
    /// Its bytes.
    pub bytes: &'static [u8],
    /// What the loader says of it.
    pub command_line: &'static str,
}

/// What there is for one guest.
#[derive(Clone, Debug)]
pub struct GuestFiles {
    /// Its number, from 1 on.
    pub number: u8,
    /// The line that says what it is to be like.
    pub options: &'static str,
    modules: Vec<(&'static str, Module)>,
}

impl GuestFiles {
    /// Returns the module of this name, which is that without the guest's number.
    #[must_use]
    pub fn module(&self, name: &str) -> Option<&Module> {
        self.modules.iter().find(|(known, _)| *known == name).map(|(_, module)| module)
    }
}

/// Returns the name of a module of the guest with this number, of which the first is 1: `kernel`,
/// `kernel.2`.
#[must_use]
pub fn module_name(name: &str, guest: u8) -> String {
    if guest == 1 { name.into() } else { format!("{name}.{guest}") }
}

/// Returns the name without the number, if the module is that guest's.
fn name_for(module: &'static str, guest: u8) -> Option<&'static str> {
    let (name, number) = match module.rsplit_once('.') {
        Some((name, number)) => (name, number.parse().ok()?),
        None => (module, 1),
    };
    (number == guest).then_some(name)
}

/// What the loader handed over.
#[derive(Clone, Debug)]
pub struct BootInfo {
    /// The host's memory.
    pub memory: MemoryMap,
    /// The files that came along.
    pub modules: Vec<Module>,
    /// The hypervisor's command line.
    pub command_line: &'static str,
    /// Where ACPI's root pointer is.
    pub rsdp: Option<u64>,
    /// The ranges that hold what the others refer to.
    pub in_use: Vec<GpaRange>,
}

/// Why the handover can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// Something is where no memory is mapped.
    #[error("{what} at {address:#x} is out of reach")]
    OutOfReach {
        /// What.
        what: &'static str,
        /// Where.
        address: u64,
    },
    /// The start info does not begin as it should.
    #[error("start info lacks its magic")]
    Magic,
    /// There is no memory map.
    #[error("the loader gives no memory map")]
    NoMemoryMap,
}

/// More entries than any loader has.
const MOST_ENTRIES: u64 = 1024;
const MOST_LINE_BYTES: usize = 4096;

impl BootInfo {
    /// Reads the information at `address`.
    ///
    /// # Errors
    /// [`BootError`].
    pub fn read(loader: Loader, address: u64, physical: &impl Physical) -> Result<Self, BootError> {
        match loader {
            Loader::Pvh => read_pvh(address, physical),
            Loader::Multiboot2 => read_multiboot2(address, physical),
        }
    }

    /// Returns the hypervisor's options: the module of that name, or else the command line.
    ///
    /// GRUB escapes quotes in command lines, so that a file is the better place.
    #[must_use]
    pub fn options(&self) -> &'static str {
        let module = self.modules.iter().find(|module| module.command_line == "options");
        module.map_or(self.command_line, |module| text(module.bytes))
    }

    /// Returns what there is for each guest. The first has modules without a number, and the
    /// hypervisor's options; another has modules as [`module_name`] says, `options.2` among them.
    #[must_use]
    pub fn guests(&self) -> Vec<GuestFiles> {
        let files = |number| GuestFiles {
            number,
            options: self.options(),
            modules: (self.modules.iter())
                .filter_map(|module| Some((name_for(module.command_line, number)?, *module)))
                .collect(),
        };
        let others = (2..=MOST_GUESTS).map(files).filter_map(|guest| {
            let options = text(guest.module("options")?.bytes);
            Some(GuestFiles { options, ..guest })
        });
        core::iter::once(files(1)).chain(others).collect()
    }

    const fn new() -> Self {
        Self {
            memory: MemoryMap::new(),
            modules: Vec::new(),
            command_line: "",
            rsdp: None,
            in_use: Vec::new(),
        }
    }

    fn use_range(&mut self, address: u64, size_bytes: u64) {
        self.in_use.extend(GpaRange::new(Gpa::new(address), size_bytes));
    }

    fn add_memory(&mut self, address: u64, size_bytes: u64, kind: MemoryKind) {
        // What overlaps is what the loader says last.
        if let Some(range) = GpaRange::new(Gpa::new(address), size_bytes) {
            let _ = self.memory.set(range, kind);
        }
    }

    fn add_module(
        &mut self,
        address: u64,
        size_bytes: u64,
        command_line: &'static str,
        physical: &impl Physical,
    ) -> Result<(), BootError> {
        let out_of_reach = BootError::OutOfReach { what: "module", address };
        let size = usize::try_from(size_bytes).map_err(|_| out_of_reach)?;
        let bytes = physical.bytes(address, size).ok_or(out_of_reach)?;
        let range = GpaRange::new(Gpa::new(address), size_bytes).ok_or(out_of_reach)?;
        self.in_use.push(range);
        self.modules.push(Module { range, bytes, command_line });
        Ok(())
    }
}

/// # Source
/// Xen `public/arch-x86/hvm/start_info.h`.
fn read_pvh(address: u64, physical: &impl Physical) -> Result<BootInfo, BootError> {
    let info: StartInfo = read("start info", address, 0, physical)?;
    if info.magic != StartInfo::MAGIC {
        return Err(BootError::Magic);
    }
    let mut found = BootInfo::new();
    found.use_range(address, size_of::<StartInfo>() as u64);
    let map = info.memory_map.get();
    let count = u64::from(info.memory_map_count.get()).min(MOST_ENTRIES);
    if info.version.get() < 1 || count == 0 {
        return Err(BootError::NoMemoryMap);
    }
    found.use_range(map, count * size_of::<StartInfoMemory>() as u64);
    for index in 0..count {
        let entry: StartInfoMemory = read("memory map", map, index, physical)?;
        let kind = MemoryKind(entry.kind.get());
        found.add_memory(entry.address.get(), entry.size_bytes.get(), kind);
    }
    let modules = info.modules.get();
    for index in 0..u64::from(info.module_count.get()).min(MOST_ENTRIES) {
        let module: StartInfoModule = read("module list", modules, index, physical)?;
        let line = line_at(module.command_line.get(), physical);
        found.add_module(module.address.get(), module.size_bytes.get(), line, physical)?;
    }
    found.command_line = line_at(info.command_line.get(), physical);
    found.use_range(info.command_line.get(), found.command_line.len() as u64 + 1);
    found.rsdp = Some(info.rsdp.get()).filter(|rsdp| *rsdp != 0);
    Ok(found)
}

/// # Source
/// Multiboot2 Specification 2.0, "Boot information format".
fn read_multiboot2(address: u64, physical: &impl Physical) -> Result<BootInfo, BootError> {
    let out_of_reach = BootError::OutOfReach { what: "boot information", address };
    let head = physical.bytes(address, 8).ok_or(out_of_reach)?;
    let size = u32_at(head, 0).unwrap_or(0);
    let size = usize::try_from(size).map_err(|_| out_of_reach)?;
    let info = physical.bytes(address, size).ok_or(out_of_reach)?;
    let mut found = BootInfo::new();
    found.use_range(address, size as u64);
    let mut at = 8;
    while let Some(tag) = info.get(at..).filter(|rest| rest.len() >= 8) {
        let (kind, length) = (u32_at(tag, 0).unwrap_or(0), u32_at(tag, 4).unwrap_or(0));
        let length = usize::try_from(length).map_err(|_| out_of_reach)?;
        let body = tag.get(8..length.max(8)).unwrap_or_default();
        match kind {
            0 => break,
            1 => found.command_line = text(body),
            3 => {
                let (start, end) = (u32_at(body, 0).unwrap_or(0), u32_at(body, 4).unwrap_or(0));
                let line = text(body.get(8..).unwrap_or_default());
                let size_bytes = end.saturating_sub(start).into();
                found.add_module(start.into(), size_bytes, line, physical)?;
            }
            6 => read_multiboot2_map(body, &mut found),
            // A copy of the RSDP: 1.0, or 2.0, which is the better one and comes later.
            14 | 15 => found.rsdp = Some(address + at as u64 + 8),
            _ => {}
        }
        at += length.max(8).next_multiple_of(8);
    }
    if found.memory.regions().is_empty() {
        return Err(BootError::NoMemoryMap);
    }
    Ok(found)
}

fn read_multiboot2_map(body: &[u8], found: &mut BootInfo) {
    let entry_bytes = u32_at(body, 0).and_then(|size| usize::try_from(size).ok()).unwrap_or(24);
    let entries = body.get(8..).unwrap_or_default().chunks_exact(entry_bytes.max(24));
    for entry in entries {
        if let (Some(start), Some(size), Some(kind)) =
            (u64_at(entry, 0), u64_at(entry, 8), u32_at(entry, 16))
        {
            found.add_memory(start, size, MemoryKind(kind));
        }
    }
}

fn read<T: FromBytes>(
    what: &'static str,
    address: u64,
    index: u64,
    physical: &impl Physical,
) -> Result<T, BootError> {
    let error = BootError::OutOfReach { what, address };
    let offset = index * size_of::<T>() as u64;
    let at = address.checked_add(offset).ok_or(error)?;
    let bytes = physical.bytes(at, size_of::<T>()).ok_or(error)?;
    T::read_from_bytes(bytes).map_err(|_| error)
}

/// Returns the text at an address up to its zero byte; address zero means none.
fn line_at(address: u64, physical: &impl Physical) -> &'static str {
    let bytes = match address {
        0 => None,
        address => physical.bytes(address, MOST_LINE_BYTES),
    };
    text(bytes.unwrap_or_default())
}

fn text(bytes: &'static [u8]) -> &'static str {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    core::str::from_utf8(text).unwrap_or("(not UTF-8)")
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_that_of_the_guest_whose_number_it_bears() {
        for guest in 1..=MOST_GUESTS {
            let name: &'static str = module_name("initrd", guest).leak();
            for other in 1..=MOST_GUESTS {
                let expected = (other == guest).then_some("initrd");
                assert_eq!(name_for(name, other), expected, "{name} for guest {other}");
            }
        }
        assert_eq!(name_for("kernel.elf", 1), None);
    }

    #[test]
    fn each_guest_has_its_modules_and_its_options() {
        let module =
            |command_line, bytes| Module { range: GpaRange::default(), bytes, command_line };
        let mut info = BootInfo::new();
        info.command_line = "stats --";
        info.modules.extend([
            module("kernel", b"first"),
            module("kernel.3", b"third"),
            module("options.3", b"memory=1 -- x"),
            module("kernel.4", b"without options"),
        ]);
        let guests = info.guests();
        let found = guests.iter().map(|guest| {
            (guest.number, guest.options, guest.module("kernel").map(|module| module.bytes))
        });
        let expected =
            [(1, "stats --", Some(&b"first"[..])), (3, "memory=1 -- x", Some(&b"third"[..]))];
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}
