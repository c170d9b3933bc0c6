//! Several guests at once, each on a processor of its own. Needs Bochs.

#![cfg(feature = "bochs-rig")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[macro_use]
mod common;

use std::fs;

use common::{Run, TempFile, kernel, run};

/// What a guest printed, its number taken off.
fn console(run: &Run, number: usize) -> Vec<&str> {
    let start = format!("{number}| ");
    run.stdout.lines().filter_map(|line| line.strip_prefix(&start)).collect()
}

#[test]
fn they_run_side_by_side_and_are_told_apart() {
    let code = kernel(&[&exit_with!(5)]);
    let third = format!("kernel={} memory=8M", code.path());
    let vms = ["memory=16M cmdline=hvkit.nonce=a b", "memory=24M cmdline=hvkit.nonce=c", &third];
    for boot in ["rom", "grub"] {
        let run = run(&["--boot", boot, "--vm", vms[0], "--vm", vms[1], "--vm", vms[2]]);
        run.ends(11, "3 processors with VMX");
        for (number, nonce, end, status) in
            [(1, "a", "0x000000fff000", 0), (2, "c", "0x0000017ff000", 0)]
        {
            let said = console(&run, number);
            assert_eq!(said.first(), Some(&"hvkit tour"), "{run:#?}");
            let nonces = said.iter().filter_map(|line| line.strip_prefix("nonce         "));
            assert_eq!(nonces.collect::<Vec<_>>(), [nonce], "{run:#?}");
            let memory = said.iter().any(|line| line.ends_with(&format!("{end}  usable")));
            assert!(memory, "guest {number} has other memory: {run:#?}");
            assert!(!said.iter().any(|line| line.contains("WRONG")), "{run:#?}");
            run.ends(11, &format!("hypervisor: guest {number} ended with status {status}\n"));
        }
        run.ends(11, "hypervisor: guest 3 ended with status 11\n");
        let told_apart = run.stdout.lines().all(|line| ["1| ", "2| "].contains(&&line[..3]));
        assert!(told_apart, "{run:#?}");
    }
}

#[test]
fn one_that_crashes_leaves_the_others_alone() {
    // ud2, without a table of interrupts.
    let code = kernel(&[&[0x0F, 0x0B]]);
    let first = format!("memory=8M kernel={}", code.path());
    let console = TempFile::new(b"");
    let arguments = ["--vm", &first, "--vm", "cmdline=hvkit.nonce=x", "--memory", "16M"];
    let run = run(&[&arguments[..], &["--console", console.path()]].concat());
    run.ends(70, "hypervisor: guest 1: cpu 0: triple fault\n");
    run.ends(70, "hypervisor: guest 1: the guest crashed");
    run.ends(70, "hypervisor: guest 2 ended with status 0\n");
    let files = [1, 2].map(|number| format!("{}.{number}", console.path()));
    let [first, second] = files.each_ref().map(|file| fs::read_to_string(file).unwrap());
    files.iter().for_each(|file| fs::remove_file(file).unwrap());
    assert_eq!(first, "");
    assert!(second.starts_with("hvkit tour\n") && second.contains("\nnonce         x\n"));
}

#[test]
fn a_guest_writes_to_its_own_memory_alone() {
    // mov edi, 0x200000; mov ecx, 0x180000; mov eax, 0x5A5A5A5A; rep stosd: all above 2 MiB; then
    // mov esi, 0x200000; mov ecx, 0x180000; lodsd; cmp eax, 0x5A5A5A5A; jne past; loop; exit 3 or 4.
    let code = kernel(&[
        &[0xBF, 0, 0, 0x20, 0, 0xB9, 0, 0, 0x18, 0, 0xB8, 0x5A, 0x5A, 0x5A, 0x5A, 0xF3, 0xAB],
        &[0xBE, 0, 0, 0x20, 0, 0xB9, 0, 0, 0x18, 0],
        &[0xAD, 0x3D, 0x5A, 0x5A, 0x5A, 0x5A, 0x75, 0x06, 0xE2, 0xF6],
        &exit_with!(3),
        &exit_with!(4),
    ]);
    let other = kernel(&[
        &[0xBF, 0, 0, 0x20, 0, 0xB9, 0, 0, 0x18, 0, 0xB8, 0xA5, 0xA5, 0xA5, 0xA5, 0xF3, 0xAB],
        &[0xBE, 0, 0, 0x20, 0, 0xB9, 0, 0, 0x18, 0],
        &[0xAD, 0x3D, 0xA5, 0xA5, 0xA5, 0xA5, 0x75, 0x06, 0xE2, 0xF6],
        &exit_with!(3),
        &exit_with!(4),
    ]);
    let [first, second] = [code, other].map(|code| (format!("kernel={}", code.path()), code));
    let run = run(&["--memory", "8M", "--vm", &first.0, "--vm", &second.0]);
    run.ends(7, "hypervisor: guest 1 ended with status 7\n");
    run.ends(7, "hypervisor: guest 2 ended with status 7\n");
}
