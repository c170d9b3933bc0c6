//! Interrupt lines, from the devices to the interrupt controllers.

use chipset::PirqLine;

use super::Devices;
use crate::backend::Backend;
use crate::slots;

/// The ISA interrupts of the devices, apart from the PIT's, which comes as edges.
mod irq {
    pub(super) const PIT: u8 = 0;
    pub(super) const KEYBOARD: u8 = 1;
    pub(super) const COM1: u8 = 4;
    pub(super) const RTC: u8 = 8;
    pub(super) const SCI: u8 = 9;
}

impl Devices<'_> {
    /// Forwards the devices' interrupt lines to the interrupt controllers.
    pub(super) fn update_lines(&mut self, backend: &mut impl Backend) {
        if self.rtc.interrupt() && !self.lines[usize::from(irq::RTC)] {
            self.pm.rtc_interrupt();
        }
        for (line, level) in [
            (irq::KEYBOARD, self.keyboard.interrupt()),
            (irq::COM1, self.uart.interrupt()),
            (irq::RTC, self.rtc.interrupt()),
            (irq::SCI, self.pm.interrupt()),
        ] {
            self.set_line(line, level, backend);
        }
        if self.pit.take_edge() {
            self.set_line(irq::PIT, false, backend);
            self.set_line(irq::PIT, true, backend);
        }
        if !self.pci.disks.is_empty() {
            self.update_links(backend);
        }
    }

    /// The same for those of PCI: each has a pin of the I/O APIC, and an input of the 8259s where the
    /// ISA bridge routes it to one.
    fn update_links(&mut self, backend: &mut impl Backend) {
        let links = self.pci.links();
        let mut irqs = 0;
        for (line, pin) in PirqLine::ALL.into_iter().zip(slots::FIRST_PIN..) {
            let level = links[line as usize];
            if level != self.links[line as usize]
                && let Some(message) = self.io_apic.set_irq(pin, level)
            {
                backend.interrupt(message);
            }
            if let Some(irq) = self.pci.isa_bridge.route(line).filter(|_| level) {
                irqs |= 1 << irq;
            }
        }
        self.links = links;
        let changed = core::mem::replace(&mut self.linked_irqs, irqs) ^ irqs;
        for irq in (0..16).filter(|irq| changed >> irq & 1 == 1) {
            self.pic.set_irq(irq, self.lines[usize::from(irq)] || irqs >> irq & 1 == 1);
        }
    }

    fn set_line(&mut self, line: u8, level: bool, backend: &mut impl Backend) {
        let last = &mut self.lines[usize::from(line & 15)];
        if *last == level {
            return;
        }
        *last = level;
        self.pic.set_irq(line, level || self.linked_irqs >> (line & 15) & 1 == 1);
        // The PIT is on pin 2 of the I/O APIC, as the MADT says.
        let pin = if line == irq::PIT { 2 } else { line };
        if let Some(message) = self.io_apic.set_irq(pin, level) {
            backend.interrupt(message);
        }
    }
}
