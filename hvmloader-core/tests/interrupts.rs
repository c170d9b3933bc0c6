//! Interrupt routing, `$PIR`, MP table and APIC ids, against values written by hand.

#![allow(clippy::unwrap_used)]

use guest_state::Gpa;
use hvmloader_core::{
    CpuTopology, Error, InterruptPin, MpBusKind, MpInterrupt, MpIoApic, MpProcessor, MpTable,
    PciFunction, PirSlot, PirTable, PirqRouting,
};
use proptest::prelude::*;

fn xen() -> PirqRouting {
    PirqRouting::deal(PirqRouting::XEN_IRQS, PirqRouting::XEN_OFFSET).unwrap()
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

fn processor(apic_id: u32) -> MpProcessor {
    MpProcessor { apic_id, bootstrap: apic_id == 0, signature: 0x0006_06A3, features: 0x0781_FBFF }
}

fn table(count: u32) -> MpTable {
    let io_apic = MpIoApic { id: 1, version: 0x11, address: 0xFEC0_0000 };
    MpTable::pc((0..count).map(|at| processor(at * 2)).collect(), io_apic, &xen(), &[3])
}

#[test]
fn pins_turn_like_a_barbers_pole() {
    use InterruptPin::{A, B, C, D};
    let links = |device| [A, B, C, D].map(|pin| xen().link(device, pin));
    assert_eq!(links(0), [0, 1, 2, 3]);
    assert_eq!(links(1), [1, 2, 3, 0]);
    assert_eq!(links(31), [3, 0, 1, 2]);
    let qemu = PirqRouting::deal(0x0C00, PirqRouting::I440FX_OFFSET).unwrap();
    assert_eq!([A, B, C, D].map(|pin| qemu.link(1, pin)), [0, 1, 2, 3]);
    // Table 9-1 of the bridge specification: device 1's INTA# is the bridge's INTB#.
    assert_eq!([A, B, C, D].map(|pin| pin.through_bridge(1)), [B, C, D, A]);
    assert_eq!([A, B, C, D].map(|pin| pin.through_bridge(4)), [A, B, C, D]);
    assert_eq!([0, 1, 4, 5].map(InterruptPin::decode), [None, Some(A), Some(D), None]);
}

#[test]
fn links_get_the_allowed_irqs_in_turn_by_level() {
    assert_eq!(xen().route_control(), [5, 10, 11, 5]);
    assert_eq!(xen().elcr().to_le_bytes(), [0x20, 0x0C]);
    assert_eq!(xen().irq(3, InterruptPin::B), Some(5));
    let some = PirqRouting::new([Some(11), None, None, None], 0).unwrap();
    assert_eq!((some.route_control(), some.elcr()), ([11, 0x80, 0x80, 0x80], 0x0800));
    assert_eq!(some.irq(1, InterruptPin::A), None);
    for irq in [0, 1, 2, 8, 13, 16, 255] {
        let refused = PirqRouting::new([None, None, None, Some(irq)], 0);
        assert_eq!(refused, Err(Error::PciIrq { irq }));
    }
}

#[test]
fn a_routing_table_is_laid_out_as_specified() {
    let table = PirTable {
        router: PciFunction::new(0, 1, 0),
        compatible_router: (0x8086, 0x7000),
        exclusive_irqs: 0x0C00,
        slots: vec![PirSlot::piix(&xen(), 3, 7, 0x0C20)],
    };
    let mut expected = [0; 48];
    expected[..16].copy_from_slice(b"$PIR\0\x01\x30\0\0\x08\0\x0C\x86\x80\0\x70");
    expected[32..].copy_from_slice(&[
        0, 0x18, 0x63, 0x20, 0x0C, 0x60, 0x20, 0x0C, 0x61, 0x20, 0x0C, 0x62, 0x20, 0x0C, 7, 0,
    ]);
    let bytes = table.build().unwrap();
    assert_eq!(sum(&bytes), 0);
    expected[31] = bytes[31];
    assert_eq!(bytes, expected);
    let many = PirTable { slots: vec![table.slots[0]; 4096], ..table };
    assert_eq!(many.build(), Err(Error::TableSize { size_bytes: 0x1_0020 }));
}

#[test]
fn an_mp_table_is_laid_out_as_specified() {
    let bytes = table(2).build_at(Gpa::new(0xF_0000)).unwrap();
    let (pointer, table) = bytes.split_at(16);
    assert_eq!(pointer[..10], *b"_MP_\x10\x00\x0F\x00\x01\x04");
    assert_eq!((sum(pointer), &pointer[11..]), (0, &[0; 5][..]));
    // 2 processors, 2 buses, an I/O APIC; ExtINT, 12 ISA lines, 4 pins; ExtINT and NMI.
    let size = 44 + 2 * 20 + 2 * 8 + 8 + 17 * 8 + 2 * 8;
    assert_eq!((table.len(), sum(table)), (size, 0));
    assert_eq!(table[..4], *b"PCMP");
    assert_eq!(usize::from(u16::from_le_bytes([table[4], table[5]])), size);
    assert_eq!(table[6], 4);
    assert_eq!(table[8..28], *b"HVKIT   PC          ");
    assert_eq!(table[28..44], [0, 0, 0, 0, 0, 0, 24, 0, 0, 0, 0xE0, 0xFE, 0, 0, 0, 0]);
    let mut entries = vec![
        vec![0, 0, 0x14, 3, 0xA3, 6, 6, 0, 0xFF, 0xFB, 0x81, 7, 0, 0, 0, 0, 0, 0, 0, 0],
        vec![0, 2, 0x14, 1, 0xA3, 6, 6, 0, 0xFF, 0xFB, 0x81, 7, 0, 0, 0, 0, 0, 0, 0, 0],
        b"\x01\x00PCI   ".to_vec(),
        b"\x01\x01ISA   ".to_vec(),
        vec![2, 1, 0x11, 1, 0, 0, 0xC0, 0xFE],
        vec![3, 3, 0, 0, 1, 0, 1, 0],
        vec![3, 0, 0, 0, 1, 0, 1, 2],
    ];
    for irq in [1, 3, 4, 6, 7, 8, 9, 12, 13, 14, 15] {
        entries.push(vec![3, 0, 0, 0, 1, irq, 1, irq]);
    }
    // Device 3, pins A to D: links 3, 0, 1, 2 with IRQs 5, 5, 10, 11.
    for (irq, input) in [(12, 5), (13, 5), (14, 10), (15, 11)] {
        entries.push(vec![3, 0, 0x0F, 0, 0, irq, 1, input]);
    }
    entries.push(vec![4, 3, 0, 0, 1, 0, 0xFF, 0]);
    entries.push(vec![4, 1, 0, 0, 1, 0, 0xFF, 1]);
    assert_eq!(table[44..], entries.concat());
}

#[test]
fn an_imcr_is_told() {
    let with = MpTable { imcr: true, ..table(1) };
    let bytes = with.build_at(Gpa::new(0x9_FC00)).unwrap();
    assert_eq!((bytes[12], sum(&bytes[..16])), (0x80, 0));
}

#[test]
fn what_an_mp_table_can_not_say_is_refused() {
    let build = |change: fn(&mut MpTable)| {
        let mut table = table(2);
        change(&mut table);
        table.build_configuration().unwrap_err()
    };
    let id = |apic_id| Error::ApicId { apic_id };
    assert_eq!(build(|table| table.processors[1].apic_id = 255), id(255));
    assert_eq!(build(|table| table.processors[1].apic_id = 256), id(256));
    assert_eq!(build(|table| table.processors[1].apic_id = 0), id(0));
    assert_eq!(build(|table| table.processors[1].bootstrap = true), Error::Bootstrap { count: 2 });
    assert_eq!(build(|table| table.processors.clear()), Error::Bootstrap { count: 0 });
    assert_eq!(build(|table| table.buses.reverse()), Error::MpBus { bus: 0 });
    assert_eq!(build(|table| table.buses[1] = (2, MpBusKind::ISA)), Error::MpBus { bus: 1 });
    assert_eq!(build(|table| table.local_interrupts[0].bus = 9), Error::MpBus { bus: 9 });
    assert_eq!(build(|table| table.io_apics[0].id = 2), Error::MpIoApic { id: 1 });
    assert_eq!(build(|table| table.io_apics.push(table.io_apics[0])), Error::MpIoApic { id: 1 });
    let long = |table: &mut MpTable| table.interrupts = vec![table.interrupts[0]; 8192];
    assert!(matches!(build(long), Error::TableSize { .. }));
    for at in [0xF_0008, (1 << 32) - 16, !15] {
        let refused = table(1).build_at(Gpa::new(at));
        assert_eq!(refused, Err(Error::TableAddress { at: Gpa::new(at), alignment: 16 }));
    }
    let all = MpTable { interrupts: Vec::new(), ..table(127) };
    assert!(all.build_configuration().is_ok());
    assert_eq!(MpInterrupt::ALL, 0xFF);
}

#[test]
fn apic_ids_have_a_field_for_each_level() {
    let three = CpuTopology { threads: 2, cores: 3 };
    let ids: Vec<_> = (0..8).map(|index| three.apic_id(index).unwrap()).collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5, 8, 9]);
    let flat = CpuTopology { threads: 1, cores: 1 };
    assert_eq!(flat.apic_id(300), Ok(300));
    assert!(CpuTopology { threads: 0, cores: 1 }.apic_id(0).is_err());
    assert!(CpuTopology { threads: 1, cores: 0 }.apic_id(0).is_err());
    assert!(CpuTopology { threads: 3, cores: 1 }.apic_id(u32::MAX).is_err());
}

proptest! {
    #[test]
    fn apic_ids_are_never_shared(
        threads in any::<u32>(), cores in any::<u32>(), narrow in 0_u32..32, index in any::<u32>(),
    ) {
        let topology = CpuTopology { threads: threads >> narrow, cores: cores >> narrow };
        let ids = [index, index.saturating_add(1)].map(|index| topology.apic_id(index));
        if let [Ok(first), Ok(second)] = ids {
            prop_assert!(index == u32::MAX || first < second);
        }
    }
}
