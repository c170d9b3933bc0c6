//! The board that the guest's devices are on: RAM behind EPT, the local APIC, and what the guest
//! asks of the whole machine.

use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;

use bare_metal_image::Channel;
use boot_plan::{BootPlan, MemoryMap};
use ept::{Ept, EptAttributes, FramePool, InvalidationDebt, Invept};
use guest_state::{AccessError, Gpa, GpaRange, GuestMemory, Hpa, MemoryKind, WordMemory};
use machine::{
    Backend, Backing, CpuSignal, Devices, InterruptMessage, IoApic, LocalApic, LocalApicEffect,
    MemoryBus, Nanos, Request,
};
use vmx::VmFail;
use vmx::hardware::{InvEpt, invept};

use crate::output::send;

/// The tables of a guest.
pub(crate) type GuestEpt = Ept<FramePool<'static>>;

/// Where firmware and RAM take turns, and the parts in which they do.
const SHADOW_START: u64 = 0xC_0000;
const SHADOW_PARTS: usize = 13;
const SHADOW_PART_BYTES: u64 = 0x4000;
const VIDEO_START: Gpa = Gpa::new(0xA_0000);
const LOCAL_APIC_BYTES: u64 = 0x1000;

/// A ROM: where the guest has it, and host memory with its bytes.
#[derive(Debug)]
pub(crate) struct Rom {
    pub(crate) range: GpaRange,
    pub(crate) at: Hpa,
    pub(crate) memory: WordMemory<'static>,
}

/// Why a guest's memory could not be mapped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BoardError {
    #[error("extended page tables")]
    Ept(#[from] ept::Error),
    #[error("INVEPT failed")]
    Invept(#[from] VmFail),
}

/// What the devices are connected to.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) ram: WordMemory<'static>,
    ram_at: Hpa,
    pub(crate) ept: GuestEpt,
    pub(crate) apic: LocalApic,
    roms: Vec<Rom>,
    shadow: Option<[Backing; SHADOW_PARTS]>,
    /// Flash that the guest writes to: one of the ROMs, and whether the guest sees it as memory.
    flash: Option<(GpaRange, bool)>,
    pub(crate) requested: Option<Request>,
    /// An NMI that reached the CPU.
    pub(crate) nmi: bool,
    /// What could not be mapped, which ends the guest.
    pub(crate) refused: Option<BoardError>,
    pub(crate) console_bytes: u64,
    /// Which guest's it is, from 0 on.
    guest: u8,
}

impl Board {
    /// Connects a guest's devices, and maps its memory: RAM, ROM, and nothing else.
    pub(crate) fn new(
        ram: (Hpa, &'static [AtomicU64]),
        ept: GuestEpt,
        apic: LocalApic,
        roms: Vec<Rom>,
        has_shadow: bool,
        guest: u8,
        flash: Option<GpaRange>,
    ) -> Result<Self, BoardError> {
        let (ram_at, words) = ram;
        let mut board = Self {
            ram: WordMemory::new(Gpa::ZERO, words),
            ram_at,
            ept,
            apic,
            roms,
            shadow: has_shadow.then_some([Backing::Rom; SHADOW_PARTS]),
            flash: flash.map(|range| (range, true)),
            requested: None,
            nmi: false,
            refused: None,
            console_bytes: 0,
            guest,
        };
        board.map_all()?;
        Ok(board)
    }

    /// Returns which guest's it is, from 0 on.
    pub(crate) const fn guest(&self) -> u8 {
        self.guest
    }

    fn map_all(&mut self) -> Result<(), BoardError> {
        let from = GpaRange::from_bounds;
        let mut debt = InvalidationDebt::NONE;
        let above = Gpa::new(if self.shadow.is_some() { 0x10_0000 } else { SHADOW_START });
        let ram = [from(Gpa::ZERO, VIDEO_START), from(above, self.ram.range().end())];
        for range in ram.into_iter().flatten() {
            debt += self.map(range, Backing::Ram)?;
        }
        for index in 0..SHADOW_PARTS {
            if let Some(parts) = self.shadow {
                debt += self.map(shadow_part(index), parts[index])?;
            }
        }
        for index in 0..self.roms.len() {
            let Rom { range, at, .. } = self.roms[index];
            if range.start() >= MemoryMap::PC_HOLE_START {
                debt += self.ept.map(range, at, EptAttributes::ROM)?;
            }
        }
        Ok(self.ept.settle(debt, invalidate)?)
    }

    /// Maps a part of RAM, or what stands in its place.
    fn map(&mut self, range: GpaRange, backing: Backing) -> Result<InvalidationDebt, ept::Error> {
        let ram = self.ram_at.checked_add(range.start().as_u64()).unwrap_or(self.ram_at);
        match backing {
            Backing::Ram => self.ept.map(range, ram, EptAttributes::RAM),
            Backing::RamReadOnly => self.ept.map(range, ram, EptAttributes::ROM),
            Backing::Device => self.ept.unmap(range),
            Backing::Rom | Backing::RomOverRam => match self.rom_at(range) {
                Some(rom) => self.ept.map(range, rom, EptAttributes::ROM),
                None => self.ept.unmap(range),
            },
        }
    }

    fn rom_at(&self, range: GpaRange) -> Option<Hpa> {
        let rom = self.roms.iter().find(|rom| rom.range.contains_range(range))?;
        rom.at.checked_add(range.start().offset_from(rom.range.start())?)
    }

    /// Lets all be ROM again that is ROM at power-on.
    pub(crate) fn unshadow(&mut self) {
        if let Some((range, false)) = self.flash {
            self.remap(range, Backing::Rom);
        }
        if self.shadow.is_some() {
            for index in 0..SHADOW_PARTS {
                self.remap(shadow_part(index), Backing::Rom);
            }
        }
    }

    /// Puts into RAM what the plan says, and zeros where it says nothing.
    pub(crate) fn load(&self, plan: &BootPlan<'_>, is_fresh: bool) -> Result<(), boot_plan::Error> {
        if !is_fresh {
            let error = |source| boot_plan::Error::Write { tag: "guest RAM", source };
            self.ram.fill(Gpa::ZERO, self.ram.range().size_bytes(), 0).map_err(error)?;
        }
        plan.apply(&self.ram)
    }

    /// What a CPU finds at an address.
    fn behind(&self, gpa: Gpa) -> Behind<'_> {
        let part = (0..SHADOW_PARTS).find(|index| shadow_part(*index).contains(gpa));
        let backing = part.and_then(|part| self.shadow.map(|parts| parts[part]));
        let is_hidden = self.flash.is_some_and(|(range, shown)| !shown && range.contains(gpa));
        let rom = || match self.roms.iter().find(|rom| rom.range.contains(gpa)) {
            Some(rom) if !is_hidden => Behind::Rom(rom),
            _ => Behind::Device,
        };
        match backing {
            Some(Backing::Ram) => Behind::Ram,
            Some(Backing::RamReadOnly) => Behind::RamReadOnly,
            Some(Backing::Rom | Backing::RomOverRam) => rom(),
            Some(Backing::Device) => Behind::Device,
            None if gpa >= VIDEO_START && gpa < Gpa::new(SHADOW_START) => Behind::Device,
            None if self.ram.range().contains(gpa) => Behind::Ram,
            None => rom(),
        }
    }

    /// Reads what a CPU would from memory; devices are not disturbed.
    pub(crate) fn peek(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        match self.behind(gpa) {
            Behind::Ram | Behind::RamReadOnly => self.ram.read(gpa, buffer),
            Behind::Rom(rom) => rom.memory.read(gpa, buffer),
            Behind::Device => Err(AccessError::NotMapped { gpa, size_bytes: buffer.len() as u64 }),
        }
    }

    /// Carries out what an access to the local APIC asks for.
    pub(crate) fn apic_effect(
        &mut self,
        effect: Option<LocalApicEffect>,
        devices: &mut Devices<'_>,
    ) {
        match effect {
            None => {}
            Some(LocalApicEffect::EndOfInterrupt(vector)) => {
                devices.end_of_interrupt(vector, self);
            }
            // There is one CPU: others get nothing.
            Some(LocalApicEffect::Ipi(ipi)) if ipi.is_for(&self.apic, true) => {
                self.deliver(ipi.message);
            }
            Some(LocalApicEffect::Ipi(_)) => {}
        }
    }

    fn deliver(&mut self, message: InterruptMessage) {
        // INIT and start-up would be for a CPU that is not there; SMM has none here.
        if self.apic.deliver(message) == Some(CpuSignal::Nmi) {
            self.nmi = true;
        }
    }
}

enum Behind<'b> {
    Ram,
    RamReadOnly,
    Rom(&'b Rom),
    Device,
}

fn shadow_part(index: usize) -> GpaRange {
    let start = Gpa::new(SHADOW_START + index as u64 * SHADOW_PART_BYTES);
    let size_bytes = if index + 1 == SHADOW_PARTS { 0x1_0000 } else { SHADOW_PART_BYTES };
    GpaRange::new(start, size_bytes).unwrap_or_default()
}

/// Makes this CPU forget translations; no other one uses them.
fn invalidate(what: Invept) -> Result<(), VmFail> {
    let scope = match what {
        Invept::SingleContext(pointer) => InvEpt::SingleContext { eptp: pointer.bits() },
        Invept::AllContexts => InvEpt::AllContexts,
    };
    // SAFETY: a guest is made, and its memory remapped, in VMX root operation alone; a CPU with EPT
    // has INVEPT.
    unsafe { invept(scope) }
}

impl Backend for Board {
    type Memory = WordMemory<'static>;

    fn memory(&self) -> &WordMemory<'static> {
        &self.ram
    }

    fn console(&mut self, byte: u8) {
        self.console_bytes += 1;
        send(Channel::Console(self.guest), &[byte]);
    }

    fn debug(&mut self, byte: u8) {
        send(Channel::Debug(self.guest), &[byte]);
    }

    fn interrupt(&mut self, message: InterruptMessage) {
        if self.apic.matches(&message) {
            self.deliver(message);
        }
    }

    /// The local APIC tells us of every end of an interrupt.
    fn rerouted(&mut self, _: &IoApic) {}

    fn read_flash(&self, gpa: Gpa, data: &mut [u8]) {
        if let Some(rom) = self.roms.iter().find(|rom| rom.range.contains(gpa)) {
            // What is asked for is there.
            let _ = rom.memory.read(gpa, data);
        }
    }

    fn write_flash(&mut self, gpa: Gpa, data: &[u8]) {
        if let Some(rom) = self.roms.iter().find(|rom| rom.range.contains(gpa)) {
            let _ = rom.memory.write(gpa, data);
        }
    }

    fn remap(&mut self, range: GpaRange, backing: Backing) {
        let part = (0..SHADOW_PARTS).find(|index| shadow_part(*index) == range);
        match (&mut self.flash, &mut self.shadow, part) {
            (Some((flash, is_shown)), ..) if *flash == range => {
                *is_shown = backing != Backing::Device;
            }
            (_, Some(parts), Some(index)) => parts[index] = backing,
            _ => return,
        }
        let mapped = self.map(range, backing).map_err(BoardError::from);
        let settled = mapped.and_then(|debt| Ok(self.ept.settle(debt, invalidate)?));
        if let Err(error) = settled {
            self.refused = Some(error);
        }
    }

    fn request(&mut self, request: Request) {
        self.requested.get_or_insert(request);
    }
}

/// Everything that an instruction of the guest can touch.
pub(crate) struct Bus<'b, 'm> {
    pub(crate) board: &'b mut Board,
    pub(crate) devices: &'b mut Devices<'m>,
    pub(crate) now: Nanos,
}

impl Bus<'_, '_> {
    /// Returns the offset of an access within the local APIC's page, if that is where it goes.
    fn apic_offset(&self, gpa: Gpa) -> Option<u16> {
        let offset = gpa.offset_from(Gpa::new(self.board.apic.page()?))?;
        u16::try_from(offset).ok().filter(|offset| u64::from(*offset) < LOCAL_APIC_BYTES)
    }
}

impl MemoryBus for Bus<'_, '_> {
    fn read(&mut self, gpa: Gpa, data: &mut [u8]) {
        if let Some(offset) = self.apic_offset(gpa) {
            let value = self.board.apic.read(offset & !3, self.now).to_le_bytes();
            let bytes = value.into_iter().skip(usize::from(offset & 3)).chain([0; 8]);
            data.iter_mut().zip(bytes).for_each(|(byte, value)| *byte = value);
        } else if self.board.peek(gpa, data).is_err() {
            self.devices.memory_read(gpa, data, self.board);
        }
    }

    fn write(&mut self, gpa: Gpa, data: &[u8]) {
        if let Some(offset) = self.apic_offset(gpa) {
            // Registers take 32 bits at once, and nothing else.
            if let Some(value) = data.first_chunk() {
                let value = u32::from_le_bytes(*value);
                let effect = self.board.apic.write(offset, value, self.now);
                self.board.apic_effect(effect, self.devices);
            }
            return;
        }
        match self.board.behind(gpa) {
            Behind::Ram => {
                // An access within a page does not leave RAM.
                let _ = self.board.ram.write(gpa, data);
            }
            Behind::RamReadOnly => {}
            Behind::Rom(_) | Behind::Device => self.devices.memory_write(gpa, data, self.board),
        }
    }
}

/// Returns how much low RAM a plan's guest has, from zero on.
pub(crate) fn low_ram_bytes(memory: &MemoryMap) -> u64 {
    let listed = memory.regions().iter().map(|region| region.range.end());
    listed.filter(|end| *end <= MemoryMap::PC_HOLE_START).max().unwrap_or_default().as_u64()
}

/// Tells whether a plan's guest has RAM above 4 GiB.
pub(crate) fn has_high_ram(memory: &MemoryMap) -> bool {
    memory.ranges(MemoryKind::RAM).any(|range| range.start() >= MemoryMap::PC_HOLE_END)
}
