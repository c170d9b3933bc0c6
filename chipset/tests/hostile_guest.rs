//! Any guest: random accesses at random times. Nothing panics, and deadlines keep their word.

use chipset::{
    AcpiPm, ConfigAddress, DebugExit, DeliveryMode, DestinationMode, I440fx, I8042,
    InterruptMessage, IoApic, IoApicVersion, Lint, LocalApic, LocalApicConfig, LocalApicEffect,
    ModemLines, Nanos, PamRange, PamRanges, Pic, PicPort, Piix3, Piix4Pm, PirqLine, Pit,
    PmTimerWidth, Port92, ResetControl, Rtc, TriggerMode, Uart16550, lowest_priority,
};
use proptest::prelude::*;

/// One access, or none, after some time.
#[derive(Clone, Copy, Debug)]
struct Step {
    write: bool,
    offset: u8,
    value: u8,
    wait: u64,
}

fn wait() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..10_000,
        4 => 0u64..3_000_000_000,
        1 => 0u64..1 << 50,
    ]
}

/// Mostly the device's own registers, to get far into its states.
fn steps(registers: u8) -> impl Strategy<Value = Vec<Step>> {
    let offset = prop_oneof![9 => 0..registers, 1 => any::<u8>()];
    let step = (any::<bool>(), offset, any::<u8>(), wait());
    let step = step.prop_map(|(write, offset, value, wait)| Step { write, offset, value, wait });
    prop::collection::vec(step, 1..100)
}

/// The end of time, reached at once or not at all.
fn end() -> impl Strategy<Value = Nanos> {
    prop_oneof![Just(Nanos::ZERO), Just(Nanos::MAX), any::<u64>().prop_map(Nanos::new)]
}

/// What the devices that keep time have in common.
trait Timed: Clone {
    fn access(&mut self, step: Step, now: Nanos);
    fn advance(&mut self, now: Nanos);
    fn deadline(&self) -> Option<Nanos>;
    /// Whether the device has asked for attention.
    fn rose(&mut self) -> bool;
}

impl Timed for Pit {
    fn access(&mut self, step: Step, now: Nanos) {
        match (step.offset, step.write) {
            (4, true) => self.write_port61(step.value, now),
            (4, false) => {
                let _ = self.read_port61(now);
            }
            (offset, true) => self.write(offset, step.value, now),
            (offset, false) => {
                let _ = self.read(offset, now);
            }
        }
        let _ = self.take_edge();
    }
    fn advance(&mut self, now: Nanos) {
        Self::advance(self, now);
    }
    fn deadline(&self) -> Option<Nanos> {
        Self::deadline(self)
    }
    fn rose(&mut self) -> bool {
        self.take_edge()
    }
}

impl Timed for Rtc {
    fn access(&mut self, step: Step, now: Nanos) {
        // Few offsets, many registers: the offset chooses the register too.
        self.write(0, step.offset, now);
        if step.write {
            self.write(1, step.value, now);
        } else {
            let _ = self.read(1, now);
        }
    }
    fn advance(&mut self, now: Nanos) {
        Self::advance(self, now);
    }
    fn deadline(&self) -> Option<Nanos> {
        Self::deadline(self)
    }
    fn rose(&mut self) -> bool {
        self.interrupt()
    }
}

impl Timed for AcpiPm {
    fn access(&mut self, step: Step, now: Nanos) {
        if step.write {
            let _ = self.write(step.offset, step.value, now);
        } else {
            let _ = self.read(step.offset, now);
        }
    }
    fn advance(&mut self, now: Nanos) {
        Self::advance(self, now);
    }
    fn deadline(&self) -> Option<Nanos> {
        Self::deadline(self)
    }
    fn rose(&mut self) -> bool {
        self.interrupt()
    }
}

impl Timed for I8042 {
    fn access(&mut self, step: Step, now: Nanos) {
        if step.write {
            let _ = self.write(step.offset, step.value, now);
        } else {
            let _ = self.read(step.offset, now);
        }
    }
    fn advance(&mut self, now: Nanos) {
        Self::advance(self, now);
    }
    fn deadline(&self) -> Option<Nanos> {
        Self::deadline(self)
    }
    fn rose(&mut self) -> bool {
        // The output buffer's bit: the interrupt may be off.
        self.read(I8042::STATUS, Nanos::ZERO) & 1 != 0
    }
}

/// After every step: nothing happens before the deadline, something does at it, and without one
/// nothing ever does.
fn deadlines_hold(
    mut device: impl Timed,
    steps: Vec<Step>,
    end: Nanos,
) -> Result<(), TestCaseError> {
    let mut now = Nanos::ZERO;
    for step in steps {
        now = now.saturating_add(Nanos::new(step.wait));
        device.access(step, now);
        let mut future = device.clone();
        if future.rose() {
            continue;
        }
        match future.deadline() {
            Some(deadline) => {
                prop_assert!(deadline >= now, "{deadline:?} before {now:?}");
                let before = deadline.saturating_sub(Nanos::new(1));
                if before > now {
                    future.advance(before);
                    prop_assert!(!future.rose(), "before {deadline:?}");
                }
                future.advance(deadline);
                prop_assert!(future.rose(), "not at {deadline:?}");
            }
            None => {
                future.advance(now.saturating_add(Nanos::from_secs(1_000_000)));
                prop_assert!(!future.rose(), "without a deadline");
            }
        }
        let _ = future.deadline();
    }
    device.advance(end);
    let _ = device.deadline();
    device.access(Step { write: false, offset: 0, value: 0, wait: 0 }, end);
    device.access(Step { write: true, offset: 0, value: 0xFF, wait: 0 }, Nanos::ZERO);
    Ok(())
}

/// One access to a local APIC, or something that happens to it.
#[derive(Clone, Copy, Debug)]
struct ApicStep {
    kind: u8,
    register: u8,
    value: u64,
    wait: u64,
}

fn apic_steps() -> impl Strategy<Value = Vec<ApicStep>> {
    // Values that mean something: small ones, vectors with modes, modes of the base.
    let value = prop_oneof![
        4 => any::<u8>().prop_map(u64::from),
        4 => (any::<u32>()).prop_map(|value| u64::from(value & 0x000F_FFFF)),
        1 => (0u64..4).prop_map(|mode| 0xFEE0_0000 | mode << 10),
        1 => any::<u64>(),
    ];
    let register = prop_oneof![9 => 0u8..0x40, 1 => any::<u8>()];
    let step = (any::<u8>(), register, value, wait());
    let step =
        step.prop_map(|(kind, register, value, wait)| ApicStep { kind, register, value, wait });
    prop::collection::vec(step, 1..150)
}

fn apic_access(apic: &mut LocalApic, step: ApicStep, now: Nanos) -> Option<LocalApicEffect> {
    let [a, b, c, d, ..] = step.value.to_le_bytes();
    let value = u32::from_le_bytes([a, b, c, d]);
    let offset = u16::from(step.register) << 4;
    let msr = 0x800 + u32::from(step.register);
    match step.kind % 16 {
        0..=4 => apic.write(offset, value, now),
        5..=8 => apic.write_msr(msr, step.value, now).unwrap_or(None),
        9 => {
            let _ = (apic.read(offset, now), apic.read_msr(msr, now));
            let _ = apic.read(offset | u16::from(a), now);
            None
        }
        10 => {
            let _ = apic.write_base(step.value, now);
            None
        }
        11 => {
            apic.write_tsc_deadline(step.value, u64::from(b), now);
            apic.set_tsc(u64::from(c), now);
            let _ = (apic.tsc_deadline(now), apic.write_cr8(step.value));
            None
        }
        12 => {
            let message = InterruptMessage {
                vector: a,
                delivery_mode: DeliveryMode::new(b),
                destination: value,
                destination_mode: DestinationMode::Logical,
                trigger_mode: if c & 1 == 0 { TriggerMode::Edge } else { TriggerMode::Level },
            };
            let _ = (apic.matches(&message), lowest_priority([&*apic], &message));
            let _ = apic.deliver(message);
            None
        }
        13 => {
            let pin = if a & 1 == 0 { Lint::Lint0 } else { Lint::Lint1 };
            let _ = (apic.set_lint(pin, b & 1 == 0), apic.external_interrupt());
            let _ = (apic.thermal_interrupt(), apic.performance_interrupt());
            None
        }
        14 => apic.pending_vector().and_then(|vector| {
            apic.accept(vector);
            if a & 1 == 0 { apic.eoi() } else { None }
        }),
        _ => {
            match a {
                0..=7 => apic.init(),
                8..=15 => apic.reset(),
                // Let it work: most guests enable it.
                _ => return apic.write(0x0F0, 0x1FF, now),
            }
            None
        }
    }
}

proptest! {
    /// Vectors stay those of interrupts, and however the timer is programmed, each deadline lies
    /// ahead and they are at least 100 µs apart.
    #[test]
    fn local_apic_survives_and_its_deadlines_make_progress(
        hertz: u64, tsc_hertz: u64, steps in apic_steps(), end in end(),
    ) {
        let mut apic = LocalApic::new(LocalApicConfig {
            id: 3,
            is_bsp: true,
            timer_hertz: hertz,
            tsc_hertz,
            physical_bits: 46,
            has_x2apic: true,
            can_suppress_eoi: true,
        });
        let mut now = Nanos::ZERO;
        for step in steps {
            let then = now.saturating_add(Nanos::new(step.wait));
            let mut wakeups = 0;
            while let Some(deadline) = apic.deadline().filter(|deadline| *deadline <= then) {
                prop_assert!(deadline > now, "{deadline:?} is not behind {now:?}");
                now = deadline;
                apic.advance(now);
                wakeups += 1;
                // A guest may sleep for days at ten interrupts a millisecond: enough is enough.
                if wakeups > 1_000 {
                    break;
                }
            }
            prop_assert!(wakeups <= step.wait / 100_000 + 2, "{wakeups} in {} ns", step.wait);
            now = then;
            if let Some(LocalApicEffect::Ipi(ipi)) = apic_access(&mut apic, step, now) {
                let _ = (ipi.is_for(&apic, true), ipi.is_for(&apic, false));
                let mode = ipi.message.delivery_mode;
                let has_vector =
                    mode == DeliveryMode::FIXED || mode == DeliveryMode::LOWEST_PRIORITY;
                prop_assert!(!has_vector || ipi.message.vector >= 16);
            }
            apic.advance(now);
            prop_assert!(apic.pending_vector().is_none_or(|vector| vector >= 16));
        }
        apic.advance(end);
        prop_assert!(apic.deadline().is_none_or(|deadline| deadline > end));
        let _ = apic.read(0x390, Nanos::ZERO);
        let _ = apic.write(0x380, u32::MAX, Nanos::MAX);
    }

    #[test]
    fn pit_keeps_its_deadlines(steps in steps(5), end in end()) {
        deadlines_hold(Pit::new(), steps, end)?;
    }

    #[test]
    fn rtc_keeps_its_deadlines(epoch: u64, steps in steps(0x0E), end in end()) {
        deadlines_hold(Rtc::new(epoch), steps, end)?;
    }

    #[test]
    fn rtc_of_today_keeps_its_deadlines(epoch in 0u64..1 << 33, steps in steps(0x0E), end in end()) {
        deadlines_hold(Rtc::new(epoch), steps, end)?;
    }

    #[test]
    fn acpi_pm_keeps_its_deadlines(wide: bool, steps in steps(12), end in end()) {
        let width = if wide { PmTimerWidth::Bits32 } else { PmTimerWidth::Bits24 };
        deadlines_hold(AcpiPm::new(width), steps, end)?;
    }

    #[test]
    fn i8042_keeps_its_deadlines(steps in steps(5), end in end()) {
        deadlines_hold(I8042::new(), steps, end)?;
    }

    #[test]
    fn uart_survives_and_never_takes_more_than_it_offers(steps in steps(8)) {
        let mut uart = Uart16550::new();
        for step in steps {
            if step.write {
                let _ = uart.write(step.offset, step.value);
            } else {
                let _ = uart.read(step.offset);
            }
            match step.wait % 4 {
                0 => uart.set_modem_lines(ModemLines::from_bits_truncate(step.value)),
                1 => uart.receive(step.value),
                _ => {}
            }
            let room = uart.receive_room();
            prop_assert!(room <= 16);
            let mut copy = uart.clone();
            let _ = copy.read(5);
            for _ in 0..room {
                copy.receive(0);
            }
            prop_assert_eq!(copy.receive_room(), 0);
            prop_assert_eq!(copy.read(5) & 0x02, 0, "no overrun within the room");
        }
    }

    #[test]
    fn pic_survives_and_acknowledges_what_it_asks_for(steps in steps(24)) {
        const PORTS: [PicPort; 6] = [
            PicPort::PrimaryCommand,
            PicPort::PrimaryData,
            PicPort::SecondaryCommand,
            PicPort::SecondaryData,
            PicPort::PrimaryElcr,
            PicPort::SecondaryElcr,
        ];
        let mut pic = Pic::new();
        for step in steps {
            match PORTS.get(usize::from(step.offset)) {
                Some(&port) if step.write => pic.write(port, step.value),
                Some(&port) => {
                    let _ = pic.read(port);
                }
                None => pic.set_irq(step.offset - 6, step.write),
            }
            if step.wait % 3 == 0 && pic.output() {
                let _ = pic.acknowledge();
            }
        }
        pic.reset();
        prop_assert!(!pic.output());
    }

    #[test]
    fn ioapic_survives(steps in steps(0x50), v20: bool) {
        let version = if v20 { IoApicVersion::V20 } else { IoApicVersion::V11 };
        let mut ioapic = IoApic::new(version);
        for step in steps {
            match step.wait % 5 {
                0 => {
                    let _ = ioapic.set_irq(step.offset, step.write);
                }
                1 => {
                    let _ = ioapic.eoi(step.value);
                }
                2 => {
                    let _ = ioapic.read(u16::from(step.offset));
                    let _ = ioapic.write(u16::from(step.offset), u32::from(step.value));
                }
                _ => {
                    let _ = ioapic.write(0x00, u32::from(step.offset));
                    let _ = ioapic.read(0x10);
                    let _ = ioapic.write(0x10, u32::from(step.value) * 0x0101_0101);
                }
            }
            for entry in ioapic.redirections() {
                prop_assert_eq!(entry.bits() & 0x00FF_FFFF_FFFE_1000, 0);
            }
        }
    }

    /// What a write says that it changed is what reads show as changed.
    #[test]
    fn pci_functions_tell_their_changes(steps in steps(255)) {
        let (mut host, mut isa, mut pm) = (I440fx::new(), Piix3::new(), Piix4Pm::new());
        for step in steps {
            let (register, value) = (step.offset, step.value);
            let before = host.clone();
            let changed = host.write(register, value);
            let really: PamRanges =
                PamRange::all().filter(|&range| before.pam(range) != host.pam(range)).collect();
            prop_assert_eq!(changed, really);

            let before = isa.clone();
            let changed = isa.write(register, value);
            let really =
                PirqLine::ALL.into_iter().find(|&line| before.route(line) != isa.route(line));
            prop_assert_eq!(changed, really);

            pm.write(register, value);
            prop_assert!(pm.pm_base().is_none_or(|base| base % 64 == 0));
            for identity in 0..4 {
                prop_assert_eq!(host.read(identity), I440fx::new().read(identity));
                prop_assert_eq!(isa.read(identity), Piix3::new().read(identity));
                prop_assert_eq!(pm.read(identity), Piix4Pm::new().read(identity));
            }
        }
    }

    #[test]
    fn single_registers_survive(values in prop::collection::vec(any::<u32>(), 1..50)) {
        let mut address = ConfigAddress::new();
        let (mut port92, mut reset) = (Port92::new(), ResetControl::new());
        for value in values {
            let [byte, offset, ..] = value.to_le_bytes();
            address.write(value);
            let _ = address.target(offset);
            let _ = port92.write(byte);
            let _ = reset.write(byte);
            prop_assert_eq!(port92.a20(), byte & 2 != 0);
            prop_assert_eq!(DebugExit::new().write(byte).get() % 2, 1);
        }
    }
}
