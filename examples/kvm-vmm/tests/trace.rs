//! `--trace-exits`, held against what else is known of the same run. Needs /dev/kvm.

#![cfg(feature = "kvm-rig")]
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use common::{LOOP, TempFile, finish, guest, run, vmm};
use rustix::process::{Pid, Signal, kill_process};

/// A line of a trace, by its columns.
#[derive(Clone, Debug)]
struct Line {
    n: u64,
    ns: u64,
    cpu: u32,
    kind: String,
    at: Option<u64>,
    size: Option<u64>,
    count: Option<u64>,
    data: String,
    device: String,
    answer_ns: u64,
    rip: Option<u64>,
}

fn number(text: &str) -> Option<u64> {
    match text {
        "-" => None,
        _ => Some(match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
            None => text.parse().unwrap(),
        }),
    }
}

/// Reads a trace, of which nothing may be missing: lines are whole, and numbered from 1 on.
fn read(file: &TempFile) -> Vec<Line> {
    let text = fs::read_to_string(&file.0).unwrap();
    assert!(
        text.starts_with("# n\tns\tcpu\tkind\tat\tsize\tcount\tdata\tdevice\tanswer_ns\trip\n")
    );
    assert!(text.ends_with('\n'), "the last line is cut");
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let columns: Vec<_> = line.split('\t').collect();
            let [n, ns, cpu, kind, at, size, count, data, device, answer, rip] = columns[..] else {
                unreachable!("columns of {line:?}")
            };
            Line {
                n: n.parse().unwrap(),
                ns: ns.parse().unwrap(),
                cpu: cpu.parse().unwrap(),
                kind: kind.to_owned(),
                at: number(at),
                size: number(size),
                count: number(count),
                data: data.to_owned(),
                device: device.to_owned(),
                answer_ns: answer.parse().unwrap(),
                rip: number(rip),
            }
        })
        .collect();
    for (line, n) in lines.iter().zip(1..) {
        assert_eq!(line.n, n);
    }
    lines
}

/// The numbers in the column `data`, which are as many and as wide as the columns before it say.
fn data(line: &Line) -> Vec<u64> {
    let elements: Vec<_> = line.data.split(',').collect();
    assert_eq!(line.count, u64::try_from(elements.len()).ok(), "{line:?}");
    for element in &elements {
        assert_eq!(line.size, Some(element.len() as u64 / 2), "{line:?}");
    }
    elements.iter().map(|element| u64::from_str_radix(element, 16).unwrap()).collect()
}

/// What these writes make COM1 send, as its data sheet has it: offset 0 is the data unless bit 7 of
/// offset 3 makes it a divisor.
fn sent_by_com1(lines: &[Line]) -> Vec<u8> {
    let (mut sent, mut has_divisor) = (Vec::new(), false);
    for line in lines.iter().filter(|line| line.kind == "out") {
        match line.at {
            Some(0x3F8) if !has_divisor => {
                assert_eq!(line.device, "uart");
                sent.extend(data(line).iter().map(|byte| u8::try_from(*byte).unwrap()));
            }
            Some(0x3FB) => has_divisor = data(line).last().unwrap() & 0x80 != 0,
            _ => {}
        }
    }
    sent
}

#[test]
fn it_agrees_with_statistics_and_console() {
    let trace = TempFile::new("trace", b"");
    let started = std::time::Instant::now();
    let run = run(&["--trace-exits", trace.path(), "--stats=json", "--cpus", "2"]);
    let took = u64::try_from(started.elapsed().as_nanos()).unwrap();
    assert_eq!(run.status, 0, "{run:#?}");
    let lines = read(&trace);

    let stats: serde_json::Value = serde_json::from_str(&run.stderr).unwrap();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut ports: BTreeMap<String, u64> = BTreeMap::new();
    for line in &lines {
        let counted_as = match line.kind.as_str() {
            "in" => "port read",
            "out" => "port write",
            "read" => "memory read",
            "write" => "memory write",
            "eoi" => "end of interrupt",
            "window" => "interrupt window",
            // What KVM_RUN says by an error is no exit.
            "interrupted" | "sipi" => continue,
            other => unreachable!("the tour makes no exit {other}"),
        };
        *counts.entry(counted_as).or_default() += 1;
        if matches!(line.kind.as_str(), "in" | "out") {
            *ports.entry(format!("{:#x}", line.at.unwrap())).or_default() += 1;
            let _ = data(line);
        }
    }
    assert_eq!(serde_json::to_value(counts).unwrap(), stats["exits"]);
    assert_eq!(serde_json::to_value(ports).unwrap(), stats["ports"]);
    assert_eq!(String::from_utf8(sent_by_com1(&lines)).unwrap(), run.stdout);

    for cpu in 0..2 {
        let times: Vec<_> =
            lines.iter().filter(|line| line.cpu == cpu).map(|line| line.ns).collect();
        assert!(!times.is_empty() && times.is_sorted(), "{times:?}");
    }
    assert!(lines.iter().all(|line| line.ns + line.answer_ns < took));
    // Devices are named; the tour looks for none that isn't there.
    let device = |port: u64| {
        let mut here = lines.iter().filter(|line| line.at == Some(port));
        here.next().map_or("no access", |line| &line.device).to_owned()
    };
    assert_eq!(device(0xCF8), "pci");
    assert_eq!(device(0x70), "rtc");
    assert_eq!(device(0x604), "pm");
    // The last thing that the guest did was to switch itself off.
    let last = lines.iter().rfind(|line| line.kind == "out").unwrap();
    assert_eq!((last.at, last.device.as_str()), (Some(0x604), "pm"));
}

#[test]
fn instruction_pointer_data_and_nobody_are_told() {
    let code = [
        0xB8, 0x5A, 0x56, 0x34, 0x12, // mov eax, 0x1234565A
        0xE7, 0x98, // out 0x98, eax
        0xE5, 0x98, // in eax, 0x98
        0xC7, 0x05, 0x00, 0x00, 0xC0, 0xFE, 2, 0, 0, 0, // mov dword [0xFEC00000], 2
        0xB0, 1, 0xE6, 0xF4, // mov al, 1; out 0xF4, al
    ];
    let guest = guest("trace-ports", &code);
    let trace = TempFile::new("trace-ports.tsv", b"");
    let run = run(&["--kernel", guest.path(), "--trace-exits", trace.path()]);
    assert_eq!(run.status, 3, "{run:#?}");
    let seen: Vec<_> = read(&trace)
        .iter()
        .map(|line| {
            let rip = line.rip.map(|rip| rip - 0x10_0000);
            (line.kind.clone(), line.at, line.data.clone(), line.device.clone(), rip)
        })
        .collect();
    let expected = |kind: &str, at, data: &str, device: &str, before, after| {
        // KVM stops before or behind an instruction that writes, by how it got to it.
        let is = |rip| (kind.into(), Some(at), data.into(), device.into(), Some(rip));
        [is(before), is(after)]
    };
    for (line, expected) in seen.iter().zip([
        expected("out", 0x98, "1234565a", "-", 5, 7),
        expected("in", 0x98, "ffffffff", "-", 7, 9),
        expected("write", 0xFEC0_0000, "00000002", "ioapic", 9, 19),
        expected("out", 0xF4, "01", "exit", 21, 23),
    ]) {
        assert!(expected.contains(line), "{line:?} is none of {expected:?}");
    }
    assert_eq!(seen.len(), 4, "{seen:#?}");
}

#[test]
fn it_is_whole_however_the_guest_ends() {
    let kernel = |name: &str, code: &[u8]| guest(&format!("trace-{name}"), code);
    // lidt [zeros]; ud2
    let triple = kernel("triple", &[0x0F, 0x01, 0x1D, 0x00, 0x08, 0x10, 0x00, 0x0F, 0x0B]);
    let endless = kernel("loop", LOOP);
    // mov al, 6; mov dx, 0xCF9; out dx, al; jmp $
    let reset = kernel("reset", &[0xB0, 6, 0x66, 0xBA, 0xF9, 0x0C, 0xEE, 0xEB, 0xFE]);
    let trace = TempFile::new("trace-endings", b"");
    for (guest, more, status, kinds) in [
        (&triple, &[][..], 70, &["shutdown", "internal-error"][..]),
        (&endless, &["--timeout", "0.2"], 124, &["interrupted"]),
        (&reset, &["--on-reset", "exit"], 80, &["out", "interrupted"]),
    ] {
        let arguments = [&["--kernel", guest.path(), "--trace-exits", trace.path()], more].concat();
        assert_eq!(run(&arguments).status, status);
        let last = read(&trace).last().unwrap().kind.clone();
        assert!(kinds.contains(&last.as_str()), "{last} is none of {kinds:?}");
    }

    let child = vmm(&["--kernel", endless.path(), "--trace-exits", trace.path()]).spawn().unwrap();
    thread::sleep(Duration::from_millis(300));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    finish(child).fails(130, "ended by signal 2");
    assert_eq!(read(&trace).last().unwrap().kind, "interrupted");
}

#[test]
fn resets_are_remarks_and_the_count_goes_on() {
    let trace = TempFile::new("trace-resets", b"");
    let options = ["--cmdline", "hvkit.resets=cf9,64", "--trace-exits", trace.path()];
    let run = run(&options);
    assert_eq!(run.status, 0, "{run:#?}");
    let remarks = fs::read_to_string(&trace.0).unwrap();
    assert_eq!(remarks.lines().filter(|line| *line == "# reset").count(), 2);
    assert_eq!(String::from_utf8(sent_by_com1(&read(&trace))).unwrap(), run.stdout);
}

#[test]
fn a_full_disk_is_said_once_and_the_guest_goes_on() {
    let run = run(&["--trace-exits", "/dev/full"]);
    assert_eq!(run.status, 0, "{run:#?}");
    assert!(run.stdout.contains("\npower off "), "{run:#?}");
    assert_eq!(
        run.stderr.trim_end(),
        "kvm-vmm: trace of exits: No space left on device (os error 28); the guest goes on, the rest \
         of the trace is lost"
    );
}

#[test]
fn a_trace_may_go_to_standard_error() {
    // mov al, 1; out 0xF4, al
    let guest = guest("trace-stderr", &[0xB0, 1, 0xE6, 0xF4]);
    let run = run(&["--kernel", guest.path(), "--trace-exits", "-"]);
    assert_eq!(run.status, 3, "{run:#?}");
    let lines: Vec<_> = run.stderr.lines().collect();
    assert!(lines[0].starts_with("# n\tns\tcpu\t"), "{run:#?}");
    assert!(lines[1].contains("\tout\t0xf4\t1\t1\t01\texit\t"), "{run:#?}");
    let file = vmm(&["--trace-exits", "/nowhere/trace"]).spawn().unwrap();
    finish(file).fails(66, "/nowhere/trace: No such file or directory");
}

#[cfg(feature = "fault-injection")]
#[test]
fn a_panic_leaves_what_came_before() {
    // mov al, 7; out 0x99, al; mov dx, 0xFA17; out dx, al; jmp $
    let code = [0xB0, 7, 0xE6, 0x99, 0x66, 0xBA, 0x17, 0xFA, 0xEE, 0xEB, 0xFE];
    let guest = guest("trace-panic", &code);
    let trace = TempFile::new("trace-panic.tsv", b"");
    assert_eq!(run(&["--kernel", guest.path(), "--trace-exits", trace.path()]).status, 70);
    let lines = read(&trace);
    assert_eq!((lines.len(), lines[0].at), (1, Some(0x99)), "{lines:#?}");
}
