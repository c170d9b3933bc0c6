//! Every instruction, every form of address, every width, every mode.

use guest_state::rflags::{CF, RF, ZF};
use guest_state::{Segment, efer};
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use machine::{Exception, Executed};

use crate::rig::{CODE, PRESENT, Rig, Seen, USER, WRITABLE};

const DATA: u64 = 0x8000;
const APIC: u64 = 0xFEE0_00B0;

type Assemble = fn(&mut CodeAssembler) -> Result<(), IcedError>;

fn read(at: u64, bytes: usize) -> Seen {
    Seen::Read(at, bytes)
}

fn write(at: u64, bytes: &[u8]) -> Seen {
    Seen::Write(at, bytes.to_vec())
}

/// 64-bit mode with recognisable registers and data.
fn prepared() -> Rig {
    let mut rig = Rig::long();
    rig.bus.put_u64(DATA, 0x8877_6655_4433_2211);
    let registers = &mut rig.cpu.general;
    registers.rax = 0xA7A6_A5A4_A3A2_A1A0;
    registers.rbx = DATA;
    registers.rcx = 0xC7C6_C5C4_C3C2_C1C0;
    registers.rdx = 0xD7D6_D5D4_D3D2_D1D0;
    registers.r9 = 0x9796_9594_9392_9190;
    rig
}

#[test]
fn mov_stores_each_width() {
    let cases: [(Assemble, &[u8]); 9] = [
        (|a| a.mov(byte_ptr(rbx), cl), &[0xC0]),
        (|a| a.mov(byte_ptr(rbx), ch), &[0xC1]),
        (|a| a.mov(byte_ptr(rbx), r9b), &[0x90]),
        (|a| a.mov(word_ptr(rbx), cx), &[0xC0, 0xC1]),
        (|a| a.mov(dword_ptr(rbx), ecx), &[0xC0, 0xC1, 0xC2, 0xC3]),
        (|a| a.mov(qword_ptr(rbx), r9), &[0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97]),
        (|a| a.mov(byte_ptr(rbx), 0x7F), &[0x7F]),
        (|a| a.mov(word_ptr(rbx), -2), &[0xFE, 0xFF]),
        (|a| a.mov(qword_ptr(rbx), -2), &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
    ];
    for (assemble, bytes) in cases {
        let mut rig = prepared();
        rig.completes(assemble);
        assert_eq!(rig.bus.seen, [write(DATA, bytes)]);
    }
}

#[test]
fn loads_keep_or_clear_the_rest_of_their_register() {
    let cases: [(Assemble, u64); 14] = [
        (|a| a.mov(al, byte_ptr(rbx)), 0xA7A6_A5A4_A3A2_A111),
        (|a| a.mov(ah, byte_ptr(rbx)), 0xA7A6_A5A4_A3A2_11A0),
        (|a| a.mov(ax, word_ptr(rbx)), 0xA7A6_A5A4_A3A2_2211),
        (|a| a.mov(eax, dword_ptr(rbx)), 0x4433_2211),
        (|a| a.mov(rax, qword_ptr(rbx)), 0x8877_6655_4433_2211),
        (|a| a.movzx(ax, byte_ptr(rbx + 7)), 0xA7A6_A5A4_A3A2_0088),
        (|a| a.movzx(eax, byte_ptr(rbx + 7)), 0x88),
        (|a| a.movzx(rax, word_ptr(rbx + 6)), 0x8877),
        (|a| a.movsx(ax, byte_ptr(rbx + 7)), 0xA7A6_A5A4_A3A2_FF88),
        (|a| a.movsx(eax, byte_ptr(rbx + 7)), 0xFFFF_FF88),
        (|a| a.movsx(rax, byte_ptr(rbx + 7)), 0xFFFF_FFFF_FFFF_FF88),
        (|a| a.movsx(eax, word_ptr(rbx + 6)), 0xFFFF_8877),
        (|a| a.movsx(rax, word_ptr(rbx)), 0x2211),
        (|a| a.movsxd(rax, dword_ptr(rbx + 4)), 0xFFFF_FFFF_8877_6655),
    ];
    for (index, (assemble, expected)) in cases.into_iter().enumerate() {
        let mut rig = prepared();
        rig.completes(assemble);
        assert_eq!(rig.cpu.general.rax, expected, "case {index}");
        assert_eq!(rig.bus.seen.len(), 1, "case {index}");
    }
}

/// Without REX the numbers 4 to 7 are AH to BH, with any REX they are SPL to DIL.
#[test]
fn rex_decides_between_high_bytes_and_low_ones() {
    let mut rig = prepared();
    rig.cpu.general.rsp = 0x55;
    assert_eq!(rig.bytes(&[0x88, 0x23]), Ok(Executed::Completed)); // mov [rbx], ah
    assert_eq!(rig.bytes(&[0x40, 0x88, 0x23]), Ok(Executed::Completed)); // mov [rbx], spl
    assert_eq!(rig.bytes(&[0x40, 0x8A, 0x3B]), Ok(Executed::Completed)); // mov dil, [rbx]
    assert_eq!(rig.bytes(&[0x8A, 0x3B]), Ok(Executed::Completed)); // mov bh, [rbx]
    let seen = [write(DATA, &[0xA1]), write(DATA, &[0x55]), read(DATA, 1), read(DATA, 1)];
    assert_eq!(rig.bus.seen, seen);
    assert_eq!(rig.cpu.general.rdi, 0x55);
    assert_eq!(rig.cpu.general.rbx, 0x5500 | DATA & 0xFF);
}

#[test]
fn addresses_take_every_form_of_64_bits() {
    let cases: [(Assemble, u64); 17] = [
        (|a| a.mov(al, byte_ptr(rbx + 0x10)), DATA + 0x10),
        (|a| a.mov(al, byte_ptr(rbx - 0x10)), DATA - 0x10),
        (|a| a.mov(al, byte_ptr(rbx + 0x1234)), DATA + 0x1234),
        (|a| a.mov(al, byte_ptr(rbx + rsi)), DATA + 0x21),
        (|a| a.mov(al, byte_ptr(rbx + rsi * 2)), DATA + 0x42),
        (|a| a.mov(al, byte_ptr(rbx + rsi * 8 + 1)), DATA + 0x109),
        (|a| a.mov(al, byte_ptr(rsi * 4 + 0x100)), 0x184),
        (|a| a.mov(al, byte_ptr(r12 + r13 * 1)), 0x9003),
        (|a| a.mov(al, byte_ptr(rbx + r15)), DATA - 1),
        (|a| a.mov(al, byte_ptr(rsp)), 0x7000),
        (|a| a.mov(al, byte_ptr(rbp)), 0x7100),
        (|a| a.mov(al, byte_ptr(0x1F00)), 0x1F00),
        // 32 bits wrap, and clear what was above.
        (|a| a.mov(al, byte_ptr(r14d + 0x10)), 0x8010),
        (|a| a.mov(al, byte_ptr(ebx + r15d)), DATA - 1),
        (|a| a.mov(al, byte_ptr(rsi).fs()), 0x4021),
        (|a| a.mov(al, byte_ptr(rsi).gs()), 0x5021),
        (|a| a.mov(al, byte_ptr(rbx).ds()), DATA),
    ];
    for (index, (assemble, at)) in cases.into_iter().enumerate() {
        let mut rig = prepared();
        let registers = &mut rig.cpu.general;
        (registers.rsi, registers.rsp, registers.rbp) = (0x21, 0x7000, 0x7100);
        (registers.r12, registers.r13, registers.r15) = (0x9000, 3, u64::MAX);
        registers.r14 = 0x1_0000_8000;
        (rig.cpu.fs.base, rig.cpu.gs.base) = (0x4000, 0x5000);
        // The other bases do not count in 64-bit mode.
        (rig.cpu.ds.base, rig.cpu.ss.base, rig.cpu.cs.base) = (1, 2, 3);
        rig.completes(assemble);
        assert_eq!(rig.bus.seen, [read(at, 1)], "case {index}");
    }
}

#[test]
fn addresses_are_relative_to_the_next_instruction() {
    // mov [rip + 0x100], imm32: the immediate counts as part of the instruction.
    let mut rig = prepared();
    let bytes = [0xC7, 0x05, 0x00, 0x01, 0x00, 0x00, 1, 2, 3, 4];
    assert_eq!(rig.bytes(&bytes), Ok(Executed::Completed));
    assert_eq!(rig.bus.seen, [write(CODE + 10 + 0x100, &[1, 2, 3, 4])]);
    // The same by EIP.
    let mut rig = prepared();
    let bytes = [0x67, 0x8A, 0x05, 0xF0, 0xFF, 0xFF, 0xFF];
    assert_eq!(rig.bytes(&bytes), Ok(Executed::Completed));
    assert_eq!(rig.bus.seen, [read(CODE + 7 - 0x10, 1)]);
}

/// moffs: A0 to A3 take the address from the instruction, as wide as addresses are.
#[test]
fn accumulator_moves_from_and_to_offsets() {
    let mut rig = prepared();
    let mut bytes = vec![0xA1];
    bytes.extend(APIC.to_le_bytes());
    assert_eq!(rig.bytes(&bytes), Ok(Executed::Completed));
    assert_eq!(rig.cpu.rip, CODE + 9);
    bytes[0] = 0xA2;
    assert_eq!(rig.bytes(&bytes), Ok(Executed::Completed));
    assert_eq!(rig.bus.seen, [read(APIC, 4), write(APIC, &[0])]);

    let mut rig = Rig::flat32();
    rig.cpu.general.rax = 0x1234_5678;
    assert_eq!(rig.bytes(&[0xA3, 0xB0, 0x00, 0xE0, 0xFE]), Ok(Executed::Completed));
    assert_eq!(rig.bytes(&[0x67, 0x66, 0xA3, 0x00, 0x80]), Ok(Executed::Completed));
    let seen = [write(APIC, &[0x78, 0x56, 0x34, 0x12]), write(DATA, &[0x78, 0x56])];
    assert_eq!(rig.bus.seen, seen);

    let mut rig = Rig::real();
    rig.cpu.es.base = 0x2_0000;
    assert_eq!(rig.bytes(&[0x26, 0xA0, 0x34, 0x12]), Ok(Executed::Completed));
    assert_eq!(rig.bus.seen, [read(0x2_1234, 1)]);
}

/// The eight forms of a 16-bit address, with the segment that each implies.
#[test]
fn addresses_take_every_form_of_16_bits() {
    const BX: u64 = 0x100;
    const BP: u64 = 0x200;
    const SI: u64 = 0x30;
    const DI: u64 = 0x40;
    let (data, stack) = (0x1_0000, 0x2_0000);
    for (modrm, at) in [
        (0x00, data + BX + SI),
        (0x01, data + BX + DI),
        (0x02, stack + BP + SI),
        (0x03, stack + BP + DI),
        (0x04, data + SI),
        (0x05, data + DI),
        (0x06, data + 0xFFF5),
        (0x07, data + BX),
        (0x46, stack + BP - 0x0B),
        (0x47, data + BX - 0x0B),
        (0x86, stack + BP - 0x0B),
        (0x87, data + BX - 0x0B),
    ] {
        let mut rig = Rig::real();
        let registers = &mut rig.cpu.general;
        (registers.rbx, registers.rbp, registers.rsi, registers.rdi) = (BX, BP, SI, DI);
        (rig.cpu.ds.base, rig.cpu.ss.base) = (data, stack);
        let length = match modrm {
            0x06 | 0x80.. => 4,
            0x40.. => 3,
            _ => 2,
        };
        assert_eq!(rig.bytes(&[0x8A, modrm, 0xF5, 0xFF]), Ok(Executed::Completed));
        assert_eq!(rig.bus.seen, [read(at, 1)], "form {modrm:#x}");
        assert_eq!(rig.cpu.rip, length);
    }
}

#[test]
fn offsets_of_16_bits_wrap() {
    let mut rig = Rig::real();
    (rig.cpu.general.rbx, rig.cpu.general.rsi) = (0xFFF0, 0x20);
    assert_eq!(rig.bytes(&[0x8A, 0x00]), Ok(Executed::Completed)); // mov al, [bx+si]
    assert_eq!(rig.bus.seen, [read(0x10, 1)]);
    // With the prefix they are 32 bits wide, and meet the limit.
    assert!(matches!(rig.bytes(&[0x67, 0x8A, 0x04, 0x33]), Ok(Executed::Faulted(_))));
}

#[test]
fn mode_decides_widths_and_prefixes_turn_them() {
    // 8B 07 is mov (e)ax, [bx] or [edi]; the bytes behind are no part of it.
    const BX: u64 = 0x3000;
    const EDI: u64 = 0x4000;
    let modes: [(fn() -> Rig, bool); 5] = [
        (Rig::real, false),
        (Rig::flat16, false),
        (Rig::flat32, true),
        (Rig::compat, true),
        (Rig::long, true),
    ];
    for (index, (mode, wide)) in modes.into_iter().enumerate() {
        for (prefix, turns_operand, turns_address) in [
            (&[][..], false, false),
            (&[0x66][..], true, false),
            (&[0x67][..], false, true),
            (&[0x66, 0x67][..], true, true),
        ] {
            let mut rig = mode();
            (rig.cpu.general.rbx, rig.cpu.general.rdi) = (BX, EDI);
            let bytes = [prefix, &[0x8B, 0x07]].concat();
            assert_eq!(rig.bytes(&bytes), Ok(Executed::Completed));
            // 64-bit mode has addresses of 64 and 32 bits.
            let wide_address = index == 4 || wide != turns_address;
            let at = if wide_address { EDI } else { BX };
            let width = if wide != turns_operand { 4 } else { 2 };
            assert_eq!(rig.bus.seen, [read(at, width)], "mode {index} with {prefix:x?}");
        }
    }
}

/// The mode is the guest's: CS and EFER, whatever LME says before paging.
#[test]
fn long_mode_enabled_but_not_active_is_not_64_bit() {
    let mut rig = Rig::flat32();
    rig.cpu.efer = efer::LME;
    rig.cpu.cs.access.0 |= 1 << 13;
    assert_eq!(rig.bytes(&[0x40]), Ok(Executed::Completed)); // inc eax, or a REX prefix
    assert_eq!(rig.cpu.general.rax, 1);
}

#[test]
fn segments_are_added_in_real_mode_and_reach_past_a_mebibyte() {
    let mut rig = Rig::real();
    rig.cpu.ds = Segment::real_mode_data(0xFFFF);
    rig.cpu.general.rbx = 0xFFFF;
    assert_eq!(rig.bytes(&[0x8A, 0x07]), Ok(Executed::Completed));
    assert_eq!(rig.bus.seen, [read(0x10_FFEF, 1)]);
}

#[test]
fn virtual_8086_mode_is_real_mode_for_the_user() {
    let mut rig = Rig::virtual8086();
    rig.cpu.ds = Segment::real_mode_data(0x0800);
    rig.cpu.general.rbx = 0x10;
    assert_eq!(rig.bytes(&[0x88, 0x07]), Ok(Executed::Completed)); // mov [bx], al
    assert_eq!(rig.bus.seen, [write(0x8010, &[0])]);
    rig.tables.map_legacy(0x8000, 0x8000 | PRESENT | WRITABLE);
    let Ok(Executed::Faulted(Exception::PageFault(fault))) = rig.bytes(&[0x88, 0x07]) else {
        panic!("the page is the supervisor's");
    };
    assert_eq!((fault.address.as_u64(), fault.error_code), (0x8010, 7));
}

#[test]
fn segment_overrides_choose() {
    for (prefix, base) in [
        (0x26, 0x1000),
        (0x2E, 0x2000),
        (0x36, 0x3000),
        (0x3E, 0x4000),
        (0x64, 0x5000),
        (0x65, 0x6000),
    ] {
        let mut rig = Rig::flat32();
        let bytes = [prefix, 0x8A, 0x45, 0x10]; // mov al, [ebp+10h]
        rig.bus.put(0x3000, &bytes);
        let cpu = &mut rig.cpu;
        (cpu.es.base, cpu.cs.base, cpu.ss.base) = (0x1000, 0x2000, 0x3000);
        (cpu.ds.base, cpu.fs.base, cpu.gs.base) = (0x4000, 0x5000, 0x6000);
        assert_eq!(rig.step(), Ok(Executed::Completed));
        assert_eq!(rig.bus.seen, [read(base + 0x10, 1)], "prefix {prefix:#x}");
    }
}

#[test]
fn selectors_are_stored() {
    let mut rig = Rig::flat32();
    (rig.cpu.ds.selector, rig.cpu.gs.selector) = (0x18, 0x33);
    rig.cpu.general.rax = 0xFFFF_FFFF;
    assert_eq!(rig.bytes(&[0x8C, 0x1D, 0x00, 0x80, 0, 0]), Ok(Executed::Completed));
    assert_eq!(rig.bus.seen, [write(DATA, &[0x18, 0])], "16 bits whatever the operand size");
    assert_eq!(rig.bytes(&[0x8C, 0xE8]), Ok(Executed::Completed)); // mov eax, gs
    assert_eq!(rig.cpu.general.rax, 0x33);
}

#[test]
fn every_operation_reads_and_writes_what_it_should() {
    let d = |value: u32| value.to_le_bytes();
    let reads = read(DATA, 4);
    let both = |value| vec![reads.clone(), write(DATA, &d(value))];
    let only = vec![reads.clone()];
    // [rbx] is 44332211h, ecx C3C2C1C0h.
    let cases: Vec<(Assemble, Vec<Seen>)> = vec![
        (|a| a.add(dword_ptr(rbx), ecx), both(0x07F5_E3D1)),
        (|a| a.add(dword_ptr(rbx), 1), both(0x4433_2212)),
        (|a| a.sub(dword_ptr(rbx), ecx), both(0x8070_6051)),
        (|a| a.sub(dword_ptr(rbx), 0x1000_0000), both(0x3433_2211)),
        (|a| a.and(dword_ptr(rbx), ecx), both(0x4002_0000)),
        (|a| a.and(dword_ptr(rbx), -16), both(0x4433_2210)),
        (|a| a.or(dword_ptr(rbx), ecx), both(0xC7F3_E3D1)),
        (|a| a.or(dword_ptr(rbx), 0x80), both(0x4433_2291)),
        (|a| a.xor(dword_ptr(rbx), ecx), both(0x87F1_E3D1)),
        (|a| a.xor(dword_ptr(rbx), -1), both(0xBBCC_DDEE)),
        (|a| a.cmp(dword_ptr(rbx), ecx), only.clone()),
        (|a| a.cmp(dword_ptr(rbx), 5), only.clone()),
        (|a| a.cmp(ecx, dword_ptr(rbx)), only.clone()),
        (|a| a.test(dword_ptr(rbx), ecx), only.clone()),
        (|a| a.test(dword_ptr(rbx), 5), only.clone()),
        (|a| a.add(ecx, dword_ptr(rbx)), only.clone()),
        (|a| a.sub(ecx, dword_ptr(rbx)), only.clone()),
        (|a| a.and(ecx, dword_ptr(rbx)), only.clone()),
        (|a| a.or(ecx, dword_ptr(rbx)), only.clone()),
        (|a| a.xor(ecx, dword_ptr(rbx)), only.clone()),
        (|a| a.inc(dword_ptr(rbx)), both(0x4433_2212)),
        (|a| a.dec(dword_ptr(rbx)), both(0x4433_2210)),
        (|a| a.not(dword_ptr(rbx)), both(0xBBCC_DDEE)),
        (|a| a.neg(dword_ptr(rbx)), both(0xBBCC_DDEF)),
        (|a| a.xchg(dword_ptr(rbx), ecx), both(0xC3C2_C1C0)),
        (|a| a.xadd(dword_ptr(rbx), ecx), both(0x07F5_E3D1)),
        (|a| a.cmpxchg(dword_ptr(rbx), ecx), both(0x4433_2211)),
        (|a| a.bt(dword_ptr(rbx), 4), only.clone()),
        (|a| a.bts(dword_ptr(rbx), 3), both(0x4433_2219)),
        (|a| a.btr(dword_ptr(rbx), 4), both(0x4433_2201)),
        (|a| a.btc(dword_ptr(rbx), 4), both(0x4433_2201)),
        (|a| a.lock().add(dword_ptr(rbx), ecx), both(0x07F5_E3D1)),
        (|a| a.lock().bts(dword_ptr(rbx), 3), both(0x4433_2219)),
        (|a| a.lock().xchg(dword_ptr(rbx), ecx), both(0xC3C2_C1C0)),
        (|a| a.lock().cmpxchg(dword_ptr(rbx), ecx), both(0x4433_2211)),
        (|a| a.lock().inc(dword_ptr(rbx)), both(0x4433_2212)),
        (|a| a.xrelease().mov(dword_ptr(rbx), ecx), vec![write(DATA, &d(0xC3C2_C1C0))]),
    ];
    for (index, (assemble, seen)) in cases.into_iter().enumerate() {
        let mut rig = prepared();
        rig.completes(assemble);
        assert_eq!(rig.bus.seen, seen, "case {index}");
    }
}

#[test]
fn registers_alone_are_operands_too() {
    let cases: [(Assemble, u64); 10] = [
        (|a| a.mov(eax, ecx), 0xC3C2_C1C0),
        (|a| a.mov(rax, 0x1122_3344_5566_7788_u64), 0x1122_3344_5566_7788),
        (|a| a.mov(al, 5), 0xA7A6_A5A4_A3A2_A105),
        (|a| a.add(ax, cx), 0xA7A6_A5A4_A3A2_6360),
        (|a| a.and(eax, 0xF), 0),
        (|a| a.xor(eax, eax), 0),
        (|a| a.not(rax), 0x5859_5A5B_5C5D_5E5F),
        (|a| a.xchg(ah, al), 0xA7A6_A5A4_A3A2_A0A1),
        (|a| a.xadd(eax, eax), 0x4745_4340),
        (|a| a.bts(rax, rdx), 0xA7A6_A5A4_A3A3_A1A0),
    ];
    for (index, (assemble, expected)) in cases.into_iter().enumerate() {
        let mut rig = prepared();
        rig.completes(assemble);
        assert_eq!(rig.cpu.general.rax, expected, "case {index}");
        assert_eq!(rig.bus.seen, []);
    }
}

/// As an EPYC does it.
#[test]
fn failed_compare_of_32_bits_leaves_its_register_whole() {
    let mut rig = prepared();
    rig.completes(|a| a.cmpxchg(ecx, edx));
    assert_eq!(rig.cpu.general.rcx, 0xC7C6_C5C4_C3C2_C1C0);
    assert_eq!(rig.cpu.general.rax, 0xC3C2_C1C0);
    rig.completes(|a| a.cmpxchg(ecx, edx));
    assert_eq!(rig.cpu.general.rcx, 0xD3D2_D1D0);
}

#[test]
fn operands_and_instructions_cross_pages() {
    for (at, count) in [(0x8FFF, 1), (0x8FFE, 2), (0x8FFD, 3)] {
        let mut rig = prepared();
        // The pages do not follow each other in memory.
        rig.tables.map(0x9000, 0xB000, PRESENT | WRITABLE | USER);
        rig.cpu.general.rbx = at;
        rig.completes(|a| a.mov(dword_ptr(rbx), ecx));
        let bytes = [0xC0, 0xC1, 0xC2, 0xC3];
        let (first, second) = bytes.split_at(count);
        assert_eq!(rig.bus.seen, [write(at, first), write(0xB000, second)]);
        rig.bus.seen.clear();
        rig.completes(|a| a.mov(eax, dword_ptr(rbx)));
        assert_eq!(rig.cpu.general.rax, 0xC3C2_C1C0);
        assert_eq!(rig.bus.seen, [read(at, count), read(0xB000, 4 - count)]);
    }
    let instruction = [0x48, 0xC7, 0x83, 0x10, 0, 0, 0, 0x78, 0x56, 0x34, 0x12];
    for split in 1..instruction.len() {
        let mut rig = prepared();
        rig.tables.map(0x9000, 0xB000, PRESENT | WRITABLE | USER);
        rig.cpu.rip = 0x9000 - split as u64;
        rig.bus.put(rig.cpu.rip, &instruction[..split]);
        rig.bus.put(0xB000, &instruction[split..]);
        assert_eq!(rig.step(), Ok(Executed::Completed));
        assert_eq!(rig.bus.seen, [write(DATA + 0x10, &[0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0])]);
        assert_eq!(rig.cpu.rip, 0x9000 - split as u64 + 11);
    }
}

#[test]
fn addresses_of_32_bits_wrap_at_4_gib() {
    let mut rig = Rig::flat32();
    rig.cpu.ds.base = 0xFFFF_F000;
    rig.cpu.general.rbx = 0x2000;
    rig.completes(|a| a.mov(al, byte_ptr(ebx)));
    assert_eq!(rig.bus.seen, [read(0x1000, 1)]);
    rig.bus.seen.clear();
    rig.cpu.general.rbx = 0xFFE;
    rig.completes(|a| a.mov(eax, dword_ptr(ebx)));
    assert_eq!(rig.bus.seen, [read(0xFFFF_FFFE, 2), read(0, 2)]);
    // In compatibility mode too, where linear addresses of 64 bits exist.
    let mut rig = Rig::compat();
    rig.cpu.ds.base = 0xFFFF_F000;
    rig.cpu.general.rbx = 0x2000;
    rig.completes(|a| a.mov(al, byte_ptr(ebx)));
    assert_eq!(rig.bus.seen, [read(0x1000, 1)]);
}

/// RF suppresses a breakpoint for one instruction.
#[test]
fn completion_clears_rf_and_keeps_other_flags() {
    let mut rig = prepared();
    rig.cpu.rflags = 2 | RF | CF | ZF | 1 << 9 | 1 << 21;
    rig.completes(|a| a.mov(eax, dword_ptr(rbx)));
    assert_eq!(rig.cpu.rflags, 2 | CF | ZF | 1 << 9 | 1 << 21);
}

#[test]
fn rip_ends_at_32_bits_outside_of_64_bit_mode() {
    let mut rig = Rig::flat32();
    rig.cpu.rip = 0xFFFF_FFFE;
    rig.cpu.general.rdi = DATA;
    assert_eq!(rig.bytes(&[0x8B, 0x07]), Ok(Executed::Completed));
    assert_eq!(rig.cpu.rip, 0);
    // A 16-bit IP leaves its segment instead, for the CPU to fault.
    let mut rig = Rig::real();
    rig.cpu.rip = 0xFFFE;
    assert_eq!(rig.bytes(&[0x8A, 0x07]), Ok(Executed::Completed));
    assert_eq!(rig.cpu.rip, 0x1_0000);
}
