//! How guests end, and what the program leaves behind. Needs /dev/kvm.

#![cfg(feature = "kvm-rig")]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

#[cfg(feature = "fault-injection")]
use common::TempFile;
use common::{LOOP, finish, guest, program, run, vmm};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, tcgetattr};

/// `mov al, 5; out 0xF4, al; jmp $`.
const DEBUG_EXIT: &[u8] = &[0xB0, 5, 0xE6, 0xF4, 0xEB, 0xFE];
/// `lidt [zeros]; ud2`: no handler for the exception, none for that.
const TRIPLE_FAULT: &[u8] = &[0x0F, 0x01, 0x1D, 0x00, 0x08, 0x10, 0x00, 0x0F, 0x0B];
/// `mov al, 6; mov dx, 0xCF9; out dx, al; jmp $`.
const RESET: &[u8] = &[0xB0, 6, 0x66, 0xBA, 0xF9, 0x0C, 0xEE, 0xEB, 0xFE];
/// `mov dx, 0x3F8; again: mov al, 'x'; out dx, al; jmp again`.
const CHATTER: &[u8] = &[0x66, 0xBA, 0xF8, 0x03, 0xB0, b'x', 0xEE, 0xEB, 0xFB];
/// Waits for a byte on COM1, sends it back, and powers off by the debug exit port on 'q'.
const ECHO: &[u8] = &[
    0x66, 0xBA, 0xFD, 0x03, // again: mov dx, 0x3FD
    0xEC, // in al, dx
    0xA8, 0x01, // test al, 1
    0x74, 0xF7, // jz again
    0x66, 0xBA, 0xF8, 0x03, // mov dx, 0x3F8
    0xEC, // in al, dx
    0xEE, // out dx, al
    0x3C, b'q', // cmp al, 'q'
    0x75, 0xED, // jne again
    0xB0, 1, 0xE6, 0xF4, // mov al, 1; out 0xF4, al
];

#[test]
fn the_tour_prints_its_report_and_powers_off() {
    let run = run(&["--cmdline", "hvkit.nonce=4711", "--stats=json"]);
    assert_eq!(run.status, 0, "{run:#?}");
    assert!(run.stdout.ends_with("power off     PM1a control at port 0x604, type 0\n"));
    assert!(run.stdout.lines().any(|line| line == "nonce         4711"));
    assert!(!run.stdout.contains("WRONG"), "a checksum");
    let stats: serde_json::Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!(stats["console_bytes"].as_u64(), u64::try_from(run.stdout.len()).ok());
    assert!(stats["exits"]["port write"].as_u64().unwrap() > 0);
}

#[test]
fn without_a_nonce_each_run_gets_its_own() {
    let nonce = || {
        let run = run::<&str>(&[]);
        assert_eq!(run.status, 0, "{run:#?}");
        run.stdout.lines().find_map(|line| line.strip_prefix("nonce  ")).unwrap().trim().to_owned()
    };
    assert_ne!(nonce(), nonce());
}

#[test]
fn a_reset_starts_the_guest_again_or_ends_it() {
    let again = run(&["--cmdline", "hvkit.resets=cf9,64,92 hvkit.nonce=n"]);
    assert_eq!(again.status, 0, "{again:#?}");
    assert_eq!(again.stdout.matches("hvkit tour\n").count(), 4);
    let guest = guest("reset", RESET);
    run(&["--kernel", guest.path(), "--on-reset", "exit"]).fails(80, "the guest reset");
}

#[test]
fn the_debug_exit_port_gives_the_status() {
    let guest = guest("exit", DEBUG_EXIT);
    run(&["--kernel", guest.path()]).fails(11, "wrote 0x5 to the debug exit port");
}

#[test]
fn a_triple_fault_is_reported_with_registers_and_instruction() {
    let guest = guest("triple", TRIPLE_FAULT);
    let run = run(&["--kernel", guest.path()]);
    run.fails(70, "cpu 0: ");
    for part in ["32-bit protected mode, no paging", "rip 0000000000100007", "the guest crashed"] {
        assert!(run.stderr.contains(part), "{part} in {}", run.stderr);
    }
    assert!(run.stderr.contains("instruction bytes at 0x100007: 0f 0b"), "{}", run.stderr);
}

#[test]
fn a_guest_that_never_ends_is_ended_by_the_timeout() {
    let guest = guest("loop", LOOP);
    let run = run(&["--kernel", guest.path(), "--timeout", "0.3"]);
    run.fails(124, "time is up");
    assert!(run.stderr.contains("next instruction at 0x100000"), "{}", run.stderr);
}

#[test]
fn a_timeout_and_signals_end_it_although_nobody_reads_the_console() {
    let guest = guest("chatter", CHATTER);
    // A pipe that fills up at once, and stays full.
    let spawn = |arguments: &[&str]| {
        let child = vmm(arguments).spawn().unwrap();
        fcntl_setpipe_size(child.stdout.as_ref().unwrap(), 4096).unwrap();
        child
    };
    let child = spawn(&["--kernel", guest.path(), "--timeout", "0.5"]);
    finish(child).fails(124, "time is up");
    let child = spawn(&["--kernel", guest.path()]);
    thread::sleep(Duration::from_millis(500));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    finish(child).fails(143, "ended by signal 15");
}

#[test]
fn a_closed_console_is_said_once_and_the_guest_goes_on() {
    let mut child = vmm::<&str>(&[]).spawn().unwrap();
    drop(child.stdout.take());
    let run = finish(child);
    assert_eq!(run.status, 0, "{run:#?}");
    assert_eq!(run.stderr.matches("the guest goes on, its output is lost").count(), 1, "{run:#?}");
}

#[test]
fn standard_streams_may_be_closed_from_the_start() {
    let closed = |redirect: &str| {
        let script = format!("exec \"$0\" {redirect}");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(program());
        shell.stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(shell.spawn().unwrap())
    };
    assert!(closed("<&-").stdout.contains("\nnonce "));
    for redirect in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        assert_eq!(closed(redirect).status, 0, "{redirect}");
    }
}

#[test]
fn input_reaches_the_guest() {
    let guest = guest("echo", ECHO);
    let mut vmm = vmm(&["--kernel", guest.path(), "--timeout", "20"]);
    let mut child = vmm.stdin(Stdio::piped()).spawn().unwrap();
    // More than the receiver holds at once.
    let sent = "abc".repeat(40) + "q";
    child.stdin.take().unwrap().write_all(sent.as_bytes()).unwrap();
    let run = finish(child);
    assert_eq!((run.status, run.stdout), (3, sent));
}

#[test]
fn no_kvm_is_said_with_advice() {
    // A /dev of its own, with what `prepare` puts there.
    let in_own_dev = |prepare: &str| {
        let script = format!(
            "mount -t tmpfs none /dev && {prepare} exec setpriv \
             --bounding-set=-all --inh-caps=-all \"$0\" 2>&1"
        );
        let mut shell = Command::new("unshare");
        shell.args(["-rm", "sh", "-c", &script]).arg(program());
        let run = finish(shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        (run.status, run.stdout + &run.stderr)
    };
    for (prepare, message) in [
        ("", "No such file or directory"),
        ("touch /dev/kvm; chmod 0 /dev/kvm;", "add yourself to the group kvm"),
        ("touch /dev/kvm;", "it is not KVM's device"),
    ] {
        let (status, said) = in_own_dev(prepare);
        assert_eq!(status, 69, "{prepare}: {said}");
        assert!(said.contains("kvm-vmm: /dev/kvm: ") && said.contains(message), "{said}");
    }
}

/// A pseudo-terminal whose other end the program gets as its controlling terminal.
struct Terminal {
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Terminal {
    fn new() -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let theirs = rustix::fs::open(&*name, flags, Mode::empty()).unwrap();
        Self { ours, theirs }
    }

    fn modes(&self) -> Termios {
        tcgetattr(self.theirs.as_fd()).unwrap()
    }

    fn is_raw(&self) -> bool {
        !self.modes().local_modes.contains(rustix::termios::LocalModes::ECHO)
    }

    /// Runs the program on it, calls `act` once the terminal is raw, and checks that it is given
    /// back as it was. Returns the status.
    fn run(&self, arguments: &[&str], act: impl FnOnce(&mut File)) -> i32 {
        let before = self.modes();
        let end = || Stdio::from(self.theirs.try_clone().unwrap());
        let mut child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .arg(program())
            .args(arguments)
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let mut keys = File::from(self.ours.try_clone().unwrap());
        // Whatever it prints must go somewhere.
        let mut output = keys.try_clone().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while output.read(&mut buffer).is_ok_and(|length| length > 0) {}
        });
        let mut ended = None;
        while ended.is_none() && !self.is_raw() {
            thread::sleep(Duration::from_millis(1));
            ended = child.try_wait().unwrap();
        }
        if ended.is_none() {
            act(&mut keys);
        }
        let status = child.wait().unwrap().code().unwrap();
        let after = self.modes();
        assert_eq!(after.local_modes, before.local_modes);
        assert_eq!(after.input_modes, before.input_modes);
        assert_eq!(after.output_modes, before.output_modes);
        status
    }
}

#[test]
fn ctrl_c_ends_the_guest_and_gives_the_terminal_back() {
    let guest = guest("ctrl-c", LOOP);
    let press = |keys: &mut File| keys.write_all(b"\x03").unwrap();
    assert_eq!(Terminal::new().run(&["--kernel", guest.path()], press), 130);
}

#[test]
fn the_terminal_is_given_back_however_the_guest_ends() {
    let kernel = |name, code| guest(name, code);
    let (triple, looping) = (kernel("tty-triple", TRIPLE_FAULT), kernel("tty-loop", LOOP));
    let nothing = |_: &mut File| {};
    assert_eq!(Terminal::new().run(&["--kernel", triple.path()], nothing), 70);
    let limited = ["--kernel", looping.path(), "--timeout", "0.3"];
    assert_eq!(Terminal::new().run(&limited, nothing), 124);
    assert_eq!(Terminal::new().run(&[], nothing), 0);
}

#[cfg(feature = "fault-injection")]
#[test]
fn a_panic_in_a_device_gives_the_terminal_back() {
    // mov dx, 0xFA17; out dx, al; jmp $
    let guest: TempFile = guest("panic", &[0x66, 0xBA, 0x17, 0xFA, 0xEE, 0xEB, 0xFE]);
    assert_eq!(Terminal::new().run(&["--kernel", guest.path()], |_| {}), 70);
    let run = run(&["--kernel", guest.path()]);
    assert_eq!(run.status, 70, "{run:#?}");
    assert!(run.stderr.contains("a device fails, as the guest asked"), "{run:#?}");
    assert!(run.stderr.ends_with("kvm-vmm: the guest crashed\n"), "{run:#?}");
}
