//! How guests end on the bare-metal hypervisor, and which processors it refuses. Needs Bochs.

#![cfg(feature = "bochs-rig")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[macro_use]
mod common;

use common::{Run, TempFile, kernel, run, run_code};

#[test]
fn the_tour_runs_on_every_model_that_has_what_it_takes() {
    for model in ["corei5_arrandale_m520", "corei7_haswell_4770", "tigerlake"] {
        let run = run(&["--cpu-model", model, "--cmdline", "hvkit.nonce=4711", "--memory", "64M"]);
        run.ends(0, "1 processors with VMX");
        assert!(run.stdout.lines().any(|line| line == "nonce         4711"), "{run:#?}");
        assert!(!run.stdout.contains("WRONG"), "a checksum in {run:#?}");
    }
}

#[test]
fn grub_starts_it_on_a_bios() {
    let cmdline = "hvkit.nonce=it's{$x}";
    let run = run(&["--boot", "grub", "--cpus", "2", "--memory", "16M", "--cmdline", cmdline]);
    run.ends(0, "2 processors with VMX");
    assert!(run.stdout.lines().any(|line| line == "nonce         it's{$x}"), "{run:#?}");
}

#[test]
fn a_failed_entry_names_the_broken_rule() {
    for (set, rule, gives) in [
        ("GUEST_RFLAGS=0", "rule R4: Guest RFLAGS is 0x0", "GuestState"),
        (
            "GUEST_SS_ACCESS_RIGHTS=0xc091",
            "rule S12: Guest SS access rights is 0xc091",
            "GuestState",
        ),
        ("GUEST_CR3=0x1000000000000", "rule G9: Guest CR3 is 0x1000000000000", "GuestState"),
        ("VMCS_LINK_POINTER=1", "rule M24: VMCS link pointer is 0x1", "GuestLinkPointer"),
    ] {
        let run = run(&["--set", set, "--memory", "8M"]);
        run.ends(70, "the processor refuses to enter the guest: EntryFailure");
        run.ends(70, rule);
        assert!(run.stderr.contains(&format!("an entry gives {{{gives}}}")), "{run:#?}");
        assert_eq!(run.stderr.matches("hypervisor:   rule ").count(), 1, "{run:#?}");
    }
    // What breaks no rule does what it says.
    run(&["--set", "GUEST_RFLAGS=0x202", "--memory", "8M"]).ends(0, "1 processors with VMX");
}

#[test]
fn models_that_lack_something_are_refused_in_words() {
    for (model, lack) in [
        ("corei5_lynnfield_750", "the processor can't set UNRESTRICTED_GUEST"),
        ("core2_penryn_t9600", "the processor can't set ENABLE_EPT"),
        ("ryzen", "the processor has no VMX"),
    ] {
        let run = run(&["--cpu-model", model, "--memory", "8M"]);
        assert_eq!((run.status, run.stdout.as_str()), (69, ""), "{model}: {run:#?}");
        assert!(run.stderr.contains(lack), "{model}: {run:#?}");
    }
    let run = run(&["--lock-vmx-off", "--memory", "8M"]);
    assert_eq!(run.status, 69, "{run:#?}");
    assert!(run.stderr.contains("the firmware locked VMX off"), "{run:#?}");
}

#[test]
fn every_processor_of_the_host_is_started() {
    run(&["--cpus", "4", "--memory", "8M"]).ends(0, "4 processors with VMX");
}

#[test]
fn the_same_run_takes_the_same_ticks_and_prints_the_same() {
    let arguments = ["--cmdline", "hvkit.nonce=1", "--memory", "16M", "--stats"];
    let (first, second) = (run(&arguments), run(&arguments));
    first.ends(0, "TSC ticks");
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(first.stderr, second.stderr);
}

#[test]
fn a_guest_ends_with_the_status_that_it_wants() {
    run_code(&[&exit_with!(5)]).ends(11, "MHz");
    // mov al, 6; mov dx, 0xCF9; out dx, al
    let reset = [0xB0, 6, 0x66, 0xBA, 0xF9, 0x0C, 0xEE];
    let file = kernel(&[&reset]);
    run(&["--memory", "8M", "--on-reset", "exit", "--kernel", file.path()]).ends(80, "MHz");
}

#[test]
fn resets_start_the_guest_again() {
    let cmdline = "hvkit.resets=cf9,64,92 hvkit.nonce=n";
    let run = run(&["--memory", "16M", "--cmdline", cmdline]);
    run.ends(0, "MHz");
    assert_eq!(run.stdout.matches("hvkit tour\n").count(), 4, "{run:#?}");
}

#[test]
fn a_triple_fault_is_reported_with_registers_and_instruction() {
    let run = run_code(&[&[0x0F, 0x0B]]); // ud2, without a table of interrupts
    run.ends(70, "cpu 0: triple fault");
    for part in ["32-bit protected mode, no paging", "instruction bytes at 0x100000: 0f 0b"] {
        assert!(run.stderr.contains(part), "{part} in {}", run.stderr);
    }
}

#[test]
fn a_jump_to_nowhere_is_reported() {
    // mov eax, 0xD0000000; jmp eax: nothing answers there, and all ones are no instruction.
    run_code(&[&[0xB8, 0, 0, 0, 0xD0, 0xFF, 0xE0]])
        .ends(70, "no execution of instruction ff ff ff ff");
}

#[test]
fn absent_memory_reads_as_ones_and_takes_writes() {
    run_code(&[
        &[0xB8, 0, 0, 0, 0xD0],                // mov eax, 0xD0000000
        &[0xC7, 0x00, 0x78, 0x56, 0x34, 0x12], // mov dword [eax], 0x12345678
        &[0x83, 0x38, 0xFF],                   // cmp dword [eax], -1
        &[0x75, 0x04],                         // jne past the next
        &exit_with!(3),
        &exit_with!(4),
    ])
    .ends(7, "MHz");
}

#[test]
fn an_access_across_two_absent_pages_is_carried_out() {
    run_code(&[
        &[0xB8, 0xFE, 0x0F, 0, 0xD0],          // mov eax, 0xD0000FFE
        &[0xC7, 0x00, 0x78, 0x56, 0x34, 0x12], // mov dword [eax], 0x12345678
        &[0xF7, 0x10],                         // not dword [eax]
        &[0x83, 0x38, 0xFF],                   // cmp dword [eax], -1
        &[0x75, 0x04],                         // jne past the next
        &exit_with!(3),
        &exit_with!(4),
    ])
    .ends(7, "MHz");
}

#[test]
fn vmx_instructions_are_invalid_opcodes_to_the_guest() {
    for instruction in [&[0x0F, 0x01, 0xC1][..], &[0x0F, 0x01, 0xC2], &[0x0F, 0x01, 0xC4]] {
        run_code(&[instruction]).ends(70, "cpu 0: triple fault");
    }
}

#[test]
fn halting_with_interrupts_off_is_the_end() {
    run_code(&[&[0xFA, 0xF4]]).ends(70, "halted with interrupts off");
}

#[test]
fn msrs_that_are_not_there_fault() {
    // mov ecx, 0x12345; rdmsr
    run_code(&[&[0xB9, 0x45, 0x23, 0x01, 0x00, 0x0F, 0x32]]).ends(70, "cpu 0: triple fault");
}

/// Runs a BIOS of 64 KiB whose real-mode code begins at F000:0000.
fn run_bios(code: &[&[u8]]) -> Run {
    let mut bios = vec![0xFF; 0x1_0000];
    let code = code.concat();
    bios[..code.len()].copy_from_slice(&code);
    // ljmp 0xF000:0, the copy below 1 MiB; jmp to it from the reset vector.
    bios[0xFFF0..0xFFF5].copy_from_slice(&[0xEA, 0, 0, 0, 0xF0]);
    let file = TempFile::new(&bios);
    run(&["--memory", "8M", "--firmware", file.path()])
}

#[test]
fn an_access_to_a_rom_changes_nothing() {
    run_bios(&[
        &[0x2E, 0xC7, 0x06, 0x00, 0x01, 0x34, 0x12], // mov word cs:[0x100], 0x1234
        &[0x2E, 0x81, 0x3E, 0x00, 0x01, 0xFF, 0xFF], // cmp word cs:[0x100], 0xFFFF
        &[0x75, 0x04],                               // jne past the next
        &exit_with!(3),
        &exit_with!(4),
    ])
    .ends(7, "MHz");
}

#[test]
fn a_timer_interrupts_a_guest_that_does_nothing_but_cpuid() {
    run_bios(&[
        &[0x31, 0xC0, 0x8E, 0xD0, 0x8E, 0xD8, 0xBC, 0x00, 0x70], // ss and ds 0, sp 0x7000
        &[0x31, 0xF6, 0xC7, 0x06, 0x20, 0x00, 0x4D, 0x00],       // si 0; mov word [0x20], handler
        &[0xC7, 0x06, 0x22, 0x00, 0x00, 0xF0],                   // mov word [0x22], 0xF000
        &[0x66, 0xB9, 0x1B, 0, 0, 0],                            // mov ecx, IA32_APIC_BASE
        &[0x66, 0xB8, 0x00, 0x01, 0xE0, 0xFE],                   // mov eax, off, at its place
        &[0x66, 0x31, 0xD2, 0x0F, 0x30],                         // xor edx, edx; wrmsr
        &[0xB0, 0x11, 0xE6, 0x20, 0xB0, 0x08, 0xE6, 0x21],       // 8259: vectors from 8 on
        &[0xB0, 0x04, 0xE6, 0x21, 0xB0, 0x01, 0xE6, 0x21],
        &[0xB0, 0xFE, 0xE6, 0x21], // IRQ 0 alone
        &[0xB0, 0x34, 0xE6, 0x43], // 8254: channel 0 counts 0x1000, again and again
        &[0xB0, 0x00, 0xE6, 0x40, 0xB0, 0x10, 0xE6, 0x40],
        &[0xFB],                   // sti
        &[0x0F, 0xA2, 0xEB, 0xFC], // again: cpuid; jmp again
        // The handler. Setting the 8254 may have asked for the first one.
        &[0x46, 0x83, 0xFE, 0x03, 0x74, 0x05], // inc si; cmp si, 3; je past the next
        &[0xB0, 0x20, 0xE6, 0x20, 0xCF],       // end of interrupt; iret
        &exit_with!(3),
    ])
    .ends(7, "MHz");
}

#[test]
fn the_size_of_the_xsave_area_follows_xcr0() {
    const ASK: &[u8] = &[
        0xB8, 0x0D, 0, 0, 0, // mov eax, 0x0D
        0x31, 0xC9, 0x0F, 0xA2, // xor ecx, ecx; cpuid
    ];
    run_code(&[
        &[0x0F, 0x20, 0xE0, 0x0D, 0, 0, 4, 0, 0x0F, 0x22, 0xE0], // cr4 |= OSXSAVE
        ASK,
        &[0x81, 0xFB, 0x40, 0x02, 0, 0, 0x75, 0x24], // cmp ebx, 576; jne to the failure
        &[0xB8, 7, 0, 0, 0, 0x31, 0xD2, 0x31, 0xC9], // mov eax, x87, SSE, AVX; edx and ecx 0
        &[0x0F, 0x01, 0xD1],                         // xsetbv
        ASK,
        &[0x81, 0xFB, 0x40, 0x03, 0, 0, 0x75, 0x07], // cmp ebx, 832; jne past the next
        &exit_with!(3),
        &[0xEB, 0xFE, 0x90],
        &exit_with!(4),
    ])
    .ends(7, "MHz");
}

#[test]
fn string_instructions_reach_ports_and_memory() {
    run_code(&[
        &[0x66, 0xBA, 0xF8, 0x03], // mov dx, 0x3F8
        &[0xBE, 0x40, 0, 0x10, 0], // mov esi, 0x100040
        &[0xB9, 6, 0, 0, 0],       // mov ecx, 6
        &[0xF3, 0x6E],             // rep outsb
        &[0x85, 0xC9],             // test ecx, ecx
        &[0x75, 0x04],             // jnz past the next
        &exit_with!(3),
        &exit_with!(4),
        &[0x90; 32],
        &[0x90, 0x90, 0x90, 0x90],
        b"hello\n",
    ])
    .ends(7, "MHz");
}
