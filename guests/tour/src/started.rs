//! How the tour was started, and what it was handed: one view of PVH, Multiboot and BIOS.

use guest_state::{E820Entry, MemoryKind, StartInfo, StartInfoMemory, StartInfoModule};
use zerocopy::FromBytes;

use crate::{BiosInfo, Machine};

/// What `entry.s` found in the registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "where a field is the register of its name")]
pub struct Handover {
    /// 1 PVH, 2 Multiboot, 3 boot sector.
    pub kind: u32,
    /// EAX, where Multiboot puts its magic.
    pub magic: u32,
    /// EBX: where the protocol's own structure lies.
    pub info: u64,
    pub cr0: u64,
    pub reserved: u64,
    pub cr4: u64,
    pub efer: u64,
    pub apic_base: u64,
    pub eflags: u64,
    pub cs: u16,
    pub ds: u16,
    pub ss: u16,
    pub tr: u16,
}

/// The most of a list that is read: a hostile count must not keep the tour busy.
const MOST_ENTRIES: u64 = 256;
const MOST_COMMAND_LINE: usize = 4096;

/// What a boot protocol handed over, said in one way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    pub(crate) protocol: &'static str,
    pub(crate) info: u64,
    pub(crate) command_line: Option<u64>,
    pub(crate) rsdp: Option<u64>,
    memory_map: List,
    modules: List,
}

#[derive(Clone, Copy, Debug)]
struct List {
    kind: ListKind,
    address: u64,
    count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListKind {
    Pvh,
    E820,
    Multiboot { size_bytes: u64 },
}

/// One entry of a memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) start: u64,
    pub(crate) size_bytes: u64,
    pub(crate) kind: MemoryKind,
}

impl Started {
    /// Reads the protocol's structure; the error says what is wrong with it.
    pub(crate) fn read(handover: &Handover, machine: &impl Machine) -> Result<Self, &'static str> {
        match handover.kind {
            1 => Self::read_pvh(handover.info, machine),
            2 if handover.magic == 0x2BAD_B002 => Self::read_multiboot(handover.info, machine),
            2 => Err("EAX does not hold Multiboot's magic"),
            3 => Self::read_bios(handover.info, machine),
            _ => Err("started in a way that it does not know"),
        }
    }

    fn read_pvh(at: u64, machine: &impl Machine) -> Result<Self, &'static str> {
        let bytes = machine.memory(at, size_of::<StartInfo>()).ok_or("start info not in memory")?;
        let info = StartInfo::read_from_bytes(bytes).map_err(|_| "start info too short")?;
        if info.magic != StartInfo::MAGIC {
            return Err("start info lacks its magic");
        }
        let count = if info.version.get() >= 1 { info.memory_map_count.get() } else { 0 };
        let list = |address, count| List { kind: ListKind::Pvh, address, count };
        Ok(Self {
            protocol: "PVH",
            info: at,
            command_line: some(info.command_line.get()),
            rsdp: some(info.rsdp.get()),
            memory_map: list(info.memory_map.get(), count.into()),
            modules: list(info.modules.get(), info.module_count.get().into()),
        })
    }

    /// # Source
    /// Multiboot Specification 0.6.96, "Boot information format".
    fn read_multiboot(at: u64, machine: &impl Machine) -> Result<Self, &'static str> {
        let bytes = machine.memory(at, 52).ok_or("Multiboot information not in memory")?;
        let (words, _) = <[zerocopy::little_endian::U32; 13]>::read_from_prefix(bytes)
            .map_err(|_| "Multiboot information too short")?;
        let flags = words[0].get();
        let word = |bit: u32, index: usize| {
            if flags & 1 << bit != 0 { u64::from(words[index].get()) } else { 0 }
        };
        let map = ListKind::Multiboot { size_bytes: word(6, 11) };
        Ok(Self {
            protocol: "Multiboot",
            info: at,
            command_line: some(word(2, 4)),
            rsdp: None,
            memory_map: List { kind: map, address: word(6, 12), count: MOST_ENTRIES },
            modules: List { kind: ListKind::E820, address: 0, count: 0 },
        })
    }

    fn read_bios(at: u64, machine: &impl Machine) -> Result<Self, &'static str> {
        let bytes = machine.memory(at, size_of::<BiosInfo>()).ok_or("BIOS information missing")?;
        let info = BiosInfo::read_from_bytes(bytes).map_err(|_| "BIOS information too short")?;
        let list = |address: u32, count: u32| List {
            kind: ListKind::E820,
            address: address.into(),
            count: count.into(),
        };
        Ok(Self {
            protocol: "BIOS",
            info: at,
            command_line: some(info.command_line.get().into()),
            rsdp: None,
            memory_map: list(info.e820.get(), info.e820_count.get()),
            modules: list(0, 0),
        })
    }

    /// Returns the command line up to its zero byte, as far as it is UTF-8.
    pub(crate) fn command_line<'m>(&self, machine: &'m impl Machine) -> &'m str {
        let Some(bytes) = self.command_line.and_then(|at| machine.memory(at, MOST_COMMAND_LINE))
        else {
            return "";
        };
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        core::str::from_utf8(text).unwrap_or("(not UTF-8)")
    }

    /// Returns the entry at `index` of the memory map.
    pub(crate) fn memory(&self, machine: &impl Machine, index: u64) -> Option<Memory> {
        let List { kind, address, count } = self.memory_map;
        if index >= count.min(MOST_ENTRIES) {
            return None;
        }
        match kind {
            ListKind::Pvh => {
                let entry: StartInfoMemory = read(machine, address, index)?;
                Some(Memory {
                    start: entry.address.get(),
                    size_bytes: entry.size_bytes.get(),
                    kind: MemoryKind(entry.kind.get()),
                })
            }
            ListKind::E820 => Some(memory(read(machine, address, index)?)),
            // Each entry is preceded by its size; everybody writes 20.
            ListKind::Multiboot { size_bytes } => {
                let at = address.checked_add(index.checked_mul(24)?)?;
                let end = address.checked_add(size_bytes)?;
                (at.checked_add(24)? <= end).then_some(())?;
                Some(memory(read(machine, at.checked_add(4)?, 0)?))
            }
        }
    }

    /// Returns address and size of the module at `index`.
    pub(crate) fn module(&self, machine: &impl Machine, index: u64) -> Option<(u64, u64)> {
        let List { address, count, .. } = self.modules;
        if index >= count.min(MOST_ENTRIES) {
            return None;
        }
        let module: StartInfoModule = read(machine, address, index)?;
        Some((module.address.get(), module.size_bytes.get()))
    }
}

fn memory(entry: E820Entry) -> Memory {
    Memory {
        start: entry.address.get(),
        size_bytes: entry.size_bytes.get(),
        kind: MemoryKind(entry.kind.get()),
    }
}

/// Zero means absent.
fn some(address: u64) -> Option<u64> {
    (address != 0).then_some(address)
}

fn read<T: FromBytes>(machine: &impl Machine, address: u64, index: u64) -> Option<T> {
    let offset = index.checked_mul(size_of::<T>() as u64)?;
    let bytes = machine.memory(address.checked_add(offset)?, size_of::<T>())?;
    T::read_from_bytes(bytes).ok()
}
