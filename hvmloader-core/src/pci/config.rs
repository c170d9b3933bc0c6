//! Configuration space: finding out what functions want, and giving it to them.

use alloc::vec::Vec;

use guest_state::Gpa;

use super::{Bar, BarKind, PciDevice, PciFunction, PciPart, PciPlace, PciPlan};
use crate::{InterruptPin, PirqRouting};

const ID: u8 = 0x00;
const COMMAND: u8 = 0x04;
const HEADER: u8 = 0x0C;
const FIRST_BAR: u8 = 0x10;
const INTERRUPT: u8 = 0x3C;

const DECODE_PORTS: u32 = 1 << 0;
const DECODE_MEMORY: u32 = 1 << 1;
/// The upper half of register 04h is the status, whose bits are cleared by writing ones.
const COMMAND_BITS: u32 = 0xFFFF;
const MULTIFUNCTION: u32 = 1 << 23;

/// Access to the configuration space of PCI functions.
///
/// # Source
/// PCI Local Bus Specification 3.0 §3.2.2.3.2, "Software Generation of Configuration
/// Transactions".
pub trait PciConfig {
    /// Reads the four bytes at `register`, a multiple of 4; all ones where no function is.
    fn read(&mut self, function: PciFunction, register: u8) -> u32;
    /// Writes them.
    fn write(&mut self, function: PciFunction, register: u8, value: u32);
}

/// Finds the functions on bus 0 and what each wants, by writing ones to its BARs.
///
/// Functions decode nothing while they are asked, and are left as they were found. Like
/// hvmloader it looks at no bus behind a bridge: a bridge here is a function with two BARs.
///
/// # Source
/// PCI Local Bus Specification 3.0 §6.2.5.1, "Address Maps".
pub fn scan_pci(config: &mut impl PciConfig) -> Vec<PciDevice> {
    let mut found = Vec::new();
    for device in 0..32 {
        for number in 0..8 {
            let function = PciFunction::new(0, device, number);
            let vendor = config.read(function, ID) & 0xFFFF;
            if vendor != 0xFFFF && vendor != 0 {
                found.push(ask(config, function));
            } else if number == 0 {
                break;
            }
            if number == 0 && config.read(function, HEADER) & MULTIFUNCTION == 0 {
                break;
            }
        }
    }
    found
}

/// Asks a function what it wants.
fn ask(config: &mut impl PciConfig, function: PciFunction) -> PciDevice {
    let (bars, rom) = match config.read(function, HEADER) >> 16 & 0x7F {
        0 => (6, Some(0x30)),
        1 => (2, Some(0x38)),
        _ => (0, None),
    };
    let command = config.read(function, COMMAND) & COMMAND_BITS;
    config.write(function, COMMAND, command & !(DECODE_PORTS | DECODE_MEMORY));
    let mut device = PciDevice::new(function);
    let mut index = 0;
    while index < bars {
        let bar = ask_bar(config, function, index, index + 1 < bars);
        index +=
            if bar.is_some_and(|bar| matches!(bar.kind, BarKind::Memory64 { .. })) { 2 } else { 1 };
        device.bars.extend(bar);
    }
    if let Some(register) = rom {
        device.rom_bytes = size(probe(config, function, register, !0x7FF) & !0x7FF, !0).into();
    }
    config.write(function, COMMAND, command);
    device
}

/// Asks for the BAR `index`; `has_next` says whether another register follows.
fn ask_bar(
    config: &mut impl PciConfig,
    function: PciFunction,
    index: u8,
    has_next: bool,
) -> Option<Bar> {
    let register = bar_register(index);
    let low = probe(config, function, register, !0);
    if low & 1 != 0 {
        // The upper half may be hard-wired to zero: ports have 16 bits.
        let size_bytes = u64::from(size(low & 0xFFFC, 0xFFFF));
        return (size_bytes > 0).then_some(Bar { index, kind: BarKind::Io, size_bytes });
    }
    let prefetchable = low & 1 << 3 != 0;
    let (kind, size_bytes) = if low >> 1 & 3 == 2 && has_next {
        let high = probe(config, function, register + 4, !0);
        let mask = u64::from(high) << 32 | u64::from(low & !0xF);
        let size_bytes = if mask == 0 { 0 } else { (!mask).wrapping_add(1) };
        (BarKind::Memory64 { prefetchable }, size_bytes)
    } else {
        (BarKind::Memory32 { prefetchable }, size(low & !0xF, !0).into())
    };
    (size_bytes > 0).then_some(Bar { index, kind, size_bytes })
}

/// Writes `ones` to a register, and returns what it then reads as; its value is put back.
fn probe(config: &mut impl PciConfig, function: PciFunction, register: u8, ones: u32) -> u32 {
    let before = config.read(function, register);
    config.write(function, register, ones);
    let answer = config.read(function, register);
    config.write(function, register, before);
    answer
}

/// Returns how much a register decodes whose writable bits, of those in `all`, are `mask`.
const fn size(mask: u32, all: u32) -> u32 {
    if mask == 0 { 0 } else { (!mask & all).wrapping_add(1) }
}

const fn bar_register(index: u8) -> u8 {
    FIRST_BAR + 4 * index
}

impl PciPlan {
    /// Writes the plan's addresses into the BARs of `devices`, of which it was made, the IRQs of
    /// their pins into their interrupt lines, and lets them decode what they got.
    ///
    /// Option ROMs get their address but stay closed. Windows of bridges are not written.
    ///
    /// # Source
    /// PCI Local Bus Specification 3.0 §6.2.4, "Interrupt Line", and §6.2.5.
    pub fn program(
        &self,
        config: &mut impl PciConfig,
        devices: &[PciDevice],
        routing: &PirqRouting,
    ) {
        for device in devices {
            let function = device.function;
            let mut decode = 0;
            for bar in &device.bars {
                match self.place(function, PciPart::Bar(bar.index)) {
                    Some(PciPlace::Ports { first, .. }) => {
                        config.write(function, bar_register(bar.index), first.into());
                        decode |= DECODE_PORTS;
                    }
                    Some(PciPlace::Memory(range)) => {
                        let (low, high) = halves(range.start());
                        config.write(function, bar_register(bar.index), low);
                        if matches!(bar.kind, BarKind::Memory64 { .. }) {
                            config.write(function, bar_register(bar.index) + 4, high);
                        }
                        decode |= DECODE_MEMORY;
                    }
                    None => {}
                }
            }
            let is_bridge = config.read(function, HEADER) >> 16 & 0x7F == 1;
            if let Some(PciPlace::Memory(range)) = self.place(function, PciPart::Rom) {
                let register = if is_bridge { 0x38 } else { 0x30 };
                config.write(function, register, halves(range.start()).0);
            }
            let interrupt = config.read(function, INTERRUPT);
            let [_, pin, ..] = interrupt.to_le_bytes();
            let irq = InterruptPin::decode(pin).and_then(|pin| routing.irq(function.device(), pin));
            if let Some(irq) = irq {
                config.write(function, INTERRUPT, interrupt & !0xFF | u32::from(irq));
            }
            if decode != 0 {
                let command = config.read(function, COMMAND) & COMMAND_BITS;
                config.write(function, COMMAND, command | decode);
            }
        }
    }
}

impl PirqRouting {
    /// Writes the links' IRQs into the routing registers of a PIIX3 or PIIX4 among `devices`; false
    /// if there is none.
    ///
    /// # Source
    /// Intel 82371SB (PIIX3), "PIRQRC\[A:D\]—PIRQX Route Control Registers".
    pub fn program_piix(&self, config: &mut impl PciConfig, devices: &[PciDevice]) -> bool {
        const ROUTE_CONTROL: u8 = 0x60;
        const PIIX3: u32 = 0x7000_8086;
        const PIIX4: u32 = 0x7110_8086;
        let is_router =
            |device: &&PciDevice| matches!(config.read(device.function, ID), PIIX3 | PIIX4);
        let Some(router) = devices.iter().find(is_router) else { return false };
        let routes = u32::from_le_bytes(self.route_control());
        config.write(router.function, ROUTE_CONTROL, routes);
        true
    }
}

fn halves(at: Gpa) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = at.as_u64().to_le_bytes();
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}
