//! What a guest sees of Xen, and what becomes of its calls.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use core::sync::atomic::AtomicU64;

use elf_boot::{Boot, Image, Module};
use guest_state::{Gpa, GuestMemory, WordMemory};
use iced_x86::{Decoder, DecoderOptions, Mnemonic, Register};
use machine::{Devices, HandOver, Machine, Nanos, Platform, Start, Xen};

use common::Ram;

const NOW: Nanos = Nanos::new(0);
const PAGE: u64 = 0x3000;
/// Where hypercalls go; the page says so.
const PORT: u16 = 0x5E0;
const XEN_VERSION: u32 = 17;
const ENOSYS: u32 = 38;
const EFAULT: u32 = 14;

/// An ELF that starts by PVH at 1 MiB, of one instruction.
fn hvmloader() -> Vec<u8> {
    let words =
        |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let mut file = b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3E\0\x01\0\0\0".to_vec();
    // The entry, where the program headers are, and their size and number.
    file.extend(words(&[0x10_0000, 64, 0]));
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    // A loaded segment and a note: type and flags, offset, both addresses, both sizes, alignment.
    file.extend(words(&[7 << 32 | 1, 0x200, 0x10_0000, 0x10_0000, 1, 0x1000, 8]));
    file.extend(words(&[4 << 32 | 4, 0x100, 0, 0, 20, 20, 4]));
    file.resize(0x100, 0);
    file.extend(words(&[4 << 32 | 4, u64::from(u32::from_le_bytes(*b"Xen\0")) << 32 | 18]));
    file.extend(0x10_0000_u32.to_le_bytes());
    file.resize(0x200, 0);
    file.push(0xF4);
    file
}

/// Hands a machine with an hvmloader and 64 KiB of its memory to a test.
fn with_machine(hand_over: HandOver, test: impl FnOnce(Machine<'_>, &mut Ram<'_>)) {
    let hvmloader = hvmloader();
    let firmware = vec![0xF4; 0x2_0000];
    let modules = [Module { image: Image::new(&firmware), command_line: b"firmware" }];
    let boot = Boot::new(Image::new(&hvmloader)).modules(&modules);
    let start = Start::Hvmloader { boot, floppy: None, hand_over };
    let platform = Platform {
        memory_bytes: 64 << 20,
        cpus: 3,
        cpu_signature: 0,
        epoch_seconds: 0,
        disks: Vec::new(),
        start,
    };
    let words: Vec<AtomicU64> = (0..0x2000).map(|_| AtomicU64::new(0)).collect();
    test(platform.build().unwrap(), &mut Ram(WordMemory::new(Gpa::ZERO, &words)));
}

fn call(devices: &mut Devices<'_>, ram: &mut Ram<'_>, words: &[u32]) -> u32 {
    for word in words {
        devices.port_write(PORT, 4, &word.to_le_bytes(), NOW, ram);
    }
    let mut result = [0; 4];
    devices.port_read(PORT, 4, &mut result, NOW, ram);
    u32::from_le_bytes(result)
}

#[test]
fn the_leaves_say_xen_and_where_hypercalls_are() {
    let [(base, [most, ebx, ecx, edx]), version, (hypercalls, [pages, msr, ..])] = Xen::leaves();
    let signature = [ebx, ecx, edx].map(u32::to_le_bytes);
    assert_eq!(signature.as_flattened(), b"XenVMMXenVMM");
    assert_eq!((base, most, version.0, hypercalls), (0x4000_0000, 0x4000_0002, base + 1, base + 2));
    assert_eq!((pages, msr), (1, Xen::HYPERCALL_MSR));
}

#[test]
fn only_a_guest_that_sees_xen_gets_a_hypercall_page() {
    with_machine(HandOver::Xen, |Machine { mut devices, sees_xen, .. }, ram| {
        assert!(sees_xen);
        // Another page than the first, and what is no memory.
        assert!(!devices.write_hypercall_page(PAGE + 1, ram));
        assert!(!devices.write_hypercall_page(1 << 40, ram));
        assert!(!devices.write_hypercall_page(!0xFFF, ram));
        assert!(devices.write_hypercall_page(PAGE, ram));
    });
    with_machine(HandOver::FwCfg, |Machine { mut devices, sees_xen, .. }, ram| {
        assert!(!sees_xen);
        assert!(!devices.write_hypercall_page(PAGE, ram));
        assert_eq!(call(&mut devices, ram, &[XEN_VERSION, 0, 0]), u32::MAX);
    });
}

#[test]
fn each_entry_of_the_page_passes_its_number_and_two_arguments() {
    with_machine(HandOver::Xen, |Machine { mut devices, .. }, ram| {
        assert!(devices.write_hypercall_page(PAGE, ram));
        for number in 0..128 {
            let at = PAGE + u64::from(number) * 32;
            let mut code = [0; 32];
            ram.0.read(Gpa::new(at), &mut code).unwrap();
            let decoder = Decoder::with_ip(32, &code, at, DecoderOptions::NONE);
            let code: Vec<_> =
                decoder.into_iter().take_while(|one| one.mnemonic() != Mnemonic::Int3).collect();
            let mnemonics: Vec<_> = code.iter().map(|one| one.mnemonic()).collect();
            use Mnemonic::{In, Mov, Out, Pop, Push, Ret};
            assert_eq!(mnemonics, [Push, Mov, Mov, Out, Mov, Out, Mov, Out, In, Pop, Ret]);
            assert_eq!((code[1].op0_register(), code[1].immediate16()), (Register::DX, PORT));
            assert_eq!((code[2].op0_register(), code[2].immediate32()), (Register::EAX, number));
            assert_eq!(code[4].op1_register(), Register::EBX);
            assert_eq!(code[6].op1_register(), Register::ECX);
            // EDX is the one register that it uses for itself, and gives back.
            assert_eq!(
                (code[0].op0_register(), code[9].op0_register()),
                (Register::EDX, Register::EDX)
            );
        }
    });
}

#[test]
fn the_version_is_told_and_all_else_is_not_served() {
    with_machine(HandOver::Xen, |Machine { mut devices, .. }, ram| {
        assert_eq!(call(&mut devices, ram, &[XEN_VERSION, 0, 0]), 4 << 16 | 17);
        assert_eq!(call(&mut devices, ram, &[XEN_VERSION, 1, 0x5000]), 0);
        let mut text = [0xFF; 17];
        ram.0.read(Gpa::new(0x5000), &mut text).unwrap();
        assert_eq!(&text, b"-hvkit\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(call(&mut devices, ram, &[XEN_VERSION, 1, 0xFFFF_FFFC]), EFAULT.wrapping_neg());
        assert_eq!(call(&mut devices, ram, &[XEN_VERSION, 2, 0]), ENOSYS.wrapping_neg());
        assert_eq!(call(&mut devices, ram, &[12, 9, 0]), ENOSYS.wrapping_neg());
        // A call that was not finished does not put the next one out of step.
        call(&mut devices, ram, &[XEN_VERSION]);
        assert_eq!(call(&mut devices, ram, &[XEN_VERSION, 0, 0]), 4 << 16 | 17);
        // Accesses of other widths are nobody's.
        let mut byte = [0];
        devices.port_read(PORT, 1, &mut byte, NOW, ram);
        assert_eq!(byte, [0xFF]);
    });
}

#[test]
fn a_guest_that_starts_with_an_hvmloader_has_no_rom_and_no_tables() {
    for hand_over in [HandOver::Xen, HandOver::FwCfg] {
        with_machine(hand_over, |machine, ram| {
            assert_eq!(machine.plan.roms().count(), 0);
            assert!(machine.has_shadow && !machine.has_reset_vector);
            let tags: Vec<_> = machine.plan.placements.iter().map(|one| one.tag).collect();
            assert!(!tags.iter().any(|tag| tag.contains("acpi")), "{tags:?}");
            assert_eq!(machine.plan.vcpus.len(), 3);
            // CMOS says how many CPUs there are, and of memory nothing.
            let mut devices = machine.devices;
            let mut cmos = |index: u8| {
                devices.port_write(0x70, 1, &[index], NOW, ram);
                let mut value = [0];
                devices.port_read(0x71, 1, &mut value, NOW, ram);
                value[0]
            };
            assert_eq!((cmos(0x5F), cmos(0x34), cmos(0x35)), (2, 0, 0));
        });
    }
}
