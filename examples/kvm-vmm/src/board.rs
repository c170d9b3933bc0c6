//! The board that the devices are on: what KVM, consoles and clock are to them.

mod view;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use boot_plan::MemoryMap;
use guest_state::{Gpa, GpaRange};
use kvm_bindings::{
    KVM_IRQ_ROUTING_MSI, KvmIrqRouting, kvm_irq_routing_entry, kvm_irq_routing_msi, kvm_msi,
};
use machine::{
    Backend, Backing, BlkRequest, BlkStatus, DiskError, InterruptMessage, IoApic, Request,
    TriggerMode,
};
use vm_memory::GuestMemoryMmap;

use crate::console::Output;
use crate::disk::Disk;
use crate::failure::Failure;
use crate::stats::Stats;
use crate::sys::{Behind, HostMemory, Vm};
use crate::variables::Flash;

pub(crate) use view::View;

/// Where firmware and RAM take turns, and how many parts of it do.
const SHADOW_START: u64 = 0xC_0000;
const SHADOW_PARTS: usize = 13;
/// All parts are of this size but for the last, which is the F-segment.
const SHADOW_PART_BYTES: u64 = 0x4000;

/// KVM's memory slots, by number.
pub(crate) mod slots {
    /// RAM: below the VGA hole, above the legacy area, above 4 GiB.
    pub(crate) const RAM: u32 = 0;
    /// The parts of the legacy area that are RAM or ROM by turns.
    pub(crate) const SHADOW: u32 = 8;
    /// ROM below 4 GiB.
    pub(crate) const ROM: u32 = 32;
}

/// What the devices are connected to.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) vm: Vm,
    pub(crate) console: Output,
    pub(crate) debugcon: Output,
    pub(crate) stats: Stats,
    /// What stands behind each part of the legacy area; nothing to change without firmware.
    shadow: Option<[Backing; SHADOW_PARTS]>,
    /// Where the guest keeps UEFI's variables.
    flash: Option<Flash>,
    /// What the guest asked for, until somebody takes it.
    pub(crate) requested: Option<Request>,
    /// What KVM refused, until somebody takes it.
    pub(crate) refused: Option<Failure>,
    disks: Vec<Disk>,
    /// What the guest asked of its disks, until it is done.
    disk_requests: VecDeque<(usize, BlkRequest)>,
    /// Routes of level-triggered interrupts, as KVM knows them.
    routes: Vec<(u32, kvm_msi)>,
}

impl Board {
    /// Connects the devices of a machine that has just been switched on.
    pub(crate) fn new(
        vm: Vm,
        has_shadow: bool,
        outputs: (Output, Output),
        disks: Vec<Disk>,
        stats: Stats,
    ) -> Self {
        let (console, debugcon) = outputs;
        Self {
            vm,
            console,
            debugcon,
            stats,
            shadow: has_shadow.then_some([Backing::Rom; SHADOW_PARTS]),
            flash: None,
            requested: None,
            refused: None,
            disks,
            disk_requests: VecDeque::new(),
            routes: Vec::new(),
        }
    }

    /// The same with flash, if the machine has some.
    pub(crate) fn with_flash(self, flash: Option<Flash>) -> Self {
        Self { flash, ..self }
    }

    /// Puts another virtual machine in the place of the old one, with the same memory topology.
    pub(crate) fn replace_vm(&mut self, vm: Vm) {
        self.vm = vm;
        self.routes.clear();
    }

    /// Writes what the guest sent to its console.
    pub(crate) fn flush_console(&mut self) {
        let bytes = self.console.pending();
        if bytes > 0 {
            self.stats.console(bytes);
            self.console.flush();
        }
    }

    /// Carries out the next request to a disk, if there is one; returns it, and how it ended.
    pub(crate) fn serve_disk(
        &mut self,
    ) -> Option<(usize, BlkRequest, Result<BlkStatus, DiskError>)> {
        let (disk, request) = self.disk_requests.pop_front()?;
        let file = self.disks.get_mut(disk)?;
        let ended = request.carry_out(&self.vm.memory().ram, file);
        Some((disk, request, ended))
    }

    /// Lets all be ROM again that is ROM at power-on.
    pub(crate) fn unshadow(&mut self) {
        if let Some(parts) = &mut self.shadow {
            *parts = [Backing::Rom; SHADOW_PARTS];
        }
        if let Some(flash) = &mut self.flash {
            flash.is_shown = true;
        }
    }

    /// Takes what is in flash over to memory that is to replace this one.
    pub(crate) fn keep_flash(&self, memory: &HostMemory) -> Result<(), Failure> {
        let Some(flash) = &self.flash else { return Ok(()) };
        let copied = memory.copy_rom(self.vm.memory(), flash.range).map_err(io::Error::other);
        copied.map_err(Failure::host("copy flash"))
    }

    /// Sees to it that what is in flash outlives the host too.
    pub(crate) fn sync_flash(&self) -> Result<(), Failure> {
        self.flash.as_ref().map_or(Ok(()), Flash::sync)
    }

    /// Gives the virtual machine all its memory slots.
    pub(crate) fn set_slots(&self) -> Result<(), Failure> {
        let refused = || Failure::host("set guest memory");
        for (slot, range) in (slots::RAM..).zip(ram_ranges(&self.vm, self.shadow.is_some())) {
            self.vm.set_slot(slot, range, Behind::Ram).map_err(refused())?;
        }
        if let Some(parts) = self.shadow {
            for (index, backing) in parts.into_iter().enumerate() {
                let (slot, range) = shadow_part(index);
                let behind = self.behind(range, backing);
                if behind != Behind::Nothing {
                    self.vm.set_slot(slot, range, behind).map_err(refused())?;
                }
            }
        }
        let hidden = self.flash.as_ref().filter(|flash| !flash.is_shown).map(|flash| flash.range);
        for (slot, range) in self.high_roms().filter(|(_, range)| Some(*range) != hidden) {
            self.vm.set_slot(slot, range, Behind::Rom).map_err(refused())?;
        }
        Ok(())
    }

    /// The ROMs below 4 GiB, and their slots.
    fn high_roms(&self) -> impl Iterator<Item = (u32, GpaRange)> {
        let above = |range: &GpaRange| range.start() >= MemoryMap::PC_HOLE_START;
        (slots::ROM..).zip(self.vm.memory().roms.iter().map(|(range, _)| *range).filter(above))
    }

    /// Returns guest memory as the CPUs see it now.
    pub(crate) fn view(&self) -> View {
        View { memory: Arc::clone(self.vm.memory()), shadow: self.shadow }
    }

    fn behind(&self, range: GpaRange, backing: Backing) -> Behind {
        match backing {
            Backing::Ram => Behind::Ram,
            Backing::RamReadOnly => Behind::RamReadOnly,
            Backing::Device => Behind::Nothing,
            Backing::Rom | Backing::RomOverRam => {
                let covered = |(rom, _): &(GpaRange, _)| rom.contains_range(range);
                let has_rom = self.vm.memory().roms.iter().any(covered);
                if has_rom { Behind::Rom } else { Behind::Nothing }
            }
        }
    }

    /// Lets the guest see the array of its flash as memory, or nothing there.
    fn show_flash(&mut self, is_shown: bool) {
        let Some(flash) = self.flash.as_mut().filter(|flash| flash.is_shown != is_shown) else {
            return;
        };
        flash.is_shown = is_shown;
        let range = flash.range;
        let behind = if is_shown { Behind::Rom } else { Behind::Nothing };
        let slot = self.high_roms().find(|(_, rom)| *rom == range);
        let result = slot.map_or(Ok(()), |(slot, _)| self.vm.set_slot(slot, range, behind));
        if let Err(error) = result {
            self.refuse(Failure::host("show flash, or hide it")(error));
        }
    }

    fn refuse(&mut self, failure: Failure) {
        self.refused.get_or_insert(failure);
    }
}

/// The RAM that is always there. What lies below 1 MiB is a part of its own where ROM can take its
/// place, and the VGA hole is none of it.
fn ram_ranges(vm: &Vm, has_shadow: bool) -> Vec<GpaRange> {
    let from = |start, end| GpaRange::from_bounds(Gpa::new(start), end);
    let (low_end, high) = vm.memory().extent();
    let above = if has_shadow { 0x10_0000 } else { SHADOW_START };
    [from(0, Gpa::new(0xA_0000)), from(above, low_end), high].into_iter().flatten().collect()
}

fn shadow_part(index: usize) -> (u32, GpaRange) {
    let number = u32::try_from(index).unwrap_or(0);
    let start = Gpa::new(SHADOW_START + u64::from(number) * SHADOW_PART_BYTES);
    let size_bytes = if index + 1 == SHADOW_PARTS { 0x1_0000 } else { SHADOW_PART_BYTES };
    (slots::SHADOW + number, GpaRange::new(start, size_bytes).unwrap_or_default())
}

impl Backend for Board {
    type Memory = GuestMemoryMmap;

    fn memory(&self) -> &GuestMemoryMmap {
        &self.vm.memory().ram
    }

    fn console(&mut self, byte: u8) {
        self.console.push(byte);
    }

    fn debug(&mut self, byte: u8) {
        self.debugcon.push(byte);
    }

    fn interrupt(&mut self, message: InterruptMessage) {
        if let Err(error) = self.vm.fd().signal_msi(to_kvm(message)) {
            self.refuse(Failure::kvm("deliver an interrupt")(error));
        }
    }

    /// Tells KVM which vectors are level-triggered, since it tells us of their ends only.
    fn rerouted(&mut self, io_apic: &IoApic) {
        let level = |entry: &machine::RedirectionEntry| {
            !entry.is_masked() && entry.trigger_mode() == TriggerMode::Level
        };
        let routes: Vec<_> = (0..)
            .zip(io_apic.redirections())
            .filter(|(_, entry)| level(entry))
            .map(|(pin, entry)| (pin, to_kvm(entry.message())))
            .collect();
        // Linux masks and unmasks often, and each change makes KVM wait for all its CPUs.
        let known = |route| self.routes.contains(route);
        if routes.iter().all(known) {
            return;
        }
        let entries: Vec<_> = routes.iter().map(to_route).collect();
        let result = KvmIrqRouting::from_entries(&entries)
            .map_err(|_| kvm_ioctls::Error::new(libc::E2BIG))
            .and_then(|routing| self.vm.fd().set_gsi_routing(&routing));
        match result {
            Ok(()) => self.routes = routes,
            Err(error) => self.refuse(Failure::kvm("route interrupts")(error)),
        }
    }

    fn read_flash(&self, gpa: Gpa, data: &mut [u8]) {
        // What is asked for is there.
        let _ = self.vm.memory().read_rom(gpa, data);
    }

    fn write_flash(&mut self, gpa: Gpa, data: &[u8]) {
        let _ = self.vm.memory().write_rom(gpa, data);
        let kept = self.flash.as_ref().map_or(Ok(()), |flash| flash.keep(gpa, data));
        if let Err(failure) = kept {
            self.refuse(failure);
        }
    }

    fn remap(&mut self, range: GpaRange, backing: Backing) {
        if self.flash.as_ref().is_some_and(|flash| flash.range == range) {
            return self.show_flash(backing != Backing::Device);
        }
        let Some(index) = (0..SHADOW_PARTS).find(|index| shadow_part(*index).1 == range) else {
            return;
        };
        let Some(parts) = &mut self.shadow else { return };
        let old = std::mem::replace(&mut parts[index], backing);
        let (old, new) = (self.behind(range, old), self.behind(range, backing));
        if old == new {
            return;
        }
        let (slot, _) = shadow_part(index);
        let removed = match old {
            Behind::Nothing => Ok(()),
            _ => self.vm.set_slot(slot, range, Behind::Nothing),
        };
        let result = removed.and_then(|()| match new {
            Behind::Nothing => Ok(()),
            _ => self.vm.set_slot(slot, range, new),
        });
        if let Err(error) = result {
            self.refuse(Failure::host("switch between ROM and RAM")(error));
        }
    }

    fn request(&mut self, request: Request) {
        self.requested.get_or_insert(request);
    }

    fn disk(&mut self, disk: usize, request: BlkRequest) {
        self.disk_requests.push_back((disk, request));
    }
}

fn to_kvm(message: InterruptMessage) -> kvm_msi {
    let msi = message.to_msi();
    let [a, b, c, d, ..] = msi.address.to_le_bytes();
    kvm_msi { address_lo: u32::from_le_bytes([a, b, c, d]), data: msi.data, ..kvm_msi::default() }
}

fn to_route(&(pin, msi): &(u32, kvm_msi)) -> kvm_irq_routing_entry {
    let mut entry =
        kvm_irq_routing_entry { gsi: pin, type_: KVM_IRQ_ROUTING_MSI, ..Default::default() };
    entry.u.msi = kvm_irq_routing_msi {
        address_lo: msi.address_lo,
        address_hi: msi.address_hi,
        data: msi.data,
        ..Default::default()
    };
    entry
}
