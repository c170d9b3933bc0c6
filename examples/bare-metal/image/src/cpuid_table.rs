//! All that CPUID tells a guest, found before it asks.

use crate::{Cpuid, GuestCpu, guest_cpuid};

/// The four registers in which CPUID answers: EAX, EBX, ECX, EDX, their upper halves zero.
pub type CpuidAnswer = [u64; 4];

/// Leaves with a place in the table: 32 basic ones, and as many from 4000_0000h, 8000_0000h and
/// C000_0000h on.
const PLACES: u32 = 128;
const FEATURES: u32 = 1;
const OSXSAVE: u64 = 1 << 27;

/// The answers by leaf, for those leaves whose subleaf does not count.
#[derive(Clone, Debug)]
pub struct CpuidTable {
    entries: [Entry; PLACES as usize],
}

/// What a leaf says.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Entry {
    answer: CpuidAnswer,
    leaf: u32,
}

/// The size of an entry, in bits of a shift.
const ENTRY_SHIFT: u32 = size_of::<Entry>().ilog2();

/// Returns the place of a leaf; others may have the same.
///
/// What tells the ranges of leaves apart comes behind what tells their leaves apart. Written by way
/// of the offset, which is all that the processor needs.
#[inline]
const fn place(leaf: u32) -> usize {
    let offset = leaf.rotate_left(ENTRY_SHIFT + 2) & ((PLACES - 1) << ENTRY_SHIFT);
    (offset >> ENTRY_SHIFT) as usize
}

impl CpuidTable {
    /// Finds the answers for a guest's CPU, where `host` is the CPUID of the processor below it.
    pub fn new(cpu: &GuestCpu, mut host: impl FnMut(u32, u32) -> Cpuid) -> Self {
        // A leaf that does not belong in its place: no leaf finds it.
        let mut entries = [Entry { answer: [0; 4], leaf: u32::MAX }; PLACES as usize];
        for leaf in (0..PLACES).map(|place| place.rotate_right(2)) {
            if !has_subleaves(leaf) {
                let found = guest_cpuid(leaf, 0, host(leaf, 0), cpu);
                let answer = [found.eax, found.ebx, found.ecx, found.edx].map(u64::from);
                entries[place(leaf)] = Entry { answer, leaf };
            }
        }
        Self { entries }
    }

    /// Returns what a leaf says; `None` if the subleaf counts, or the leaf has no place.
    #[inline]
    #[must_use]
    pub fn get(&self, leaf: u32) -> Option<&CpuidAnswer> {
        let entry = &self.entries[place(leaf)];
        (entry.leaf == leaf).then_some(&entry.answer)
    }

    /// Has a leaf of the table say something else.
    pub fn set(&mut self, leaf: u32, answer: [u32; 4]) {
        let entry = &mut self.entries[place(leaf)];
        if entry.leaf == leaf {
            entry.answer = answer.map(u64::from);
        }
    }

    /// Says whether the guest's CR4.OSXSAVE is set.
    pub fn set_osxsave(&mut self, is_set: bool) {
        let [_, _, ecx, _] = &mut self.entries[place(FEATURES)].answer;
        *ecx = *ecx & !OSXSAVE | if is_set { OSXSAVE } else { 0 };
    }
}

/// Leaves that answer by ECX too.
const fn has_subleaves(leaf: u32) -> bool {
    matches!(leaf, 4 | 7 | 0xB | 0xD | 0x1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: GuestCpu = GuestCpu {
        apic_id: 5,
        tsc_hertz: 50_000_000,
        osxsave: false,
        has_invpcid: true,
        has_rdtscp: true,
    };

    /// Every leaf and subleaf says something of its own.
    fn host(leaf: u32, subleaf: u32) -> Cpuid {
        let word = |salt: u32| (leaf ^ salt).wrapping_mul(0x9E37_79B1) ^ subleaf << 8;
        Cpuid { eax: word(1), ebx: word(2), ecx: word(3), edx: word(4) }
    }

    /// What the instruction would say, leaf by leaf.
    fn policy(leaf: u32, subleaf: u32, cpu: &GuestCpu) -> CpuidAnswer {
        let found = guest_cpuid(leaf, subleaf, host(leaf, subleaf), cpu);
        [found.eax, found.ebx, found.ecx, found.edx].map(u64::from)
    }

    #[test]
    fn each_answer_is_that_of_the_policy() {
        let table = CpuidTable::new(&CPU, host);
        let mut known = 0;
        for base in [0, 0x4000_0000, 0x8000_0000, 0xC000_0000] {
            for leaf in base..base + 0x40 {
                if let Some(answer) = table.get(leaf) {
                    known += 1;
                    assert_eq!(*answer, policy(leaf, 0, &CPU), "{leaf:#x}");
                }
            }
        }
        assert_eq!(known, 4 * 32 - 5);
        assert!(table.get(0x8000_0001).is_some() && table.get(0).is_some());
    }

    #[test]
    fn leaves_that_answer_by_subleaf_are_left_out() {
        let table = CpuidTable::new(&CPU, host);
        // By the manual, those among the leaves that the policy passes on.
        for leaf in [4, 7, 0xB, 0xD, 0x1F] {
            assert_eq!(table.get(leaf), None, "{leaf:#x}");
        }
        // Of the others none changes with the subleaf, unless the host's own does.
        for leaf in (0..0x20).filter(|leaf| table.get(*leaf).is_some()) {
            let same = guest_cpuid(leaf, 3, host(leaf, 0), &CPU);
            assert_eq!(same, guest_cpuid(leaf, 0, host(leaf, 0), &CPU), "{leaf:#x}");
        }
    }

    #[test]
    fn xens_leaves_can_take_the_place_of_ours() {
        let mut table = CpuidTable::new(&CPU, host);
        for (leaf, answer) in machine::Xen::leaves() {
            table.set(leaf, answer);
            assert_eq!(table.get(leaf), Some(&answer.map(u64::from)));
        }
        table.set(0x20, [1; 4]);
        assert_eq!((table.get(0x20), table.get(0)), (None, Some(&policy(0, 0, &CPU))));
    }

    #[test]
    fn leaves_without_a_place_are_unknown() {
        let table = CpuidTable::new(&CPU, host);
        for leaf in [0x20, 0x3FFF_FFFF, 0x4000_0020, 0x8000_0020, 0x8000_0100, u32::MAX] {
            assert_eq!(table.get(leaf), None, "{leaf:#x}");
        }
    }

    #[test]
    fn osxsave_follows_the_guest() {
        let mut table = CpuidTable::new(&CPU, host);
        for osxsave in [true, false] {
            table.set_osxsave(osxsave);
            let cpu = GuestCpu { osxsave, ..CPU };
            assert_eq!(table.get(1), Some(&policy(1, 0, &cpu)));
        }
    }
}
