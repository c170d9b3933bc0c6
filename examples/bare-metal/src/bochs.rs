//! Bochs: found, configured, run, and listened to.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use bare_metal_image::{Channel, Decoder};

use crate::bundle::{Bundle, Files, LOAD_START};
use crate::failure::Failure;
use crate::image::target_folder;
use crate::model;
use crate::options::{Options, Start};
use crate::rom::{self, Rom};
use crate::{iso, tool};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The hypervisor said so.
    Status(u8),
    /// Time or ticks were up.
    Timeout,
    /// A signal ended it.
    Signal(u8),
}

const CAUGHT: &[u8] = b"Caught time breakpoint";
/// What Bochs logs when there is none of its ports for a screen.
const NO_PORT: &str = "RFB could not bind any port";
const POLL: Duration = Duration::from_millis(50);

/// Runs the hypervisor with the guest's files; `hear` gets what it says.
pub(crate) fn run(
    hypervisor: &[u8],
    files: &Files,
    options: &Options,
    hear: impl FnMut(Channel, &[u8]),
) -> Result<Ended, Failure> {
    run_in(&Folder::new()?, hypervisor, files, options, hear)
}

/// Does the same in a folder of the caller's, who finds Bochs' log there.
pub(crate) fn run_in(
    folder: &Folder,
    hypervisor: &[u8],
    files: &Files,
    options: &Options,
    mut hear: impl FnMut(Channel, &[u8]),
) -> Result<Ended, Failure> {
    let bochs = match &options.bochs {
        Some(program) => program.clone(),
        None => tool::find("bochs", &["bochs", "bochs-bin"])?,
    };
    let model = model::find(&bochs, &options.cpu_model)?;
    let machine = match options.boot {
        Start::Rom => {
            let bundle = Bundle::new(hypervisor, files, options)?;
            let rom = rom::build(&Rom {
                entry: bundle.entry,
                start_info: bundle.start_info,
                load_start: LOAD_START,
                load_end: bundle.load_end,
                lock_vmx_off: options.lock_vmx_off,
            });
            folder.write("memory.bin", &bundle.memory)?;
            folder.write("reset.rom", &rom)?;
            folder.write("vga.rom", &[0; 512])?;
            let rom_address = rom::ADDRESS;
            format!(
                "romimage: file=reset.rom, address={rom_address:#x}\n\
                 vgaromimage: file=vga.rom\n\
                 optramimage1: file=memory.bin, address={LOAD_START:#x}\n"
            )
        }
        Start::Grub => {
            iso::write(hypervisor, files, &folder.0, &folder.0.join("boot.iso"))?;
            "romimage: file=$BXSHARE/BIOS-bochs-latest\n\
             vgaromimage: file=$BXSHARE/VGABIOS-lgpl-latest\n\
             ata0-master: type=cdrom, path=boot.iso, status=inserted\n\
             boot: cdrom\n"
                .to_owned()
        }
    };
    let configuration = configuration(files, options, &model) + &machine;
    folder.write("bochsrc", configuration.as_bytes())?;
    // The debugger's commands; without any it stays out.
    let commands = match (options.trace, options.max_ticks) {
        (Some((from, count)), _) => Some(format!("sb {from}\nc\ntrace on\ns {count}\nq\n")),
        (None, Some(ticks)) => Some(format!("sb {ticks}\nc\nq\n")),
        (None, None) => None,
    };
    let mut arguments = vec!["-q", "-f", "bochsrc", "-unlock"];
    if let Some(commands) = commands {
        folder.write("commands", commands.as_bytes())?;
        arguments.extend(["-debugger", "-rc", "commands"]);
    }

    // Processes of Bochs that start together may not find a port for their screens, which nobody
    // looks at.
    for _ in 0..4 {
        let ended = start(&bochs, &arguments, folder, options, &mut hear);
        if ended.is_ok() || !folder.log().contains(NO_PORT) {
            return ended;
        }
        thread::sleep(Duration::from_millis(500));
    }
    start(&bochs, &arguments, folder, options, &mut hear)
}

/// Starts Bochs in its folder, and listens until it ends.
fn start(
    bochs: &Path,
    arguments: &[&str],
    folder: &Folder,
    options: &Options,
    hear: &mut impl FnMut(Channel, &[u8]),
) -> Result<Ended, Failure> {
    let signal = catch_signals()?;
    let mut child = KilledOnDrop(
        Command::new(bochs)
            .args(arguments)
            .current_dir(&folder.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::Tool(format!("{}: {error}", bochs.display())))?,
    );
    let mut stdout =
        child.0.stdout.take().ok_or_else(|| Failure::Tool("Bochs has no output".to_owned()))?;
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stdout.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });

    let end = options.timeout.map(|limit| Instant::now() + limit);
    let mut line = Line::default();
    loop {
        match signal.load(Ordering::Acquire) {
            0 => {}
            number => return Ok(Ended::Signal(u8::try_from(number).unwrap_or(0))),
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(Ended::Timeout);
        }
        match receiver.recv_timeout(POLL) {
            // What Bochs prints of its own is what was asked for.
            Ok(bytes) if options.trace.is_some() => hear(Channel::Console(0), &bytes),
            Ok(bytes) => {
                if let Some(status) = line.take(&bytes, hear) {
                    return Ok(Ended::Status(status));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if options.trace.is_some() {
        return Ok(Ended::Status(0));
    }
    if line.noise.windows(CAUGHT.len()).any(|window| window == CAUGHT) {
        return Ok(Ended::Timeout);
    }
    let log = folder.log();
    let errors = log.lines().filter(|line| line.contains(">>PANIC<<") || line.contains("FAIL"));
    let errors: Vec<_> = errors.map(str::trim).collect();
    Err(Failure::Tool(format!(
        "Bochs ended without a word from the hypervisor\n{}",
        errors.join("\n")
    )))
}

/// What comes from Bochs' standard output, told apart.
#[derive(Default)]
struct Line {
    decoder: Decoder,
    status: Vec<u8>,
    /// What Bochs itself said.
    noise: Vec<u8>,
}

impl Line {
    /// Passes on what the bytes say; returns the status once it is complete.
    fn take(&mut self, bytes: &[u8], hear: &mut impl FnMut(Channel, &[u8])) -> Option<u8> {
        self.noise.extend_from_slice(bytes);
        let keep = self.noise.len().saturating_sub(4096);
        self.noise.drain(..keep);
        let mut run: Option<(Channel, Vec<u8>)> = None;
        for (channel, byte) in bytes.iter().filter_map(|byte| self.decoder.decode(*byte)) {
            if channel == Channel::Status {
                if byte == b'\n' {
                    if let Some((channel, bytes)) = run.take() {
                        hear(channel, &bytes);
                    }
                    return std::str::from_utf8(&self.status).ok()?.parse().ok();
                }
                self.status.push(byte);
                continue;
            }
            match &mut run {
                Some((current, bytes)) if *current == channel => bytes.push(byte),
                other => {
                    if let Some((channel, bytes)) = other.replace((channel, vec![byte])) {
                        hear(channel, &bytes);
                    }
                }
            }
        }
        if let Some((channel, bytes)) = run {
            hear(channel, &bytes);
        }
        None
    }
}

fn configuration(files: &Files, options: &Options, model: &str) -> String {
    let cpus = options.cpus;
    let mib = files.host_bytes >> 20;
    // One instruction is one tick, and the same run takes the same ticks each time.
    format!(
        "display_library: rfb, options=\"timeout=0\"\n\
         megs: {mib}\n\
         cpu: model={model}, count={cpus}, ips=50000000, reset_on_triple_fault=0\n\
         port_e9_hack: enabled=1\n\
         plugin_ctrl: iodebug=1\n\
         clock: sync=none\n\
         log: bochs.log\n\
         panic: action=fatal\n\
         error: action=report\n\
         info: action=ignore\n\
         debug: action=ignore\n"
    )
}

/// Ctrl-C and its kin end the run, and Bochs with it.
fn catch_signals() -> Result<Arc<AtomicUsize>, Failure> {
    let number = Arc::new(AtomicUsize::new(0));
    for (signal, value) in [
        (signal_hook::consts::SIGHUP, 1),
        (signal_hook::consts::SIGINT, 2),
        (signal_hook::consts::SIGTERM, 15),
    ] {
        signal_hook::flag::register_usize(signal, Arc::clone(&number), value)
            .map_err(|error| Failure::Tool(format!("signals can't be caught: {error}")))?;
    }
    Ok(number)
}

struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder for one run, gone at its end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self, Failure> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("bochs-runs/{}-{number}", std::process::id());
        let path = target_folder().join(name);
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => Err(Failure::File { path, error }),
        }
    }

    /// Returns what Bochs logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.0.join("bochs.log")).unwrap_or_default()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path: &Path = &self.0.join(name);
        fs::write(path, bytes).map_err(|error| Failure::File { path: path.to_owned(), error })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
