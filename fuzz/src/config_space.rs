//! Configuration space of PCI functions that answer anything.

use std::collections::BTreeMap;

use hvmloader_core::{
    PciConfig, PciFunction, PciResources, PirqRouting, open_shadow, plan_pci, scan_pci,
};

const COMMAND: u8 = 0x04;

/// A register: its value, and which bits of it can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Register {
    value: u32,
    writable: u32,
}

/// The registers of functions that are there. All else of a function reads as zero.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Space(BTreeMap<(PciFunction, u8), Register>);

impl Space {
    /// Eight bytes for each register: function, place, which bits, value. A function has an id.
    fn new(data: &[u8]) -> Self {
        let mut space = BTreeMap::new();
        for bytes in data.chunks_exact(8).take(256) {
            let [function, at, first, last, value @ ..] = *bytes.first_chunk().unwrap_or(&[0; 8]);
            let function = PciFunction::new(0, function >> 3, function & 7);
            // Mostly runs of bits, as those of a BAR.
            let writable = u32::MAX << (first & 31) & u32::MAX >> (last & 31);
            // Zeros leave the status as it is.
            let writable = if at & !3 == COMMAND { writable & 0xFFFF } else { writable };
            let register = Register { value: u32::from_le_bytes(value), writable };
            let id = Register { value: 0x1000_8086, writable: 0 };
            space.entry((function, 0)).or_insert(id);
            space.insert((function, at & !3), register);
        }
        Self(space)
    }
}

impl PciConfig for Space {
    fn read(&mut self, function: PciFunction, at: u8) -> u32 {
        assert_eq!(at % 4, 0);
        match self.0.get(&(function, at)) {
            Some(register) => register.value,
            None if self.0.contains_key(&(function, 0)) => 0,
            None => u32::MAX,
        }
    }

    fn write(&mut self, function: PciFunction, at: u8, value: u32) {
        assert_eq!(at % 4, 0);
        if let Some(register) = self.0.get_mut(&(function, at)) {
            register.value = register.value & !register.writable | value & register.writable;
        }
    }
}

/// Scans what `data` describes, plans for it, and programs the plan.
pub(crate) fn scan_and_program(data: &[u8]) {
    let mut space = Space::new(data);
    let before = space.clone();
    let found = scan_pci(&mut space);
    assert_eq!(space, before, "what was asked is not as it was");
    for (index, device) in found.iter().enumerate() {
        let at = device.function;
        assert!(space.0.contains_key(&(at, 0)), "{at} is not there");
        assert!(found[..index].iter().all(|other| other.function < at), "{at} comes too late");
        for bar in &device.bars {
            assert!(bar.size_bytes > 0 && bar.index < 6, "{bar:x?}");
        }
    }
    let routing = PirqRouting::deal(PirqRouting::XEN_IRQS, PirqRouting::I440FX_OFFSET);
    let routing = routing.expect("there are IRQs");
    let resources = PciResources::xen(found.clone(), 1 << 30, 40);
    if let Ok(plan) = plan_pci(&resources) {
        plan.program(&mut space, &found, &routing);
    }
    routing.program_piix(&mut space, &found);
    open_shadow(&mut space);
}
