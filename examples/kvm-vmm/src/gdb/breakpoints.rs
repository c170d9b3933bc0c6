//! Breakpoints and watchpoints, as KVM is to have them.

use gdbstub::target::ext::breakpoints::WatchKind;
use guest_state::{Gpa, Gva, PagingState};
use kvm_bindings::{
    KVM_GUESTDBG_BLOCKIRQ, KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_SINGLESTEP, KVM_GUESTDBG_USE_HW_BP,
    KVM_GUESTDBG_USE_SW_BP, kvm_guest_debug,
};

use super::probe::Support;
use super::walk::translate;
use crate::board::View;

const INT3: u8 = 0xCC;

/// What gdb has set.
#[derive(Debug)]
pub(super) struct Breakpoints {
    support: Support,
    patches: Vec<Patch>,
    registers: [Option<Slot>; 4],
}

/// An instruction whose first byte is INT3.
#[derive(Clone, Copy, Debug)]
struct Patch {
    linear: u64,
    gpa: Gpa,
    original: u8,
}

/// What a debug register watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) linear: u64,
    pub(super) bytes: u64,
    pub(super) kind: SlotKind,
}

/// For what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotKind {
    /// An instruction, for a breakpoint that gdb left to us to make.
    Software,
    /// An instruction, for one of which it said that it should be so.
    Hardware,
    Watch(WatchKind),
}

impl Breakpoints {
    pub(super) const fn new(support: Support) -> Self {
        Self { support, patches: Vec::new(), registers: [None; 4] }
    }

    /// Sets a breakpoint in a debug register, or by INT3 when there is none left and that can be: ROM
    /// keeps its bytes, and a kernel that unpacks itself overwrites them.
    pub(super) fn add_software(
        &mut self,
        view: &View,
        paging: &[PagingState],
        linear: u64,
    ) -> bool {
        let slot = Slot { linear, bytes: 1, kind: SlotKind::Software };
        self.add(slot) || (self.support.int3 && self.patch(view, paging, linear).is_some())
    }

    fn patch(&mut self, view: &View, paging: &[PagingState], linear: u64) -> Option<()> {
        let at = |paging| translate(view, paging, Gva::new(linear)).ok();
        let gpa = paging.iter().find_map(at)?.gpa;
        if self.patches.iter().any(|patch| patch.gpa == gpa) {
            return Some(());
        }
        let mut original = [0];
        view.peek(gpa, &mut original).ok()?;
        view.poke(gpa, &[INT3]).ok()?;
        self.patches.push(Patch { linear, gpa, original: original[0] });
        Some(())
    }

    /// Takes away what [`add_software`](Self::add_software) set. What is not there is gone already: a
    /// reset takes all of them.
    pub(super) fn remove_software(&mut self, view: &View, linear: u64) {
        if let Some(index) = self.patches.iter().position(|patch| patch.linear == linear) {
            self.patches.swap_remove(index).undo(view);
        }
        self.remove(Slot { linear, bytes: 1, kind: SlotKind::Software });
    }

    /// Gives a debug register to `slot`; false if there is none for it.
    pub(super) fn add(&mut self, slot: Slot) -> bool {
        let fits = match slot.kind {
            // The CPU knows no watchpoint for reads alone.
            SlotKind::Watch(WatchKind::Read) => false,
            SlotKind::Watch(_) => {
                matches!(slot.bytes, 1 | 2 | 4 | 8) && slot.linear.is_multiple_of(slot.bytes)
            }
            SlotKind::Software | SlotKind::Hardware => true,
        };
        let works = match slot.kind {
            SlotKind::Watch(_) => self.support.watches,
            SlotKind::Software | SlotKind::Hardware => self.support.registers,
        };
        if !fits || !works {
            return false;
        }
        if self.registers.contains(&Some(slot)) {
            return true;
        }
        let free = self.registers.iter_mut().find(|register| register.is_none());
        free.map(|register| *register = Some(slot)).is_some()
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        for register in &mut self.registers {
            register.take_if(|has| *has == slot);
        }
    }

    /// Takes all away.
    pub(super) fn clear(&mut self, view: &View) {
        self.patches.drain(..).for_each(|patch| patch.undo(view));
        self.registers = [None; 4];
    }

    /// Puts into bytes that were read at `gpa` what would be there without breakpoints.
    pub(super) fn hide(&self, gpa: Gpa, bytes: &mut [u8]) {
        for patch in &self.patches {
            if let Some(byte) = at_mut(bytes, gpa, patch.gpa) {
                *byte = patch.original;
            }
        }
    }

    /// Writes to RAM, and leaves breakpoints where they are.
    pub(super) fn write(&mut self, view: &View, gpa: Gpa, bytes: &[u8]) -> bool {
        let mut bytes = bytes.to_vec();
        for patch in &mut self.patches {
            if let Some(byte) = at_mut(&mut bytes, gpa, patch.gpa) {
                patch.original = std::mem::replace(byte, INT3);
            }
        }
        view.poke(gpa, &bytes).is_ok()
    }

    /// Returns what the debug register watches that DR6 names.
    pub(super) fn hit(&self, dr6: u64) -> Option<Slot> {
        (0..4).find(|index| dr6 >> index & 1 != 0).and_then(|index| self.registers[index])
    }

    /// Returns where INT3 is ours.
    pub(super) fn int3s(&self) -> Vec<u64> {
        self.patches.iter().map(|patch| patch.linear).collect()
    }

    /// Returns what KVM is told for a CPU that steps, or runs.
    pub(super) fn control(&self, steps: bool) -> kvm_guest_debug {
        let mut debug = kvm_guest_debug::default();
        if !self.patches.is_empty() {
            debug.control |= KVM_GUESTDBG_USE_SW_BP;
        }
        for (index, slot) in self.registers.iter().enumerate() {
            let Some(slot) = slot else { continue };
            debug.control |= KVM_GUESTDBG_USE_HW_BP;
            debug.arch.debugreg[index] = slot.linear;
            debug.arch.debugreg[7] |= slot.dr7(index);
        }
        if steps {
            debug.control |= KVM_GUESTDBG_SINGLESTEP;
            if self.support.blocks_interrupts {
                debug.control |= KVM_GUESTDBG_BLOCKIRQ;
            }
        }
        if debug.control != 0 {
            debug.control |= KVM_GUESTDBG_ENABLE;
        }
        debug
    }
}

impl Patch {
    /// Unless the guest has written something else there.
    fn undo(self, view: &View) {
        let mut now = [0];
        if view.peek(self.gpa, &mut now).is_ok() && now[0] == INT3 {
            let _ = view.poke(self.gpa, &[self.original]);
        }
    }
}

impl Slot {
    /// # Source
    /// Intel SDM Vol. 3B, "Debug Control Register (DR7)".
    const fn dr7(self, index: usize) -> u64 {
        const EXACT: u64 = 0x700;
        let condition: u64 = match self.kind {
            SlotKind::Software | SlotKind::Hardware => 0b00,
            SlotKind::Watch(WatchKind::Write) => 0b01,
            SlotKind::Watch(WatchKind::Read | WatchKind::ReadWrite) => 0b11,
        };
        let length: u64 = match (self.kind, self.bytes) {
            (SlotKind::Watch(_), 2) => 0b01,
            (SlotKind::Watch(_), 8) => 0b10,
            (SlotKind::Watch(_), 4) => 0b11,
            _ => 0b00,
        };
        EXACT | 0b10 << (2 * index) | (condition | length << 2) << (16 + 4 * index)
    }
}

/// The byte at `wanted` of those that begin at `gpa`.
fn at_mut(bytes: &mut [u8], gpa: Gpa, wanted: Gpa) -> Option<&mut u8> {
    bytes.get_mut(usize::try_from(wanted.offset_from(gpa)?).ok()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use guest_state::VcpuState;

    use super::*;
    use crate::sys::HostMemory;

    fn registers_alone() -> Breakpoints {
        let support = Support {
            steps: true,
            registers: true,
            watches: true,
            int3: false,
            blocks_interrupts: true,
        };
        Breakpoints::new(support)
    }

    #[test]
    fn debug_registers_are_set_as_the_manual_has_them() {
        let mut breakpoints = registers_alone();
        let watch = |linear, bytes, kind| Slot { linear, bytes, kind: SlotKind::Watch(kind) };
        assert!(breakpoints.add(Slot { linear: 0x1234, bytes: 1, kind: SlotKind::Hardware }));
        assert!(breakpoints.add(watch(0x2000, 4, WatchKind::Write)));
        assert!(breakpoints.add(watch(0x3008, 8, WatchKind::ReadWrite)));
        assert!(breakpoints.add(watch(0x4002, 2, WatchKind::Write)));
        assert!(!breakpoints.add(watch(0x5000, 1, WatchKind::Write)), "there are four");
        let debug = breakpoints.control(false);
        assert_eq!(debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP);
        assert_eq!(debug.arch.debugreg[..4], [0x1234, 0x2000, 0x3008, 0x4002]);
        // From the top: DR3 2 bytes written, DR2 8 bytes accessed, DR1 4 bytes written, DR0 executed;
        // all enabled, exact, and bit 10, which is one.
        assert_eq!(debug.arch.debugreg[7], 0b0101_1011_1101_0000_0000_0111_1010_1010);
        assert_eq!(breakpoints.hit(0xFFFF_0FF4).unwrap().linear, 0x3008);
        assert_eq!(breakpoints.hit(0xFFFF_4FF0), None);
    }

    #[test]
    fn breakpoints_beyond_the_registers_are_int3_that_nobody_sees() {
        let memory = HostMemory::new(Gpa::new(0x1_0000), None).unwrap();
        let view = View::of_ram(Arc::new(memory));
        let code = [0x55, 0x48, 0x89, 0xE5, 0x90, 0xC3];
        let at = |gpa: u64| Gpa::new(0x1000 + gpa);
        view.poke(at(0), &code).unwrap();
        let bytes = || {
            let mut bytes = [0; 6];
            view.peek(at(0), &mut bytes).unwrap();
            bytes
        };
        let paging = [PagingState::new(&VcpuState::reset(0), 36)];
        let support = Support { int3: true, ..registers_alone().support };
        let mut breakpoints = Breakpoints::new(support);
        for other in 0..4 {
            assert!(breakpoints.add_software(&view, &paging, 0x2000 + other));
        }
        assert!(breakpoints.int3s().is_empty());
        assert!(breakpoints.add_software(&view, &paging, 0x1001));
        assert!(breakpoints.add_software(&view, &paging, 0x1004));
        assert!(breakpoints.add_software(&view, &paging, 0x1004), "it is there already");
        assert!(!breakpoints.add_software(&view, &paging, 0x2_0000), "there is no memory");
        assert_eq!(breakpoints.int3s(), [0x1001, 0x1004]);
        assert_eq!(bytes(), [0x55, 0xCC, 0x89, 0xE5, 0xCC, 0xC3]);
        let seen = |breakpoints: &Breakpoints| {
            let mut seen = bytes();
            breakpoints.hide(at(0), &mut seen);
            seen
        };
        assert_eq!(seen(&breakpoints), code);
        let both = KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_ENABLE;
        assert_eq!(breakpoints.control(false).control, both);
        // What is written there is there once the breakpoint is gone.
        assert!(breakpoints.write(&view, at(4), &[0x91, 0xC2]));
        assert_eq!(bytes(), [0x55, 0xCC, 0x89, 0xE5, 0xCC, 0xC2]);
        assert_eq!(seen(&breakpoints), [0x55, 0x48, 0x89, 0xE5, 0x91, 0xC2]);
        breakpoints.remove_software(&view, 0x1004);
        assert_eq!(bytes(), [0x55, 0xCC, 0x89, 0xE5, 0x91, 0xC2]);
        // What the guest wrote there stays.
        view.poke(at(1), &[0x40]).unwrap();
        breakpoints.clear(&view);
        assert_eq!(bytes(), [0x55, 0x40, 0x89, 0xE5, 0x91, 0xC2]);
        assert_eq!(breakpoints.control(false), kvm_guest_debug::default());
    }

    #[test]
    fn what_no_debug_register_can_do_is_refused() {
        let mut breakpoints = registers_alone();
        for (linear, bytes, kind) in [
            (0x1000, 4, WatchKind::Read),
            (0x1001, 2, WatchKind::Write),
            (0x1000, 3, WatchKind::Write),
            (0x1000, 16, WatchKind::Write),
        ] {
            assert!(!breakpoints.add(Slot { linear, bytes, kind: SlotKind::Watch(kind) }));
        }
        assert_eq!(breakpoints.control(false), kvm_guest_debug::default());
        let steps = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ;
        assert_eq!(breakpoints.control(true).control, steps);
    }
}
