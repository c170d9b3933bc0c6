//! What faults, how, and that it changes nothing.

use guest_state::rflags::AC;
use guest_state::{AccessRights, PageFault, cr0, cr4, efer};
use iced_x86::code_asm::*;
use machine::{Exception, ExecuteError, Executed};

use crate::rig::{ACCESSED, CODE, DIRTY, NO_EXECUTE, PRESENT, Rig, Seen, TABLES, USER, WRITABLE};

const DATA: u64 = 0x8000;
/// Beyond what is mapped.
const NOWHERE: u64 = 0x5_0000;

fn page_fault(address: u64, error_code: u32) -> Exception {
    Exception::PageFault(PageFault { address: address.into(), error_code })
}

/// Executes what must fault, and checks that registers and memory are as before.
fn faults(rig: &mut Rig, bytes: &[u8], exception: Exception) {
    let before = rig.cpu;
    let at = rig.code();
    rig.bus.put(at, bytes);
    let memory = rig.bus.bytes.clone();
    assert_eq!(rig.step(), Ok(Executed::Faulted(exception)), "{bytes:x?}");
    assert_eq!(rig.cpu, before);
    assert_eq!(rig.bus.bytes, memory);
    assert_eq!(rig.bus.seen, [], "not even read");
}

#[test]
fn exceptions_have_their_vectors_and_error_codes() {
    for (exception, vector, error_code) in [
        (Exception::InvalidOpcode, 6, None),
        (Exception::StackFault, 12, Some(0)),
        (Exception::GeneralProtection, 13, Some(0)),
        (page_fault(5, 7), 14, Some(7)),
        (Exception::AlignmentCheck, 17, Some(0)),
    ] {
        assert_eq!((exception.vector(), exception.error_code()), (vector, error_code));
    }
}

#[test]
fn page_faults_say_read_or_write() {
    const P: u32 = 1;
    const W: u32 = 2;
    const U: u32 = 4;
    let read_modify_write = [0x01, 0x0B]; // add [rbx], ecx
    for (bytes, code) in [
        (&[0x8B, 0x03][..], 0),       // mov eax, [rbx]
        (&[0x3B, 0x03][..], 0),       // cmp eax, [rbx]
        (&[0x85, 0x0B][..], 0),       // test [rbx], ecx
        (&[0x0F, 0xA3, 0x0B][..], 0), // bt [rbx], ecx
        (&[0x89, 0x03][..], W),       // mov [rbx], eax
        (&read_modify_write[..], W),
        (&[0x87, 0x0B][..], W),       // xchg [rbx], ecx
        (&[0x0F, 0xB1, 0x0B][..], W), // cmpxchg [rbx], ecx
        (&[0x0F, 0xAB, 0x0B][..], W), // bts [rbx], ecx
        (&[0xFE, 0x03][..], W),       // inc byte [rbx]
    ] {
        let mut rig = Rig::long();
        rig.cpu.general.rbx = NOWHERE;
        faults(&mut rig, bytes, page_fault(NOWHERE, code));
        let mut rig = Rig::long().user();
        rig.cpu.general.rbx = NOWHERE;
        faults(&mut rig, bytes, page_fault(NOWHERE, code | U));
        // A page that can only be read takes reads.
        let mut rig = Rig::long();
        rig.cpu.cr0 |= cr0::WP;
        rig.tables.map(NOWHERE, 0x7000, PRESENT);
        rig.cpu.general.rbx = NOWHERE;
        if code == W {
            faults(&mut rig, bytes, page_fault(NOWHERE, P | W));
        } else {
            assert_eq!(rig.bytes(bytes), Ok(Executed::Completed));
        }
    }
    // The supervisor's page is not the user's.
    let mut rig = Rig::long().user();
    rig.tables.map(NOWHERE, 0x7000, PRESENT | WRITABLE);
    rig.cpu.general.rbx = NOWHERE;
    faults(&mut rig, &read_modify_write, page_fault(NOWHERE, P | W | U));
}

#[test]
fn smap_and_ac_decide_about_the_users_pages() {
    let mut rig = Rig::long();
    rig.cpu.cr4 |= cr4::SMAP;
    rig.tables.map(CODE, CODE, PRESENT);
    rig.cpu.general.rbx = DATA;
    faults(&mut rig, &[0x8B, 0x03], page_fault(DATA, 1));
    rig.cpu.rflags |= AC;
    assert_eq!(rig.bytes(&[0x8B, 0x03]), Ok(Executed::Completed));
}

#[test]
fn operand_across_pages_faults_where_it_is_missing_and_writes_nothing() {
    for (first, second, address) in
        [(true, false, 0x6_1000), (false, true, 0x6_0FFE), (false, false, 0x6_0FFE)]
    {
        let mut rig = Rig::long();
        for (mapped, page) in [(first, 0x6_0000), (second, 0x6_1000)] {
            if mapped {
                rig.tables.map(page, 0x7000, PRESENT | WRITABLE | USER);
            }
        }
        rig.cpu.general.rbx = 0x6_0FFE;
        faults(&mut rig, &[0x01, 0x0B], page_fault(address, 2));
        assert_eq!(rig.tables.entry(0x6_0000) & (ACCESSED | DIRTY), 0);
    }
}

#[test]
fn accessed_and_dirty_bits_are_the_cpus() {
    for (bytes, bits) in [(&[0x8B, 0x03][..], ACCESSED), (&[0x89, 0x03][..], ACCESSED | DIRTY)] {
        let mut rig = Rig::long();
        rig.cpu.general.rbx = DATA;
        assert_eq!(rig.bytes(bytes), Ok(Executed::Completed));
        assert_eq!(rig.tables.entry(DATA) & (ACCESSED | DIRTY), bits);
        assert_eq!(rig.tables.entry(CODE) & (ACCESSED | DIRTY), ACCESSED);
        assert_eq!(rig.tables.entry(DATA + 0x1000) & (ACCESSED | DIRTY), 0);
    }
}

#[test]
fn fetch_faults_where_a_byte_is_missing() {
    // The second page is needed or not, depending on the instruction.
    let mut rig = Rig::long();
    rig.cpu.rip = 0x1_FFFE;
    rig.bus.put(0x1_FFFE, &[0x8B, 0x03]);
    rig.cpu.general.rbx = DATA;
    assert_eq!(rig.step(), Ok(Executed::Completed));
    let mut rig = Rig::long();
    rig.cpu.rip = 0x1_FFFE;
    faults(&mut rig, &[0x8B, 0x83], page_fault(0x2_0000, 0));
    // With NX the error code says that it was a fetch.
    rig.cpu.efer |= efer::NXE;
    faults(&mut rig, &[0x8B, 0x83], page_fault(0x2_0000, 0x10));
    rig.tables.map(0x2_0000, 0x7000, PRESENT | WRITABLE | USER | NO_EXECUTE);
    faults(&mut rig, &[0x8B, 0x83], page_fault(0x2_0000, 0x11));
}

#[test]
fn addresses_that_are_not_canonical_fault_by_their_segment() {
    let hole = 0x0000_8000_0000_0000;
    for (bytes, exception) in [
        (&[0x8B, 0x03][..], Exception::GeneralProtection), // [rbx]
        (&[0x8B, 0x45, 0x00][..], Exception::StackFault),  // [rbp]
        (&[0x8B, 0x04, 0x24][..], Exception::StackFault),  // [rsp]
        (&[0x3E, 0x8B, 0x45, 0x00][..], Exception::StackFault), // ds is no override here
        (&[0x64, 0x8B, 0x45, 0x00][..], Exception::GeneralProtection), // but fs is
        (&[0xA4][..], Exception::GeneralProtection),
    ] {
        let mut rig = Rig::long();
        let registers = &mut rig.cpu.general;
        (registers.rbx, registers.rbp, registers.rsp) = (hole, hole, hole);
        (registers.rsi, registers.rdi) = (hole, hole);
        faults(&mut rig, bytes, exception);
    }
    // The last bytes below the hole exist, those across its edge do not.
    let mut rig = Rig::long();
    rig.tables.map(hole - 0x1000, 0x7000, PRESENT | WRITABLE | USER);
    rig.cpu.general.rbx = hole - 4;
    assert_eq!(rig.bytes(&[0x8B, 0x03]), Ok(Executed::Completed));
    let mut rig = Rig::long();
    rig.tables.map(hole - 0x1000, 0x7000, PRESENT | WRITABLE | USER);
    rig.cpu.general.rbx = hole - 2;
    faults(&mut rig, &[0x8B, 0x03], Exception::GeneralProtection);
    let mut rig = Rig::long();
    rig.cpu.rip = hole;
    assert_eq!(rig.step(), Ok(Executed::Faulted(Exception::GeneralProtection)));
}

#[test]
fn limits_are_those_of_the_segment() {
    for (offset, bytes, holds) in [
        (0xFFFF, &[0x8A, 0x07][..], true),  // mov al, [bx]
        (0xFFFF, &[0x8B, 0x07][..], false), // mov ax, [bx]
        (0xFFFE, &[0x8B, 0x07][..], true),
        (0xFFFE, &[0x66, 0x8B, 0x07][..], false), // mov eax, [bx]
        (0xFFFC, &[0x66, 0x8B, 0x07][..], true),
    ] {
        let mut rig = Rig::real();
        rig.cpu.general.rbx = offset;
        if holds {
            assert_eq!(rig.bytes(bytes), Ok(Executed::Completed));
        } else {
            faults(&mut rig, bytes, Exception::GeneralProtection);
        }
    }
    let mut rig = Rig::real();
    rig.cpu.general.rbp = 0xFFFF;
    faults(&mut rig, &[0x8B, 0x46, 0x00], Exception::StackFault); // mov ax, [bp]
    // A segment that protected mode left large is large in real mode.
    let mut rig = Rig::real();
    rig.cpu.ds.limit = u32::MAX;
    rig.cpu.general.rbx = 0x1234_5678;
    assert_eq!(rig.bytes(&[0x67, 0x8A, 0x03]), Ok(Executed::Completed));
    assert_eq!(rig.bus.seen, [Seen::Read(0x1234_5678, 1)]);
}

#[test]
fn code_ends_at_its_limit() {
    let mut rig = Rig::flat32();
    rig.cpu.cs.limit = 0x1001;
    rig.cpu.general.rdi = DATA;
    assert_eq!(rig.bytes(&[0x8B, 0x07]), Ok(Executed::Completed));
    rig.bus.seen.clear();
    faults(&mut rig, &[0x8B, 0x07], Exception::GeneralProtection);
    rig.cpu.rip = CODE;
    faults(&mut rig, &[0x8B, 0x47, 0x01], Exception::GeneralProtection);
}

#[test]
fn access_rights_count_in_protected_mode() {
    const READ: [u8; 2] = [0x8B, 0x07]; // mov eax, [edi]
    const WRITE: [u8; 2] = [0x89, 0x07]; // mov [edi], eax
    for (access, reads, writes) in [
        (0xC093, true, true),     // data, writable
        (0xC091, true, false),    // data, read-only
        (0xC09B, true, false),    // code, readable
        (0xC099, false, false),   // code, execute-only
        (0x1_C093, false, false), // unusable
        (0xC013, false, false),   // not present
        (0x0082, false, false),   // system
    ] {
        for (bytes, allowed) in [(READ, reads), (WRITE, writes)] {
            let mut rig = Rig::flat32();
            rig.cpu.ds.access = AccessRights(access);
            rig.cpu.general.rdi = DATA;
            if allowed {
                assert_eq!(rig.bytes(&bytes), Ok(Executed::Completed));
            } else {
                faults(&mut rig, &bytes, Exception::GeneralProtection);
            }
            // In real mode and in 64-bit mode there is no such check.
            for mut rig in [Rig::real(), Rig::long()] {
                rig.cpu.ds.access = AccessRights(access);
                rig.cpu.general.rdi = DATA;
                assert_eq!(rig.bytes(&bytes), Ok(Executed::Completed));
            }
        }
    }
}

#[test]
fn segments_that_expand_down_begin_behind_their_limit() {
    for (access, offset, holds) in [
        (0xC097, 0x0FFF, false),
        (0xC097, 0x1000, true),
        (0xC097, 0xFFFF_FFFC, true),
        (0xC097, 0xFFFF_FFFD, false),
        (0x8097, 0xFFFC, true),
        (0x8097, 0xFFFD, false),
    ] {
        let mut rig = Rig::flat32();
        rig.cpu.ds.access = AccessRights(access);
        rig.cpu.ds.limit = 0xFFF;
        rig.cpu.general.rdi = offset;
        if holds {
            assert_eq!(rig.bytes(&[0x8B, 0x07]), Ok(Executed::Completed));
        } else {
            faults(&mut rig, &[0x8B, 0x07], Exception::GeneralProtection);
        }
    }
}

#[test]
fn alignment_is_checked_for_the_user_who_asks() {
    let prepared = || {
        let mut rig = Rig::long().user();
        rig.cpu.cr0 |= cr0::AM;
        rig.cpu.rflags |= AC;
        rig.cpu.general.rbx = DATA + 2;
        rig
    };
    let bytes = [0x8B, 0x03];
    faults(&mut prepared(), &bytes, Exception::AlignmentCheck);
    let mut rig = prepared();
    rig.cpu.general.rbx = NOWHERE + 2;
    faults(&mut rig, &bytes, page_fault(NOWHERE + 2, 4));
    let without: [fn(&mut Rig); 4] = [
        |rig| rig.cpu.cr0 &= !cr0::AM,
        |rig| rig.cpu.rflags &= !AC,
        |rig| rig.cpu.ss.access.0 &= !(3 << 5),
        |rig| rig.cpu.general.rbx = DATA + 4,
    ];
    for change in without {
        let mut rig = prepared();
        change(&mut rig);
        assert_eq!(rig.bytes(&bytes), Ok(Executed::Completed));
    }
}

#[test]
fn lock_is_for_what_reads_modifies_and_writes_memory() {
    for bytes in [
        &[0xF0, 0x8B, 0x03][..],       // mov eax, [rbx]
        &[0xF0, 0x89, 0x03][..],       // mov [rbx], eax
        &[0xF0, 0x3B, 0x03][..],       // cmp eax, [rbx]
        &[0xF0, 0x03, 0x03][..],       // add eax, [rbx]
        &[0xF0, 0x01, 0xC3][..],       // add ebx, eax
        &[0xF0, 0x0F, 0xA3, 0x03][..], // bt [rbx], eax
        &[0xF0, 0xA4][..],             // movsb
        &[0x0F, 0x0B][..],             // ud2
    ] {
        let mut rig = Rig::long();
        rig.cpu.general.rbx = DATA;
        faults(&mut rig, bytes, Exception::InvalidOpcode);
    }
}

#[test]
fn instructions_have_fifteen_bytes_at_most() {
    let mut bytes = vec![0x3E; 13];
    bytes.extend([0x8B, 0x03]);
    let mut rig = Rig::long();
    rig.cpu.general.rbx = DATA;
    assert_eq!(rig.bytes(&bytes), Ok(Executed::Completed));
    bytes.insert(0, 0x3E);
    let mut rig = Rig::long();
    faults(&mut rig, &bytes, Exception::GeneralProtection);
    let mut rig = Rig::long();
    faults(&mut rig, &[0x66; 20], Exception::GeneralProtection);
    // In fifteen bytes there is room for an opcode that is none: that is another matter.
    bytes = vec![0x3E; 14];
    bytes.push(0x06);
    let result = Rig::long().bytes(&bytes);
    assert!(matches!(result, Err(ExecuteError::Unsupported { .. })), "{result:?}");
}

/// What the executor does not know it says, with the bytes.
#[test]
fn unknown_instructions_are_told() {
    let cases: [&[u8]; 16] = [
        &[0x8E, 0x13],                         // mov ss, [rbx]
        &[0x0F, 0x22, 0xC0],                   // mov cr0, rax
        &[0x0F, 0x23, 0xC0],                   // mov dr0, rax
        &[0x11, 0x0B],                         // adc [rbx], ecx
        &[0x0F, 0xC7, 0x0B],                   // cmpxchg8b [rbx]
        &[0xFF, 0x33],                         // push [rbx]
        &[0xD3, 0x23],                         // shl [rbx], cl
        &[0xF6, 0x23],                         // mul byte [rbx]
        &[0xF3, 0xA6],                         // repe cmpsb
        &[0x0F, 0x10, 0x03],                   // movups xmm0, [rbx]
        &[0xF2, 0x0F, 0x10, 0x03],             // movsd xmm0, [rbx], not the string instruction
        &[0x0F, 0x6F, 0x03],                   // movq mm0, [rbx]
        &[0x0F, 0x38, 0xF0, 0x03],             // movbe eax, [rbx]
        &[0xC5, 0xFC, 0x11, 0x03],             // vmovups [rbx], ymm0
        &[0x62, 0xF1, 0x7C, 0x48, 0x11, 0x03], // vmovups [rbx], zmm0
        &[0xF4],                               // hlt
    ];
    for bytes in cases {
        let mut rig = Rig::long();
        rig.cpu.general.rbx = DATA;
        let before = rig.cpu;
        let result = rig.bytes(bytes);
        let Err(ExecuteError::Unsupported { bytes: told, rip }) = result else {
            panic!("{bytes:x?} gave {result:?}");
        };
        assert!(told.as_slice().starts_with(bytes));
        assert_eq!(rip, CODE);
        assert_eq!(rig.cpu, before);
        assert_eq!(rig.bus.seen, []);
    }
}

#[test]
fn unknown_instruction_prints_its_bytes() {
    let mut rig = Rig::flat32();
    rig.cpu.cs.limit = 0x1001;
    let error = rig.bytes(&[0x0F, 0x77]).unwrap_err();
    assert_eq!(error.to_string(), "no execution of instruction 0f 77 at 0x1000");
}

#[test]
fn page_tables_outside_of_memory_are_the_hosts_to_know() {
    let mut rig = Rig::long();
    rig.cpu.cr3 = TABLES + 0x100_0000;
    assert!(matches!(rig.step(), Err(ExecuteError::Translation { address, .. })
        if address.as_u64() == CODE));
    let mut rig = Rig::long();
    let result = rig.asm(|a| a.mov(eax, dword_ptr(rbx)));
    assert!(result.is_ok(), "{result:?}");
}
