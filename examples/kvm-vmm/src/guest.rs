//! What runs: the files that the options name, and the machine that is built from them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use boot_plan::FileId;
use elf_boot::{Boot, Image, Module, identify as identify_kernel};
use firmware_blobs::{Firmware as Kind, FlashPart, identify};
use machine::{EfiKernel, Machine, Platform, Start};

use crate::disk::Disk;
use crate::failure::Failure;
use crate::files::{self, GuestFile, MappedFiles};
use crate::options::{Firmware, Options};
use crate::program::complain;
use crate::variables::{Template, VariableFile};

/// The word of its command line that the tour prints last.
const NONCE: &str = "hvkit.nonce=";

/// Everything that was read, for a machine to borrow.
#[derive(Debug)]
pub(crate) struct Inputs {
    start: Started,
    /// What keeps the variables of UEFI.
    variables: Option<VariableFile>,
    command_line: String,
}

#[derive(Debug)]
enum Started {
    Tour,
    Kernel(Kernel),
    Bios(Vec<u8>),
    Uefi { code: Vec<u8>, variables: Vec<u8>, kernel: Option<Kernel> },
}

/// A kernel, and what comes with it.
#[derive(Debug)]
struct Kernel {
    kernel: GuestFile,
    initrd: Option<GuestFile>,
}

impl Kernel {
    /// Opens the files that `options` name; `None` if they name no kernel.
    fn open(options: &Options) -> Result<Option<Self>, Failure> {
        let open = |path: &PathBuf| GuestFile::open(path, options.memory_bytes);
        let Some(kernel) = &options.kernel else { return Ok(None) };
        let initrd = options.initrd.as_ref().map(open).transpose()?;
        Ok(Some(Self { kernel: open(kernel)?, initrd }))
    }
}

/// What plans call the files of a kernel.
const KERNEL: FileId = FileId(0);
const INITRD: FileId = FileId(1);

/// A firmware image is never larger than this: the most that flash below 4 GiB can be.
const MOST_FIRMWARE_BYTES: u64 = 16 << 20;

impl Inputs {
    /// Reads the files that `options` name.
    pub(crate) fn read(options: &Options) -> Result<Self, Failure> {
        let mut variables = None;
        let start = match &options.firmware {
            Some(Firmware::SeaBios) => Started::Bios(read_firmware(&files::seabios()?)?),
            Some(Firmware::Ovmf) => {
                let (code, template) = files::ovmf()?;
                let template =
                    template.map(|path| Ok((read_firmware(&path)?, path))).transpose()?;
                uefi(read_firmware(&code)?, &code, template, options, &mut variables)?
            }
            Some(Firmware::File(path)) => firmware(path, options, &mut variables)?,
            None => Kernel::open(options)?.map_or(Started::Tour, Started::Kernel),
        };
        let mut command_line = options.cmdline.clone();
        let has_nonce = command_line.split_ascii_whitespace().any(|word| word.starts_with(NONCE));
        if matches!(start, Started::Tour | Started::Bios(_)) && !has_nonce {
            // The tour prints what it was given: a value of this run shows that this run printed it.
            let nonce = RandomState::new().build_hasher().finish();
            let space = if command_line.is_empty() { "" } else { " " };
            command_line = format!("{command_line}{space}{NONCE}{nonce:016x}");
        }
        Ok(Self { start, variables, command_line })
    }

    /// Takes the file that keeps the variables of UEFI, if they are kept.
    pub(crate) const fn take_variable_file(&mut self) -> Option<VariableFile> {
        self.variables.take()
    }

    /// Returns what an hvmloader needs besides itself, for [`machine`](Self::machine).
    pub(crate) fn modules(&self) -> [Module<'_>; 1] {
        let firmware = match &self.start {
            Started::Bios(image) => image.as_slice(),
            Started::Tour | Started::Kernel(_) | Started::Uefi { .. } => &[],
        };
        [Module { image: Image::new(firmware), command_line: b"firmware" }]
    }

    /// Builds the machine whose CPUs have `cpu_signature` as CPUID leaf 1, EAX.
    pub(crate) fn machine<'a>(
        &'a self,
        options: &Options,
        cpu_signature: u32,
        modules: &'a [Module<'a>],
        disks: &[Disk],
    ) -> Result<Machine<'a>, Failure> {
        let start = match &self.start {
            Started::Tour => self.kernel(Image::new(guest_images::TOUR), None, options),
            Started::Kernel(Kernel { kernel, initrd }) => {
                let initrd = initrd.as_ref().map(|file| file.image(INITRD));
                self.kernel(kernel.image(KERNEL), initrd, options)
            }
            Started::Uefi { code, variables, kernel } => Start::Uefi {
                code,
                variables,
                kernel: kernel.as_ref().map(|Kernel { kernel, initrd }| EfiKernel {
                    kernel: kernel.bytes(),
                    initrd: initrd.as_ref().map_or(&[], GuestFile::bytes),
                    command_line: self.command_line.as_bytes(),
                }),
            },
            Started::Bios(image) => {
                // What is on the disks is to start, not the tour.
                let tour = disks.is_empty().then(|| guest_images::tour_floppy(&self.command_line));
                let floppy =
                    tour.transpose().map_err(|error| Failure::image("tour floppy", &error))?;
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
        let disks = disks.iter().map(Disk::config).collect();
        let platform = Platform { memory_bytes, cpus, cpu_signature, epoch_seconds, disks, start };
        let machine = platform.build();
        #[cfg(feature = "fault-injection")]
        let machine = machine.map(|machine| crate::fault::inject(machine, &self.command_line));
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

    /// Says in a few words what starts, and how.
    pub(crate) fn title(&self, options: &Options) -> String {
        let by = |kernel: &[u8]| {
            let best = || identify_kernel(kernel).ways.first().map(|way| way.protocol);
            let protocol = options.protocol.or_else(best);
            protocol.map_or_else(String::new, |protocol| format!(", started by {protocol}"))
        };
        let of = |path: &Option<PathBuf>| {
            path.as_ref().map_or_else(String::new, |path| path.display().to_string())
        };
        let firmware = match &options.firmware {
            Some(Firmware::SeaBios) => "SeaBIOS".to_owned(),
            Some(Firmware::Ovmf) => "OVMF".to_owned(),
            Some(Firmware::File(path)) => path.display().to_string(),
            None => String::new(),
        };
        match &self.start {
            Started::Tour => format!("the tour guest{}", by(guest_images::TOUR)),
            Started::Kernel(kernel) => {
                format!("{}{}", of(&options.kernel), by(kernel.kernel.bytes()))
            }
            Started::Bios(_) if options.via_hvmloader.is_some() => {
                format!("{firmware}, by way of an hvmloader{}", by(guest_images::HVMLOADER))
            }
            Started::Bios(_) | Started::Uefi { kernel: None, .. } => {
                format!("{firmware}, from the reset vector")
            }
            Started::Uefi { kernel: Some(_), .. } => {
                format!("{firmware}, from the reset vector, to start {}", of(&options.kernel))
            }
        }
    }

    /// Returns the files that are mapped, and so may be in guest memory.
    pub(crate) fn mapped_files(&self) -> MappedFiles<'_> {
        let kernel = match &self.start {
            Started::Kernel(kernel) => Some(kernel),
            Started::Uefi { kernel, .. } => kernel.as_ref(),
            Started::Tour | Started::Bios(_) => None,
        };
        let Some(Kernel { kernel, initrd }) = kernel else { return MappedFiles::default() };
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
            (Started::Kernel(_), _, Some(kernel)) => kernel,
            (Started::Bios(_) | Started::Uefi { .. }, Some(Firmware::File(firmware)), _)
                if options.via_hvmloader.is_none() =>
            {
                firmware
            }
            _ => return "guest".to_owned(),
        };
        path.display().to_string()
    }
}

fn read_firmware(path: &Path) -> Result<Vec<u8>, Failure> {
    files::read(path, MOST_FIRMWARE_BYTES)
}

/// Reads firmware, and finds out what it is. What is known to be something that can't be started is
/// refused; what nobody knows may be a BIOS.
fn firmware(
    path: &Path,
    options: &Options,
    variables: &mut Option<VariableFile>,
) -> Result<Started, Failure> {
    let image = read_firmware(path)?;
    let at = path.display();
    let is_uefi = match identify(&image) {
        Ok(Kind::Bios(_) | Kind::Qboot) | Err(_) => false,
        Ok(Kind::Ovmf(flash)) if flash.part != FlashPart::Variables => true,
        Ok(other) => {
            let refused = format!("{at}: {other}; --firmware takes a BIOS or OVMF's code");
            return Err(Failure::Image(refused));
        }
    };
    if is_uefi && options.via_hvmloader.is_some() {
        return Err(Failure::Usage(format!("--via-hvmloader starts a BIOS; {at} is OVMF")));
    }
    if is_uefi {
        return uefi(image, path, None, options, variables);
    }
    if options.firmware_vars.is_some() {
        return Err(Failure::Usage(format!("--firmware-vars: {at} is a BIOS, which has none")));
    }
    if options.kernel.is_some() {
        return Err(Failure::Usage(format!("--kernel: {at} is a BIOS, which starts no kernel")));
    }
    Ok(Started::Bios(image))
}

/// Starts OVMF from `image`, with variables from the file that the options name, or else as they are
/// in the template: that which is given, with its path, or the one that is part of the image.
fn uefi(
    mut image: Vec<u8>,
    path: &Path,
    template: Option<(Vec<u8>, PathBuf)>,
    options: &Options,
    keeper: &mut Option<VariableFile>,
) -> Result<Started, Failure> {
    let own = match identify(&image) {
        Ok(Kind::Ovmf(flash)) => match flash.part {
            FlashPart::Both { variables_bytes } => Some(variables_bytes),
            FlashPart::Code | FlashPart::Variables => None,
        },
        _ => None,
    };
    let own = own.map(|size| {
        let code = image.split_off(size.min(image.len()));
        (std::mem::replace(&mut image, code), path.to_owned())
    });
    let template = match own.or(template) {
        Some((bytes, path)) => Template::Bytes(bytes, path),
        None => Template::for_code(&image),
    };
    let variables = match &options.firmware_vars {
        None => template.into_bytes(),
        Some(path) if options.dry_run.is_some() => VariableFile::peek(path, &template)?,
        Some(path) => {
            let (file, bytes, is_new) = VariableFile::open(path, &template)?;
            if let (true, Template::Bytes(_, source)) = (is_new, &template) {
                complain(&format!("{}: made from {}", path.display(), source.display()));
            }
            *keeper = Some(file);
            bytes
        }
    };
    Ok(Started::Uefi { code: image, variables, kernel: Kernel::open(options)? })
}
