//! A client of gdb's remote protocol, and kvm-vmm with a guest that waits for it.
//!
//! # Source
//! Debugging with GDB, "GDB Remote Serial Protocol".

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Nothing here takes longer, nor on a machine that is interpreted.
const HANG: Duration = Duration::from_secs(60);

/// A guest, and the connection to who has it.
pub(crate) struct Guest {
    child: Child,
    complaints: JoinHandle<String>,
    output: JoinHandle<()>,
    /// What it has printed.
    printed: Arc<Mutex<Vec<u8>>>,
    stream: UnixStream,
}

/// What is left of a guest.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The general registers of a 64-bit CPU, by their numbers in gdb.
pub(crate) const RAX: usize = 0;
pub(crate) const RCX: usize = 2;
pub(crate) const RSI: usize = 4;
pub(crate) const RIP: usize = 16;

impl Guest {
    /// Starts the program, and connects where it says that it waits.
    pub(crate) fn start<S: AsRef<OsStr>>(program: &Path, arguments: &[S]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("kvm-vmm-gdb-{}-{number}.socket", std::process::id());
        let socket = std::env::temp_dir().join(name);
        let mut command = Command::new(program);
        command.arg("--gdb").arg(format!("unix:{}", socket.display()));
        command.args(arguments).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line.split("type there: target remote ").nth(1).expect(&line).trim();
        let stream = UnixStream::connect(address).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let printed = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&printed);
        let output = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = stdout.read(&mut bytes) {
                to.lock().unwrap().extend_from_slice(&bytes[..length]);
            }
        });
        let complaints = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let mut guest = Self { child, complaints, output, printed, stream };
        let features = guest.ask("qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+");
        assert!(features.contains("qXfer:features:read+"), "{features}");
        assert!(!socket.exists(), "there is no second gdb");
        guest
    }

    /// Sends a packet.
    pub(crate) fn send(&mut self, packet: &str) {
        let sum = packet.bytes().fold(0_u8, u8::wrapping_add);
        self.stream.write_all(format!("${packet}#{sum:02x}").as_bytes()).unwrap();
    }

    /// Sends what no packet is around, as gdb does on Ctrl-C.
    pub(crate) fn interrupt(&mut self) {
        self.stream.write_all(&[3]).unwrap();
    }

    /// Receives a packet, with its repetitions written out.
    pub(crate) fn receive(&mut self) -> String {
        while self.byte() != b'$' {}
        let (mut text, mut sum) = (Vec::new(), 0_u8);
        loop {
            let byte = self.byte();
            match byte {
                b'#' => break,
                b'*' => {
                    let count = self.byte();
                    sum = sum.wrapping_add(byte).wrapping_add(count);
                    let last = *text.last().unwrap();
                    text.extend(std::iter::repeat_n(last, usize::from(count) - 29));
                    continue;
                }
                _ => text.push(byte),
            }
            sum = sum.wrapping_add(byte);
        }
        let told = [self.byte(), self.byte()];
        assert_eq!(format!("{sum:02x}").as_bytes(), told, "the checksum");
        // It may have been the last.
        let _ = self.stream.write_all(b"+");
        String::from_utf8(text).unwrap()
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).expect("gdb's connection ends or is silent");
        byte[0]
    }

    /// Sends a packet, and returns the answer.
    pub(crate) fn ask(&mut self, packet: &str) -> String {
        self.send(packet);
        self.receive()
    }

    /// Sends a packet that is done, and nothing else.
    #[track_caller]
    pub(crate) fn order(&mut self, packet: &str) {
        assert_eq!(self.ask(packet), "OK", "{packet}");
    }

    /// Reads all registers, by their bytes.
    pub(crate) fn registers(&mut self) -> Vec<u8> {
        unhex(&self.ask("g"))
    }

    /// Reads one of them.
    pub(crate) fn register(&mut self, number: usize) -> u64 {
        let all = self.registers();
        u64::from_le_bytes(all[8 * number..8 * number + 8].try_into().unwrap())
    }

    /// Writes one of them.
    pub(crate) fn set_register(&mut self, number: usize, value: u64) {
        let mut all = self.registers();
        all[8 * number..8 * number + 8].copy_from_slice(&value.to_le_bytes());
        self.order(&format!("G{}", hex(&all)));
    }

    /// Reads memory.
    pub(crate) fn memory(&mut self, address: u64, size: usize) -> Vec<u8> {
        unhex(&self.ask(&format!("m{address:x},{size:x}")))
    }

    /// Steps a CPU, whose number is `thread` - 1, with the others where they are.
    pub(crate) fn step(&mut self, thread: usize) -> String {
        self.ask(&format!("vCont;s:p1.{thread:x}"))
    }

    /// Lets the guest go on until something stops it.
    pub(crate) fn go_on(&mut self) -> String {
        self.ask("vCont;c")
    }

    /// Waits until it has printed this.
    pub(crate) fn wait_for(&self, text: &str) {
        let started = Instant::now();
        let has_it =
            || self.printed.lock().unwrap().windows(text.len()).any(|it| it == text.as_bytes());
        while !has_it() {
            assert!(started.elapsed() < HANG, "it does not print {text:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Closes the connection, and waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        drop(self.stream);
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > HANG {
                self.child.kill().unwrap();
                panic!("it hangs");
            }
            thread::sleep(Duration::from_millis(2));
        };
        Ended {
            status: status.code().expect("it ends by itself, not by a signal"),
            stdout: self.output.join().map(|()| printed(&self.printed)).unwrap(),
            stderr: self.complaints.join().unwrap(),
        }
    }
}

fn printed(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned()
}

/// The signal of a stop, and what else its packet says.
#[track_caller]
pub(crate) fn stopped(packet: &str) -> (u8, &str) {
    assert!(packet.starts_with('T'), "{packet} tells of no stop");
    (u8::from_str_radix(&packet[1..3], 16).unwrap(), &packet[3..])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text} is no data");
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16);
    (0..text.len()).step_by(2).map(|at| byte(at).expect(text)).collect()
}
