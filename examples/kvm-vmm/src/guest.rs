//! What runs: the files that the options name, and the machine that is built from them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use boot_plan::FileId;
use elf_boot::{Boot, Image, Module};
use firmware_blobs::{Firmware as Kind, identify};
use machine::{Machine, Platform, Start};

use crate::failure::Failure;
use crate::files::{self, GuestFile, MappedFiles};
use crate::options::{Firmware, Options};

/// The word of its command line that the tour prints last.
const NONCE: &str = "hvkit.nonce=";

/// Everything that was read, for a machine to borrow.
#[derive(Debug)]
pub(crate) struct Inputs {
    start: Started,
    command_line: String,
}

#[derive(Debug)]
enum Started {
    Tour,
    Kernel { kernel: GuestFile, initrd: Option<GuestFile> },
    Firmware(Vec<u8>),
}

/// What plans call the files of a kernel.
const KERNEL: FileId = FileId(0);
const INITRD: FileId = FileId(1);

/// A firmware image is never larger than this: the most that flash below 4 GiB can be.
const MOST_FIRMWARE_BYTES: u64 = 16 << 20;

impl Inputs {
    /// Reads the files that `options` name.
    pub(crate) fn read(options: &Options) -> Result<Self, Failure> {
        let most = options.memory_bytes;
        let start = match (&options.kernel, &options.firmware) {
            (_, Some(Firmware::SeaBios)) => Started::Firmware(firmware(&files::seabios()?)?),
            (_, Some(Firmware::File(path))) => Started::Firmware(firmware(path)?),
            (Some(kernel), None) => Started::Kernel {
                kernel: GuestFile::open(kernel, most)?,
                initrd: options
                    .initrd
                    .as_ref()
                    .map(|path| GuestFile::open(path, most))
                    .transpose()?,
            },
            (None, None) => Started::Tour,
        };
        let mut command_line = options.cmdline.clone();
        let has_nonce = command_line.split_ascii_whitespace().any(|word| word.starts_with(NONCE));
        if !matches!(start, Started::Kernel { .. }) && !has_nonce {
            // The tour prints what it was given: a value of this run shows that this run printed it.
            let nonce = RandomState::new().build_hasher().finish();
            let space = if command_line.is_empty() { "" } else { " " };
            command_line = format!("{command_line}{space}{NONCE}{nonce:016x}");
        }
        Ok(Self { start, command_line })
    }

    /// Returns what an hvmloader needs besides itself, for [`machine`](Self::machine).
    pub(crate) fn modules(&self) -> [Module<'_>; 1] {
        let firmware = match &self.start {
            Started::Firmware(image) => image.as_slice(),
            Started::Tour | Started::Kernel { .. } => &[],
        };
        [Module { image: Image::new(firmware), command_line: b"firmware" }]
    }

    /// Builds the machine whose CPUs have `cpu_signature` as CPUID leaf 1, EAX.
    pub(crate) fn machine<'a>(
        &'a self,
        options: &Options,
        cpu_signature: u32,
        modules: &'a [Module<'a>],
    ) -> Result<Machine<'a>, Failure> {
        let start = match &self.start {
            Started::Tour => self.kernel(Image::new(guest_images::TOUR), None, options),
            Started::Kernel { kernel, initrd } => {
                let initrd = initrd.as_ref().map(|file| file.image(INITRD));
                self.kernel(kernel.image(KERNEL), initrd, options)
            }
            Started::Firmware(image) => {
                let floppy = guest_images::tour_floppy(&self.command_line)
                    .map_err(|error| Failure::image("tour floppy", &error))?;
                let floppy = Some(floppy);
                match options.via_hvmloader {
                    None => Start::Firmware { image, floppy },
                    Some(hand_over) => {
                        let hvmloader = Image::new(guest_images::HVMLOADER);
                        let boot = Boot::new(hvmloader).modules(modules);
                        Start::Hvmloader { boot, floppy, hand_over }
                    }
                }
            }
        };
        let epoch_seconds =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (memory_bytes, cpus) = (options.memory_bytes, options.cpus);
        let platform = Platform { memory_bytes, cpus, cpu_signature, epoch_seconds, start };
        let machine = platform.build();
        #[cfg(feature = "fault-injection")]
        let machine = machine.map(|machine| fault::inject(machine, &self.command_line));
        machine.map_err(|error| Failure::image(&self.name(options), &error))
    }

    fn kernel<'a>(
        &'a self,
        kernel: Image<'a>,
        initrd: Option<Image<'a>>,
        options: &Options,
    ) -> Start<'a> {
        let mut boot = Boot::new(kernel).command_line(self.command_line.as_bytes());
        boot.initrd = initrd;
        Start::Kernel { boot, protocol: options.protocol }
    }

    /// Returns the files that are mapped, and so may be in guest memory.
    pub(crate) fn mapped_files(&self) -> MappedFiles<'_> {
        let Started::Kernel { kernel, initrd } = &self.start else { return MappedFiles::default() };
        let files = [(KERNEL, Some(kernel)), (INITRD, initrd.as_ref())];
        let mapped = files.into_iter().filter_map(|(id, file)| match file {
            Some(GuestFile::Mapped(file)) => Some((id, file)),
            _ => None,
        });
        MappedFiles(mapped.collect())
    }

    /// What an error about the machine is about, as far as it is one file.
    fn name(&self, options: &Options) -> String {
        let path = match (&self.start, &options.firmware, &options.kernel) {
            (Started::Kernel { .. }, _, Some(kernel)) => kernel,
            (Started::Firmware(_), Some(Firmware::File(firmware)), _)
                if options.via_hvmloader.is_none() =>
            {
                firmware
            }
            _ => return "guest".to_owned(),
        };
        path.display().to_string()
    }
}

/// Reads a BIOS. What is known to be something else is refused; what nobody knows may be one.
fn firmware(path: &Path) -> Result<Vec<u8>, Failure> {
    let image = files::read(path, MOST_FIRMWARE_BYTES)?;
    match identify(&image) {
        Ok(Kind::Bios(_) | Kind::Qboot) | Err(_) => Ok(image),
        Ok(other) => {
            let path = path.display();
            Err(Failure::Image(format!("{path}: {other}; --firmware takes a BIOS alone")))
        }
    }
}

/// Faults that a guest's command line asks for, so that tests see what becomes of them.
#[cfg(feature = "fault-injection")]
mod fault {
    use boot_plan::Contents;
    use machine::Machine;

    const DSDT: &str = "kvm-vmm.fault=dsdt";

    /// Turns the last byte of the DSDT over, where the command line says so.
    pub(super) fn inject<'m>(mut machine: Machine<'m>, command_line: &str) -> Machine<'m> {
        if command_line.split_ascii_whitespace().any(|word| word == DSDT) {
            for placement in &mut machine.plan.placements {
                if let Contents::Owned(bytes) = &mut placement.contents {
                    break_dsdt(bytes);
                }
            }
        }
        machine
    }

    fn break_dsdt(bytes: &mut [u8]) {
        let Some(start) = bytes.windows(4).position(|bytes| bytes == b"DSDT") else { return };
        let length = bytes[start + 4..].first_chunk().copied().map(u32::from_le_bytes);
        let last = length.and_then(|length| (start + usize::try_from(length).ok()?).checked_sub(1));
        if let Some(byte) = last.and_then(|last| bytes.get_mut(last)) {
            *byte = !*byte;
        }
    }
}
