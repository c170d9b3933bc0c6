//! A CPU, sparse memory that remembers how it was accessed, and page tables.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeMap;

use guest_state::{AccessRights, Gpa, GuestMemory, Segment, VcpuState, WordMemory, cr0, rflags};
use iced_x86::IcedError;
use iced_x86::code_asm::CodeAssembler;
use machine::{ExecuteError, Executed, MemoryBus, execute};

pub(crate) const PHYSICAL_BITS: u32 = 46;
/// Where instructions stand.
pub(crate) const CODE: u64 = 0x1000;
/// Where the page tables stand.
pub(crate) const TABLES: u64 = 0x10_0000;
const TABLE_PAGES: u64 = 32;

pub(crate) const PRESENT: u64 = 1 << 0;
pub(crate) const WRITABLE: u64 = 1 << 1;
pub(crate) const USER: u64 = 1 << 2;
pub(crate) const ACCESSED: u64 = 1 << 5;
pub(crate) const DIRTY: u64 = 1 << 6;
pub(crate) const NO_EXECUTE: u64 = 1 << 63;

/// An access that the bus saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Read(u64, usize),
    Write(u64, Vec<u8>),
}

/// All bytes are there, and zero until written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bus {
    pub(crate) bytes: BTreeMap<u64, u8>,
    pub(crate) seen: Vec<Seen>,
}

impl Bus {
    pub(crate) fn put(&mut self, at: u64, bytes: &[u8]) {
        self.bytes.extend((at..).zip(bytes.iter().copied()));
    }

    pub(crate) fn put_u64(&mut self, at: u64, value: u64) {
        self.put(at, &value.to_le_bytes());
    }

    pub(crate) fn get(&self, at: u64, count: u64) -> Vec<u8> {
        (at..at + count).map(|at| self.bytes.get(&at).copied().unwrap_or(0)).collect()
    }

    pub(crate) fn get_u64(&self, at: u64) -> u64 {
        self.get(at, 8).iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }
}

impl MemoryBus for Bus {
    fn read(&mut self, gpa: Gpa, data: &mut [u8]) {
        self.seen.push(Seen::Read(gpa.as_u64(), data.len()));
        self.fetch(gpa, data);
    }

    fn write(&mut self, gpa: Gpa, data: &[u8]) {
        self.seen.push(Seen::Write(gpa.as_u64(), data.to_vec()));
        self.put(gpa.as_u64(), data);
    }

    fn fetch(&mut self, gpa: Gpa, data: &mut [u8]) {
        for (to, at) in data.iter_mut().zip(gpa.as_u64()..) {
            *to = self.bytes.get(&at).copied().unwrap_or(0);
        }
    }
}

/// Page tables of 4-level paging.
pub(crate) struct Tables {
    words: Vec<AtomicU64>,
    used: u64,
}

impl Default for Tables {
    fn default() -> Self {
        let words = (0..TABLE_PAGES * 512).map(|_| AtomicU64::new(0)).collect();
        Self { words, used: 1 }
    }
}

impl Tables {
    pub(crate) fn memory(&self) -> WordMemory<'_> {
        WordMemory::new(Gpa::new(TABLES), &self.words)
    }

    fn index(at: u64, level: u64) -> u64 {
        at >> (12 + 9 * level) & 0x1FF
    }

    fn word(&self, gpa: u64) -> &AtomicU64 {
        let index = usize::try_from((gpa - TABLES) / 8).unwrap_or(usize::MAX);
        &self.words[index]
    }

    /// The leaf entry of an address, tables made on the way.
    pub(crate) fn leaf(&mut self, linear: u64) -> &AtomicU64 {
        let mut table = TABLES;
        for level in [3, 2, 1] {
            let at = table + 8 * Self::index(linear, level);
            let mut entry = self.word(at).load(Ordering::Relaxed);
            if entry == 0 {
                entry = (TABLES + 0x1000 * self.used) | PRESENT | WRITABLE | USER;
                self.used += 1;
                self.word(at).store(entry, Ordering::Relaxed);
            }
            table = entry & 0x000F_FFFF_FFFF_F000;
        }
        self.word(table + 8 * Self::index(linear, 0))
    }

    pub(crate) fn map(&mut self, linear: u64, physical: u64, flags: u64) {
        self.leaf(linear).store(physical | flags, Ordering::Relaxed);
    }

    /// Puts an entry into the one table of 32-bit paging for the first 4 MiB.
    pub(crate) fn map_legacy(&mut self, linear: u64, entry: u64) {
        let at = Gpa::new(TABLES + 0x1000 + (linear >> 12) * 4);
        let [a, b, c, d, ..] = entry.to_le_bytes();
        assert!(self.memory().write(at, &[a, b, c, d]).is_ok());
    }

    pub(crate) fn entry(&mut self, linear: u64) -> u64 {
        self.leaf(linear).load(Ordering::Relaxed)
    }
}

/// Everything an instruction needs.
pub(crate) struct Rig {
    pub(crate) cpu: VcpuState,
    pub(crate) bus: Bus,
    pub(crate) tables: Tables,
    pub(crate) bitness: u32,
}

impl Rig {
    /// Real mode: CS and IP lead to [`CODE`], the other segments are at zero.
    pub(crate) fn real() -> Self {
        let mut cpu = VcpuState::reset(0);
        cpu.cs = Segment::real_mode_code(0x0100);
        cpu.rip = 0;
        Self { cpu, bus: Bus::default(), tables: Tables::default(), bitness: 16 }
    }

    /// 32-bit protected mode with flat segments, without paging.
    pub(crate) fn flat32() -> Self {
        let cpu = VcpuState::flat32(0x1000);
        Self { cpu, bus: Bus::default(), tables: Tables::default(), bitness: 32 }
    }

    /// 16-bit protected mode with flat segments.
    pub(crate) fn flat16() -> Self {
        let mut rig = Self::flat32();
        rig.cpu.cs.access = AccessRights(0x809B);
        rig.bitness = 16;
        rig
    }

    /// 64-bit mode: 128 KiB from zero and the local APIC's page are mapped to themselves.
    pub(crate) fn long() -> Self {
        let mut tables = Tables::default();
        for page in (0..0x2_0000).step_by(0x1000).chain([0xFEE0_0000]) {
            tables.map(page, page, PRESENT | WRITABLE | USER);
        }
        let cpu = VcpuState::long_mode(CODE, Gpa::new(TABLES));
        Self { cpu, bus: Bus::default(), tables, bitness: 64 }
    }

    /// Compatibility mode with the pages of [`Rig::long`].
    pub(crate) fn compat() -> Self {
        let mut rig = Self::long();
        rig.cpu.cs.access = AccessRights::CODE32;
        rig.bitness = 32;
        rig
    }

    /// Virtual-8086 mode with 128 KiB of the user's pages, mapped to themselves.
    pub(crate) fn virtual8086() -> Self {
        let mut rig = Self::real();
        rig.cpu.cr0 |= cr0::PE | cr0::PG;
        rig.cpu.rflags |= rflags::VM;
        rig.cpu.cr3 = TABLES;
        let table = TABLES + 0x1000;
        rig.tables.word(TABLES).store(table | PRESENT | WRITABLE | USER, Ordering::Relaxed);
        for page in (0..0x2_0000).step_by(0x1000) {
            rig.tables.map_legacy(page, page | PRESENT | WRITABLE | USER);
        }
        rig
    }

    pub(crate) fn user(mut self) -> Self {
        self.cpu.ss.access.0 |= 3 << 5;
        self.cpu.cs.access.0 |= 3 << 5;
        self
    }

    /// Where the instruction stands in memory, with identity paging.
    pub(crate) fn code(&self) -> u64 {
        let base = if self.bitness == 64 { 0 } else { self.cpu.cs.base };
        base.wrapping_add(self.cpu.rip) & 0xFFFF_FFFF
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<Executed, ExecuteError> {
        let at = self.code();
        self.bus.put(at, bytes);
        self.step()
    }

    pub(crate) fn step(&mut self) -> Result<Executed, ExecuteError> {
        execute(&mut self.cpu, PHYSICAL_BITS, &self.tables.memory(), &mut self.bus)
    }

    /// Assembles one instruction, executes it and tells its length.
    pub(crate) fn asm(
        &mut self,
        assemble: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
    ) -> Result<(Executed, u64), ExecuteError> {
        let bytes = assembled(self.bitness, self.cpu.rip, assemble);
        let executed = self.bytes(&bytes)?;
        Ok((executed, bytes.len() as u64))
    }

    /// As [`asm`](Self::asm), for an instruction that is to be completed.
    pub(crate) fn completes(
        &mut self,
        assemble: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
    ) {
        let rip = self.cpu.rip;
        let result = self.asm(assemble);
        let length = result.map_or(0, |(_, length)| length);
        assert_eq!(result, Ok((Executed::Completed, length)));
        assert_eq!(self.cpu.rip, rip + length, "RIP is behind the instruction");
    }
}

pub(crate) fn assembled(
    bitness: u32,
    rip: u64,
    assemble: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
) -> Vec<u8> {
    let bytes = CodeAssembler::new(bitness).and_then(|mut assembler| {
        assemble(&mut assembler)?;
        assembler.assemble(rip)
    });
    assert!(bytes.is_ok(), "{bytes:?}");
    bytes.unwrap_or_default()
}
