//! All that CPUID tells a guest, found before it asks.

use alloc::boxed::Box;

use crate::{Cpuid, GuestCpu, guest_cpuid};

/// The four registers in which CPUID answers: EAX, EBX, ECX, EDX, their upper halves zero.
pub type CpuidAnswer = [u64; 4];

/// Leaves with a place in the table: 32 basic ones, and as many from 4000_0000h, 8000_0000h and
/// C000_0000h on.
const PLACES: u32 = 128;
/// Subleaves of a leaf that has any: one for each bit of XCR0, which are the most.
const SUBLEAVES: u32 = 64;
const FEATURES: u32 = 1;
const XSAVE: u32 = 0xD;
const OSXSAVE: u64 = 1 << 27;

/// The answers by leaf and subleaf.
#[derive(Clone, Debug)]
pub struct CpuidTable {
    entries: [Entry; PLACES as usize],
}

/// What a leaf says.
#[derive(Clone, Debug)]
#[repr(align(32))]
struct Entry {
    leaf: u32,
    /// What of the subleaf counts: all, or nothing.
    subleaf_mask: u32,
    /// By what counts of the subleaf.
    answers: Box<[CpuidAnswer]>,
}

/// The size of an entry, in bits of a shift.
const ENTRY_SHIFT: u32 = size_of::<Entry>().ilog2();
const _: () = assert!(size_of::<Entry>() == 1 << ENTRY_SHIFT);

/// Returns the place of a leaf; others may have the same.
///
/// What tells the ranges of leaves apart comes behind what tells their leaves apart. Written by way
/// of the offset, which is all that the processor needs.
#[inline]
const fn place(leaf: u32) -> usize {
    let offset = leaf.rotate_left(ENTRY_SHIFT + 2) & ((PLACES - 1) << ENTRY_SHIFT);
    (offset >> ENTRY_SHIFT) as usize
}

impl Entry {
    fn new(leaf: u32, cpu: &GuestCpu, host: &mut impl FnMut(u32, u32) -> Cpuid) -> Self {
        let (subleaf_mask, count) = if has_subleaves(leaf) { (!0, SUBLEAVES) } else { (0, 1) };
        let answer = |subleaf| answer(leaf, subleaf, cpu, host);
        Self { leaf, subleaf_mask, answers: (0..count).map(answer).collect() }
    }
}

fn answer(
    leaf: u32,
    subleaf: u32,
    cpu: &GuestCpu,
    host: &mut impl FnMut(u32, u32) -> Cpuid,
) -> CpuidAnswer {
    let found = guest_cpuid(leaf, subleaf, host(leaf, subleaf), cpu);
    [found.eax, found.ebx, found.ecx, found.edx].map(u64::from)
}

impl CpuidTable {
    /// Finds the answers for a guest's CPU, where `host` is the CPUID of the processor below it.
    pub fn new(cpu: &GuestCpu, mut host: impl FnMut(u32, u32) -> Cpuid) -> Self {
        // Each place is that of one leaf here.
        let mut leaves = [0; PLACES as usize];
        for leaf in (0..PLACES).map(|place| place.rotate_right(2)) {
            leaves[place(leaf)] = leaf;
        }
        Self { entries: leaves.map(|leaf| Entry::new(leaf, cpu, &mut host)) }
    }

    /// Returns what a leaf and a subleaf say; `None` if they have no place.
    #[inline]
    #[must_use]
    pub fn get(&self, leaf: u32, subleaf: u32) -> Option<&CpuidAnswer> {
        let entry = &self.entries[place(leaf)];
        if entry.leaf != leaf {
            return None;
        }
        entry.answers.get((subleaf & entry.subleaf_mask) as usize)
    }

    /// Has a leaf of the table say something else, whatever the subleaf.
    pub fn set(&mut self, leaf: u32, answer: [u32; 4]) {
        let entry = &mut self.entries[place(leaf)];
        if entry.leaf == leaf {
            entry.answers.fill(answer.map(u64::from));
        }
    }

    /// Says whether the guest's CR4.OSXSAVE is set.
    pub fn set_osxsave(&mut self, is_set: bool) {
        for [_, _, ecx, _] in &mut self.entries[place(FEATURES)].answers {
            *ecx = *ecx & !OSXSAVE | if is_set { OSXSAVE } else { 0 };
        }
    }

    /// Finds anew what follows XCR0, which has become the guest's.
    pub fn follow_xcr0(&mut self, cpu: &GuestCpu, mut host: impl FnMut(u32, u32) -> Cpuid) {
        // Subleaf 0 says how large the area is for what XCR0 enables, subleaf 1 for what it and XSS do.
        for (subleaf, old) in (0..2).zip(&mut self.entries[place(XSAVE)].answers) {
            *old = answer(XSAVE, subleaf, cpu, &mut host);
        }
    }
}

/// Leaves that answer by ECX too.
const fn has_subleaves(leaf: u32) -> bool {
    matches!(leaf, 4 | 7 | 0xB | XSAVE | 0x1F)
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
        for base in [0, 0x4000_0000, 0x8000_0000, 0xC000_0000] {
            for leaf in base..base + 32 {
                assert_eq!(table.get(leaf, 0), Some(&policy(leaf, 0, &CPU)), "{leaf:#x}");
            }
        }
    }

    #[test]
    fn a_subleaf_counts_where_the_manual_says_so() {
        let table = CpuidTable::new(&CPU, host);
        // Among the leaves that the policy passes on.
        for leaf in [4, 7, 0xB, 0xD, 0x1F] {
            for subleaf in 0..64 {
                let expected = policy(leaf, subleaf, &CPU);
                assert_eq!(table.get(leaf, subleaf), Some(&expected), "{leaf:#x} {subleaf}");
            }
            assert_eq!(table.get(leaf, 64), None, "{leaf:#x}");
            assert_eq!(table.get(leaf, u32::MAX), None, "{leaf:#x}");
        }
        // With the others ECX is whatever the guest had in it.
        for leaf in [0, 1, 2, 3, 6, 0x15, 0x4000_0000, 0x8000_0001, 0x8000_0004, 0x8000_0007] {
            for subleaf in [1, 63, 64, 0xDEAD_BEEF, u32::MAX] {
                assert_eq!(table.get(leaf, subleaf), table.get(leaf, 0), "{leaf:#x}");
            }
        }
    }

    #[test]
    fn xens_leaves_can_take_the_place_of_ours() {
        let mut table = CpuidTable::new(&CPU, host);
        for (leaf, answer) in machine::Xen::leaves() {
            table.set(leaf, answer);
            assert_eq!(table.get(leaf, 7), Some(&answer.map(u64::from)));
        }
        table.set(0x20, [1; 4]);
        assert_eq!((table.get(0x20, 0), table.get(0, 0)), (None, Some(&policy(0, 0, &CPU))));
    }

    #[test]
    fn leaves_without_a_place_are_unknown() {
        let table = CpuidTable::new(&CPU, host);
        for leaf in [0x20, 0x3FFF_FFFF, 0x4000_0020, 0x8000_0020, 0x8000_0100, u32::MAX] {
            assert_eq!(table.get(leaf, 0), None, "{leaf:#x}");
        }
    }

    #[test]
    fn osxsave_follows_the_guest() {
        let mut table = CpuidTable::new(&CPU, host);
        for osxsave in [true, false] {
            table.set_osxsave(osxsave);
            let cpu = GuestCpu { osxsave, ..CPU };
            assert_eq!(table.get(1, 0), Some(&policy(1, 0, &cpu)));
        }
    }

    #[test]
    fn the_size_of_the_save_area_follows_xcr0() {
        let mut table = CpuidTable::new(&CPU, host);
        let larger = |leaf, subleaf| Cpuid { ebx: 0x0CAB_0000 | subleaf, ..host(leaf, subleaf) };
        table.follow_xcr0(&CPU, larger);
        let ebx = |subleaf| table.get(0xD, subleaf).map(|answer| answer[1]);
        assert_eq!([ebx(0), ebx(1)], [Some(0x0CAB_0000), Some(0x0CAB_0001)]);
        // The place of a component in it does not.
        assert_eq!(table.get(0xD, 2), Some(&policy(0xD, 2, &CPU)));
    }
}
