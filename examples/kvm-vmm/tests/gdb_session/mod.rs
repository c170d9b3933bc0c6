//! What `--gdb` has to do, whichever KVM is below.

#![allow(dead_code, reason = "each program uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use guest_images::{Segment, pvh_kernel};

pub(crate) use client::Guest;
use client::{RAX, RCX, RIP, RSI, hex, stopped};

const SIGINT: u8 = 2;
const SIGTRAP: u8 = 5;
const SIGSEGV: u8 = 11;

/// Where guests of a few instructions begin.
const ENTRY: u64 = 0x10_0000;
const COUNTER: u64 = 0x10_0800;

/// Counts ECX down from 3, with each value in memory; asks a port that nobody has; ends with status 3.
const COUNTS: [u8; 22] = [
    0xB9, 3, 0, 0, 0, // mov ecx, 3
    0x89, 0x0D, 0x00, 0x08, 0x10, 0x00, // again: mov [0x100800], ecx
    0xE2, 0xF8, // loop again
    0xE4, 0x99, // in al, 0x99
    0xB0, 1, 0xE6, 0xF4, // mov al, 1; out 0xF4, al
    0xEB, 0xFE, 0x90, // jmp $; nop
];
const STORE: u64 = ENTRY + 5;
const LOOP: u64 = ENTRY + 11;
const IN: u64 = ENTRY + 13;
const BEHIND_IN: u64 = ENTRY + 15;

/// A file that is gone when this is dropped.
struct Kernel(PathBuf);

impl Kernel {
    fn new(name: &str, code: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("kvm-vmm-gdb-{}-{name}", std::process::id()));
        fs::write(&path, pvh_kernel(&[Segment::new(ENTRY, 0x1000, code)])).unwrap();
        Self(path)
    }

    fn start(&self, program: &Path, more: &[&str]) -> Guest {
        Guest::start(program, &[&["--kernel", self.0.to_str().unwrap()], more].concat())
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The entry of an ELF64, and its loaded segments by their virtual addresses.
struct Elf<'f> {
    entry: u64,
    segments: Vec<(u64, &'f [u8])>,
}

impl<'f> Elf<'f> {
    fn new(file: &'f [u8]) -> Self {
        let number = |at: usize, size: usize| {
            let mut bytes = [0; 8];
            bytes[..size].copy_from_slice(&file[at..at + size]);
            u64::from_le_bytes(bytes)
        };
        let index = |value: u64| usize::try_from(value).unwrap();
        let first = index(number(32, 8));
        let headers = (0..index(number(56, 2))).map(|header| first + 56 * header);
        let segments = headers.filter(|at| number(*at, 4) == 1).map(|at| {
            let (offset, size) = (index(number(at + 8, 8)), index(number(at + 32, 8)));
            (number(at + 16, 8), &file[offset..offset + size])
        });
        Self { entry: number(24, 8), segments: segments.collect() }
    }

    /// Where these bytes are.
    fn find(&self, wanted: &[u8]) -> Vec<u64> {
        let within = |(address, bytes): &(u64, &[u8])| -> Vec<u64> {
            let places = bytes.windows(wanted.len()).zip(*address..);
            places.filter(|(bytes, _)| *bytes == wanted).map(|(_, at)| at).collect()
        };
        self.segments.iter().flat_map(within).collect()
    }

    /// The bytes at an address.
    fn bytes(&self, address: u64, size: usize) -> &'f [u8] {
        let holds = |(start, bytes): &&(u64, &[u8])| {
            (*start..*start + bytes.len() as u64).contains(&address)
        };
        let (start, bytes) = self.segments.iter().find(holds).unwrap();
        let at = usize::try_from(address - start).unwrap();
        &bytes[at..at + size]
    }
}

/// Where the tour prints first, by REP OUTSB, in 64-bit mode, at CPL 3, through page tables.
fn first_print(program: &Path, elf: &Elf<'_>) -> u64 {
    let trace = Kernel::new("trace", &[]);
    let mut vmm = Command::new(program);
    let output = vmm.arg("--trace-exits").arg(&trace.0).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(&trace.0).unwrap();
    let line = text.lines().find(|line| line.contains("\tout\t0x3f8\t")).unwrap();
    let rip = line.rsplit('\t').next().and_then(|rip| rip.strip_prefix("0x")).unwrap();
    let rip = u64::from_str_radix(rip, 16).unwrap();
    let prints = elf.find(&[0xF3, 0x6E]);
    // KVM stops before it or behind it.
    *prints.iter().find(|at| (**at..=**at + 2).contains(&rip)).unwrap()
}

/// The tour from its entry to its end, with a stop on the way, in another mode.
pub(crate) fn the_tour_can_be_followed(program: &Path) {
    let elf = Elf::new(guest_images::TOUR);
    let mut guest = Guest::start(program, &["--cmdline", "hvkit.nonce=4711"]);
    assert_eq!(guest.register(RIP), elf.entry);
    assert_eq!(guest.memory(elf.entry, 64), elf.bytes(elf.entry, 64));
    let at = first_print(program, &elf);
    guest.order(&format!("Z0,{at:x},1"));
    let (signal, rest) = guest.go_on_and_stop();
    assert!(signal == SIGTRAP && rest.contains("swbreak:"), "{rest}");
    assert_eq!(guest.register(RIP), at);
    // What stands there is what the file has, whatever the breakpoint is made of.
    assert_eq!(guest.memory(at - 8, 32), elf.bytes(at - 8, 32));
    let (rsi, count) = (guest.register(RSI), guest.register(RCX));
    let text = guest.memory(rsi, usize::try_from(count).unwrap());
    assert_eq!(text, b"hvkit tour\n"[..text.len()]);
    guest.order(&format!("z0,{at:x},1"));
    // The whole string is one exit, which the step answers to its end.
    assert_eq!(stopped(&guest.step(1)).0, SIGTRAP);
    assert_eq!((guest.register(RIP), guest.register(RCX)), (at + 2, 0));
    assert_eq!(guest.go_on(), "W00");
    let ended = guest.end();
    assert_eq!(ended.status, 0, "{ended:#?}");
    assert!(ended.stdout.starts_with("hvkit tour\n"), "{ended:#?}");
    assert!(ended.stdout.contains("\nnonce         4711\n"), "{ended:#?}");
}

impl Guest {
    fn go_on_and_stop(&mut self) -> (u8, String) {
        let packet = self.go_on();
        let (signal, rest) = stopped(&packet);
        (signal, rest.to_owned())
    }
}

/// Steps, breakpoints of both kinds, registers and memory that are written.
pub(crate) fn a_loop_can_be_watched_and_changed(program: &Path) {
    let kernel = Kernel::new("counts", &COUNTS);
    let mut guest = kernel.start(program, &[]);
    assert_eq!(guest.register(RIP), ENTRY);
    assert_eq!(stopped(&guest.step(1)).0, SIGTRAP);
    assert_eq!((guest.register(RIP), guest.register(RCX)), (STORE, 3));

    // Once round for each value; gdb steps over its own breakpoints too.
    guest.order(&format!("Z1,{LOOP:x},1"));
    for left in [3, 2, 1] {
        let (signal, rest) = guest.go_on_and_stop();
        assert!(signal == SIGTRAP && rest.contains("hwbreak:"), "{rest}");
        assert_eq!((guest.register(RIP), guest.register(RCX)), (LOOP, left));
        assert_eq!(guest.memory(COUNTER, 4), u32::try_from(left).unwrap().to_le_bytes());
        guest.order(&format!("z1,{LOOP:x},1"));
        stopped(&guest.step(1));
        guest.order(&format!("Z1,{LOOP:x},1"));
    }
    assert_eq!((guest.register(RIP), guest.register(RCX)), (IN, 0));
    guest.order(&format!("z1,{LOOP:x},1"));

    // Round again, by a register that is written; and code that is written over a breakpoint, which
    // stays.
    guest.set_register(RCX, 9);
    guest.set_register(RIP, LOOP);
    guest.order(&format!("Z0,{BEHIND_IN:x},1"));
    guest.order(&format!("M{BEHIND_IN:x},2:b002"));
    assert_eq!(guest.memory(IN, 6), [0xE4, 0x99, 0xB0, 2, 0xE6, 0xF4]);
    let (signal, rest) = guest.go_on_and_stop();
    assert!(signal == SIGTRAP && rest.contains("swbreak:"), "{rest}");
    assert_eq!((guest.register(RIP), guest.register(RCX)), (BEHIND_IN, 0));
    // What the port gave has arrived.
    assert_eq!(guest.register(RAX) & 0xFF, 0xFF);
    assert_eq!(guest.memory(COUNTER, 4), [1, 0, 0, 0]);
    guest.order(&format!("z0,{BEHIND_IN:x},1"));
    // A selector alone makes no segment, and nothing is behind memory.
    let mut registers = guest.registers();
    registers[8 * 17 + 4] ^= 8;
    let changed = format!("G{}", hex(&registers));
    assert!(guest.ask(&changed).starts_with('E'));
    assert!(guest.ask("mfed00000,4").starts_with('E'));
    assert!(guest.ask("Mfed00000,1:00").starts_with('E'));
    assert_eq!(guest.go_on(), "W05", "what was written was executed");
    assert_eq!(guest.end().status, 5);
}

/// Stepping over port reads gives what they read.
pub(crate) fn a_step_over_an_exit_ends_behind_it(program: &Path) {
    let kernel = Kernel::new("steps", &COUNTS);
    let mut guest = kernel.start(program, &[]);
    guest.set_register(RIP, IN);
    guest.set_register(RAX, 0);
    assert_eq!(stopped(&guest.step(1)).0, SIGTRAP);
    assert_eq!((guest.register(RIP), guest.register(RAX)), (BEHIND_IN, 0xFF));
    stopped(&guest.step(1));
    // The write that ends it ends the step too.
    assert_eq!(guest.step(1), "W03");
    assert_eq!(guest.end().status, 3);
}

/// A guest that is stopped in the middle of an access has made it.
pub(crate) fn what_gdb_writes_stays_written(program: &Path) {
    let code = [
        0xA1, 0x00, 0x00, 0xD0, 0xFE, // again: mov eax, [0xFED00000], where nobody is
        0xEB, 0xF9, // jmp again
        0xA2, 0x00, 0x08, 0x10, 0x00, // mov [0x100800], al
        0xEB, 0xF2, // jmp again
    ];
    let kernel = Kernel::new("written", &code);
    let mut guest = kernel.start(program, &[]);
    for round in 1..=20 {
        guest.send("vCont;c");
        thread::sleep(Duration::from_millis(20));
        guest.interrupt();
        assert_eq!(stopped(&guest.receive()).0, SIGINT);
        guest.set_register(RIP, ENTRY + 7);
        guest.set_register(RAX, round);
        assert_eq!(stopped(&guest.step(1)).0, SIGTRAP);
        assert_eq!((guest.register(RIP), guest.register(RAX)), (ENTRY + 12, round));
        assert_eq!(u64::from(guest.memory(COUNTER, 1)[0]), round);
    }
    guest.order("vKill;1");
    assert_eq!(guest.end().status, 137);
}

/// Watchpoints, or that there are none. Returns whether there are.
pub(crate) fn a_write_is_watched_or_refused(program: &Path) -> bool {
    let kernel = Kernel::new("watched", &COUNTS);
    let mut guest = kernel.start(program, &[]);
    assert!(guest.ask(&format!("Z3,{COUNTER:x},4")).starts_with('E'), "x86 has none for reads");
    let answer = guest.ask(&format!("Z2,{COUNTER:x},4"));
    let works = answer == "OK";
    if works {
        let (signal, rest) = guest.go_on_and_stop();
        assert!(signal == SIGTRAP && rest.contains(&format!("watch:{COUNTER:x}")), "{rest}");
        assert_eq!((guest.register(RIP), guest.register(RCX)), (LOOP, 3));
        guest.order(&format!("z2,{COUNTER:x},4"));
    } else {
        assert!(answer.starts_with('E'), "{answer}");
    }
    assert_eq!(guest.go_on(), "W03");
    assert_eq!(guest.end().status, 3);
    works
}

/// Ctrl-C in gdb; then the guest goes on alone.
pub(crate) fn an_endless_guest_can_be_interrupted_and_left(program: &Path) {
    let kernel = Kernel::new("endless", &[0xEB, 0xFE]);
    let mut guest = kernel.start(program, &["--timeout", "3"]);
    guest.send("vCont;c");
    thread::sleep(Duration::from_millis(300));
    guest.interrupt();
    assert_eq!(stopped(&guest.receive()).0, SIGINT);
    assert_eq!(guest.register(RIP), ENTRY);
    guest.order(&format!("Z0,{ENTRY:x},1"));
    // Breakpoints that are left behind stop nobody.
    guest.order("D;1");
    let ended = guest.end();
    assert_eq!(ended.status, 124, "{ended:#?}");
    assert!(ended.stderr.contains("next instruction at 0x100000"), "{ended:#?}");
    assert!(!ended.stderr.contains("gdb:"), "{ended:#?}");
}

/// Who goes without a word has said nothing against the guest.
pub(crate) fn a_connection_that_is_lost_is_said(program: &Path) {
    let kernel = Kernel::new("lost", &COUNTS);
    let mut guest = kernel.start(program, &[]);
    guest.order(&format!("Z0,{LOOP:x},1"));
    let ended = guest.end();
    assert_eq!(ended.status, 3, "{ended:#?}");
    assert!(ended.stderr.contains("gdb: it is gone; the guest goes on without it"), "{ended:#?}");
}

/// `kill`.
pub(crate) fn gdb_can_end_the_guest(program: &Path) {
    let kernel = Kernel::new("killed", &[0xEB, 0xFE]);
    let mut guest = kernel.start(program, &[]);
    guest.order("vKill;1");
    let ended = guest.end();
    assert_eq!(ended.status, 137, "{ended:#?}");
    assert!(ended.stderr.contains("kvm-vmm: ended by gdb"), "{ended:#?}");
}

/// A crash can be looked at; then it is one.
pub(crate) fn a_crash_stops_the_guest_and_then_ends_it(program: &Path) {
    // lidt [0x100800], where there are zeros; ud2
    let kernel = Kernel::new("crash", &[0x0F, 0x01, 0x1D, 0x00, 0x08, 0x10, 0x00, 0x0F, 0x0B]);
    let mut guest = kernel.start(program, &[]);
    let (signal, rest) = guest.go_on_and_stop();
    assert_eq!(signal, SIGSEGV, "{rest}");
    assert_eq!(guest.memory(ENTRY, 3), [0x0F, 0x01, 0x1D]);
    assert_eq!(guest.go_on(), "X0b");
    let ended = guest.end();
    assert_eq!(ended.status, 70, "{ended:#?}");
    assert!(ended.stderr.contains("kvm-vmm: the guest crashed"), "{ended:#?}");
}

/// Several CPUs are threads.
pub(crate) fn cpus_are_threads(program: &Path) {
    let mut guest = Guest::start(program, &["--cpus", "2"]);
    assert_eq!(guest.ask("qfThreadInfo"), "mp01.01,p01.02");
    let entry = guest.register(RIP);
    guest.order("Hgp1.2");
    // Where it would be after a reset, were it not waiting.
    assert_eq!(guest.register(RIP), 0xFFFF_FFF0);
    let text = guest.ask("qThreadExtraInfo,p1.2");
    assert_eq!(text, hex(b"CPU 1: waits for its SIPI"));
    let before = guest.registers();
    assert_eq!(stopped(&guest.step(1)), (SIGTRAP, "thread:p01.01;"));
    guest.order("Hgp1.2");
    assert!(guest.registers() == before, "only the CPU that steps moves");
    guest.order("Hgp1.1");
    assert_ne!(guest.register(RIP), entry);
    assert_eq!(guest.go_on(), "W00");
    let ended = guest.end();
    assert!(ended.stdout.contains("4711") || ended.status == 0, "{ended:#?}");
}

/// Two CPUs that run: gdb stops both, and steps one.
pub(crate) fn a_step_of_one_cpu_leaves_the_other_where_it_is(program: &Path) {
    let first = [
        0xC7, 0x05, 0xF0, 0x00, 0xE0, 0xFE, 0xFF, 0x01, 0x00, 0x00, // the local APIC on
        0xC7, 0x05, 0x00, 0x03, 0xE0, 0xFE, 0x00, 0x45, 0x0C, 0x00, // INIT for all others
        0xC7, 0x05, 0x00, 0x03, 0xE0, 0xFE, 0x08, 0x46, 0x0C, 0x00, // SIPI, vector 8
        0x90, 0xEB, 0xFD, // again: nop; jmp again
    ];
    let second = [0x66, 0x40, 0xEB, 0xFC]; // again: inc eax; jmp again
    let kernel = Kernel::new("two", &[]);
    let segments = [Segment::new(ENTRY, 0x1000, &first), Segment::new(0x8000, 0x1000, &second)];
    fs::write(&kernel.0, pvh_kernel(&segments)).unwrap();
    let mut guest = kernel.start(program, &["--cpus", "2"]);
    let mut stop = || {
        guest.send("vCont;c");
        thread::sleep(Duration::from_millis(300));
        guest.interrupt();
        assert_eq!(stopped(&guest.receive()).0, SIGINT);
        guest.order("Hgp1.2");
        guest.registers()
    };
    let early = stop();
    let late = stop();
    assert!(early != late, "the second CPU runs");
    for _ in 0..3 {
        assert_eq!(stopped(&guest.step(1)), (SIGTRAP, "thread:p01.01;"));
    }
    guest.order("Hgp1.2");
    assert!(guest.registers() == late, "it stays while the first steps");
    assert_eq!(stopped(&guest.step(2)), (SIGTRAP, "thread:p01.02;"));
    assert!((0x8000..0x8004).contains(&guest.register(RIP)));
    guest.order("vKill;1");
    assert_eq!(guest.end().status, 137);
}

/// A reset stops the guest where it begins again.
pub(crate) fn a_reset_is_a_stop(program: &Path) {
    let mut guest = Guest::start(program, &["--cmdline", "hvkit.resets=cf9,92 hvkit.nonce=n"]);
    let entry = guest.register(RIP);
    for _ in 0..2 {
        assert_eq!(guest.go_on_and_stop(), (SIGTRAP, "thread:p01.01;".to_owned()));
        assert_eq!(guest.register(RIP), entry);
    }
    assert_eq!(guest.go_on(), "W00");
    let ended = guest.end();
    assert_eq!(ended.stdout.matches("hvkit tour\n").count(), 3, "{ended:#?}");

    let mut guest = Guest::start(program, &["--cmdline", "hvkit.resets=cf9", "--on-reset", "exit"]);
    assert_eq!(guest.go_on(), "W50");
    assert_eq!(guest.end().status, 80);
}

/// More breakpoints than debug registers, by INT3, while the guest has one of its own; or that there
/// are no more. Returns whether there are: a KVM that is interpreted, or interprets, stops at none.
pub(crate) fn int3_is_a_breakpoint_or_refused(program: &Path) -> bool {
    let mut code = vec![
        0x0F, 0x01, 0x15, 0x48, 0x00, 0x10, 0x00, // lgdt [0x100048]
        0x0F, 0x01, 0x1D, 0x40, 0x00, 0x10, 0x00, // lidt [0x100040]
        0xBC, 0x00, 0x10, 0x10, 0x00, // mov esp, 0x101000
        0xCC, // int3
        0xE6, 0xF4, // out 0xF4, al
        0xEB, 0xFE, // jmp $
    ];
    code.resize(0x40, 0);
    code.extend([0x1F, 0, 0x60, 0x00, 0x10, 0x00, 0, 0]); // IDT: limit, 0x100060
    code.extend([0x17, 0, 0x90, 0x00, 0x10, 0x00]); // GDT: limit, 0x100090
    code.resize(0x60 + 3 * 8, 0);
    code.extend([0x80, 0x00, 0x10, 0x00, 0x00, 0x8E, 0x10, 0x00]); // gate 3: 0x10:0x100080
    code.resize(0x80, 0);
    code.extend([0xB0, 9, 0xCF]); // mov al, 9; iret
    code.resize(0x90 + 2 * 8, 0);
    code.extend([0xFF, 0xFF, 0, 0, 0, 0x9A, 0xCF, 0]); // 0x10: flat code
    let kernel = Kernel::new("int3", &code);
    let mut guest = kernel.start(program, &[]);
    assert_eq!(guest.registers()[8 * 17 + 4], 0x10, "the selector that it comes back to");
    for nowhere in 0..4 {
        guest.order(&format!("Z0,{:x},1", ENTRY + 0x800 + nowhere));
    }
    let (out, jump) = (ENTRY + 20, ENTRY + 22);
    assert_eq!(guest.memory(out, 4), [0xE6, 0xF4, 0xEB, 0xFE]);
    let works = guest.ask(&format!("Z0,{out:x},1")) == "OK";
    if works {
        guest.order(&format!("Z0,{jump:x},1"));
        assert_eq!(guest.memory(out, 4), [0xE6, 0xF4, 0xEB, 0xFE]);
        let (signal, rest) = guest.go_on_and_stop();
        assert!(signal == SIGTRAP && rest.contains("swbreak:"), "{rest}");
        assert_eq!(guest.register(RIP), out);
        guest.order(&format!("z0,{out:x},1"));
        assert_eq!(guest.go_on(), "W13");
        assert_eq!(guest.end().status, 19);
    } else {
        guest.order("vKill;1");
        assert_eq!(guest.end().status, 137);
    }
    works
}

/// Linux in the middle of its boot: kernel addresses, through its own page tables.
pub(crate) fn linux_can_be_stopped_and_read(program: &Path, vmlinux: &Path) {
    let file = fs::read(vmlinux).unwrap();
    let elf = Elf::new(&file);
    let banner = elf.find(b"Linux version ")[0];
    assert!(banner > 0xFFFF_FFFF_8000_0000, "{banner:#x}");
    const EARLY: &str = "earlyprintk=serial,ttyS0";
    let arguments =
        ["--kernel", vmlinux.to_str().unwrap(), "--protocol", "pvh", "--cmdline", EARLY];
    let mut guest = Guest::start(program, &arguments);
    // There are no page tables yet.
    assert!(guest.ask(&format!("m{banner:x},10")).starts_with('E'));
    guest.send("vCont;c");
    guest.wait_for("Linux version ");
    guest.interrupt();
    assert_eq!(stopped(&guest.receive()).0, SIGINT);
    assert_eq!(guest.memory(banner, 128), elf.bytes(banner, 128));
    // It may be anywhere, but it is somewhere, and goes on from there.
    let mut places = vec![guest.register(RIP)];
    for _ in 0..8 {
        assert_eq!(stopped(&guest.step(1)).0, SIGTRAP);
        places.push(guest.register(RIP));
    }
    assert!(places.iter().all(|at| *at > 0xFFFF_8000_0000_0000), "{places:x?}");
    places.dedup();
    assert!(places.len() > 1, "{places:x?}");
    guest.order("vKill;1");
    let ended = guest.end();
    assert_eq!(ended.status, 137, "{ended:#?}");
}

/// The debugger itself, where it is installed: `false` if it is not.
pub(crate) fn gdb_follows_the_tour(program: &Path) -> bool {
    if Command::new("gdb").arg("--version").output().is_err() {
        return false;
    }
    let elf = Elf::new(guest_images::TOUR);
    let file = Kernel::new("gdb", &[]);
    fs::write(&file.0, guest_images::TOUR).unwrap();
    let mut vmm = Command::new(program);
    vmm.args(["--gdb", "localhost:0"]).stdin(Stdio::null());
    let mut child = vmm.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let connect = line.split("type there: ").nth(1).unwrap().trim();
    assert!(connect.starts_with("target remote 127.0.0.1:"), "{connect}");
    let print = first_print(program, &elf);
    let mut gdb = Command::new("gdb");
    gdb.args(["-q", "-nx", "-batch"]).arg(&file.0);
    for command in [
        connect.to_owned(),
        "print/x $pc".to_owned(),
        "stepi".to_owned(),
        format!("break *{print:#x}"),
        "continue".to_owned(),
        "x/i $pc".to_owned(),
        "info threads".to_owned(),
        "delete".to_owned(),
        "continue".to_owned(),
    ] {
        gdb.args(["-ex", &command]);
    }
    let output = gdb.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let ended = child.wait_with_output().unwrap();
    for wanted in [
        &format!("$1 = {:#x}", elf.entry),
        "Breakpoint 1, ",
        "rep outsb",
        "(CPU 0: 64-bit mode, 4-level paging",
        "exited normally]",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in {said}");
    }
    assert_eq!(ended.status.code(), Some(0));
    true
}
