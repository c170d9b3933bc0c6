//! What the hypervisor finds in memory at its first instruction.
//!
//! The hypervisor is a kernel like any other: `elf-boot` plans its start by PVH, with the guests'
//! files as modules, and `acpi-builder` makes the tables that list the processors.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use acpi_builder::{Dsdt, Fadt, FixedHardware, Madt, Processors, TableSet};
use bare_metal_image::module_name;
use boot_plan::{Layout, MemoryMap, Placement, Request};
use elf_boot::{Boot, Image, Module, Protocol, plan_boot};
use firmware_blobs::{Firmware, FlashPart, identify};
use guest_state::{Gpa, MemoryKind};
use machine::HandOver;

use crate::failure::Failure;
use crate::guest_options::GuestOptions;
use crate::options::Options;

/// Where what is loaded begins.
pub(crate) const LOAD_START: u32 = 0x10_0000;
/// Room for what the planner makes itself: start info, command lines, tables.
const SLACK_BYTES: u64 = 1 << 20;
/// The hypervisor's code, heap and stacks end below.
const IMAGE_BYTES: u64 = 16 << 20;
/// The word of its command line that the tour prints last.
const NONCE: &str = "hvkit.nonce=";

/// Memory from [`LOAD_START`] on, and how to enter it.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// The bytes.
    pub(crate) memory: Vec<u8>,
    /// The hypervisor's 32-bit entry.
    pub(crate) entry: u32,
    /// What EBX has to hold there.
    pub(crate) start_info: u32,
    /// Where the bytes end.
    pub(crate) load_end: u32,
}

/// What the hypervisor is started with, whoever starts it.
#[derive(Debug)]
pub(crate) struct Files {
    /// The guests' files, by the names that the hypervisor knows them by.
    pub(crate) modules: Vec<(String, Vec<u8>)>,
    /// The hypervisor's command line.
    pub(crate) own_line: String,
    /// The host's RAM in bytes.
    pub(crate) host_bytes: u64,
}

impl Files {
    /// Reads the guests' files.
    pub(crate) fn read(options: &Options) -> Result<Self, Failure> {
        let mut own_line = String::new();
        let mut named = Vec::new();
        for (guest, number) in options.guests.iter().zip(1_u8..) {
            let command_line = guest_command_line(guest);
            let line = options_line(options, guest, &command_line);
            let mut files = modules(guest, &command_line)?;
            if number == 1 {
                own_line = line;
            } else {
                files.push(("options", line.into_bytes()));
            }
            named.extend(files.into_iter().map(|(name, bytes)| (module_name(name, number), bytes)));
        }
        let files = Self { modules: named, own_line, host_bytes: 0 };
        let memory_bytes: u64 = options.guests.iter().map(|guest| guest.memory_bytes).sum();
        let needed = memory_bytes + files.page_bytes() + (256 << 20);
        let host_bytes = options.host_memory_bytes.unwrap_or(needed).next_multiple_of(64 << 20);
        Ok(Self { host_bytes, ..files })
    }

    /// Returns how many bytes the files take, each on pages of its own.
    fn page_bytes(&self) -> u64 {
        self.modules.iter().map(|(_, bytes)| (bytes.len() as u64).next_multiple_of(0x1000)).sum()
    }
}

impl Bundle {
    /// Places everything.
    pub(crate) fn new(
        hypervisor: &[u8],
        files: &Files,
        options: &Options,
    ) -> Result<Self, Failure> {
        let modules: Vec<Module<'_>> = files
            .modules
            .iter()
            .map(|(name, bytes)| Module { image: Image::new(bytes), command_line: name.as_bytes() })
            .collect();
        let load_end = u64::from(LOAD_START) + IMAGE_BYTES + SLACK_BYTES + files.page_bytes();
        let map = MemoryMap::pc(files.host_bytes).map_err(|error| Failure::image(&error))?;
        let placed = place(hypervisor, &modules, &files.own_line, options.cpus, &map, load_end)?;

        let mut memory = Vec::new();
        for placement in &placed.placements {
            let Some(bytes) = placement.contents.bytes() else { continue };
            let offset = placement.gpa.as_u64().checked_sub(LOAD_START.into());
            let start = offset.and_then(|offset| usize::try_from(offset).ok());
            let start = start.ok_or_else(|| {
                Failure::Image(format!("{} is below what is loaded", placement.tag))
            })?;
            let end = start + bytes.len();
            memory.resize(memory.len().max(end), 0);
            memory[start..end].copy_from_slice(bytes);
        }
        let end = u64::from(LOAD_START) + memory.len() as u64;
        let load_end = u32::try_from(end).map_err(|error| Failure::image(&error))?;
        Ok(Self { memory, load_end, entry: placed.entry, start_info: placed.start_info })
    }
}

struct Placed<'a> {
    placements: Vec<Placement<'a>>,
    entry: u32,
    start_info: u32,
}

fn place<'a>(
    hypervisor: &'a [u8],
    modules: &'a [Module<'a>],
    command_line: &'a str,
    cpus: u32,
    map: &MemoryMap,
    load_end: u64,
) -> Result<Placed<'a>, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::image(error);
    // What is loaded is one block, so that it is one file for Bochs.
    let mut loaded = MemoryMap::new();
    loaded
        .insert_size(Gpa::new(LOAD_START.into()), load_end - u64::from(LOAD_START), MemoryKind::RAM)
        .map_err(|error| failed(&error))?;
    let mut layout = Layout::new(&loaded);

    let tables = tables(cpus).map_err(|error| failed(&error))?;
    let room =
        layout.place("acpi tables", Request::pages(0x4000)).map_err(|error| failed(&error))?;
    let rsdp = layout
        .place("acpi root pointer", Request::pages(0x1000))
        .map_err(|error| failed(&error))?
        .start();
    let acpi = tables.at(room.start()).map_err(|error| failed(&error))?;

    let boot = Boot::new(Image::new(hypervisor))
        .modules(modules)
        .command_line(command_line.as_bytes())
        .rsdp(rsdp);
    let start =
        plan_boot(&boot, Some(Protocol::Pvh), map, &mut layout).map_err(|error| failed(&error))?;
    let mut placements = start.placements;
    placements.push(Placement::bytes("acpi tables", room.start(), acpi.tables));
    placements.push(Placement::bytes("acpi root pointer", rsdp, acpi.rsdp));
    let word = |value: u64| u32::try_from(value).map_err(|error| failed(&error));
    let (entry, start_info) = (word(start.vcpu.rip)?, word(start.vcpu.general.rbx)?);
    Ok(Placed { placements, entry, start_info })
}

/// The host's tables: nothing but its processors matters.
fn tables(cpus: u32) -> Result<TableSet, acpi_builder::Error> {
    let processors = Processors::sequential(cpus)?;
    let dsdt = Dsdt::new(&processors);
    let fadt = Fadt::fixed_hardware(FixedHardware::piix4(0xB000), dsdt.boot_arch());
    TableSet::builder(fadt, dsdt.build()?).table(Madt::pc(&processors).build()?).build()
}

/// Reads the files of one guest.
fn modules(
    guest: &GuestOptions,
    command_line: &str,
) -> Result<Vec<(&'static str, Vec<u8>)>, Failure> {
    let mut files = Vec::new();
    match (&guest.firmware, &guest.kernel) {
        (Some(firmware), kernel) if let Some(variables_bytes) = uefi(firmware)? => {
            if guest.via_hvmloader.is_some() {
                let text = format!("an hvmloader starts a BIOS; {} is OVMF", firmware.display());
                return Err(Failure::Usage(text));
            }
            let mut variables = read(firmware)?;
            let code = variables.split_off(variables_bytes.min(variables.len()));
            files.push(("uefi", code));
            // Of an image of both: the guest has these in flash, until it ends.
            if !variables.is_empty() {
                files.push(("uefi-variables", variables));
            }
            if let Some(kernel) = kernel {
                files.push(("kernel", read(kernel)?));
            }
        }
        (Some(firmware), Some(_)) => {
            let text = format!("{} is a BIOS, which starts no kernel", firmware.display());
            return Err(Failure::Usage(text));
        }
        (Some(firmware), None) => {
            files.push(("firmware", read(firmware)?));
            if guest.via_hvmloader.is_some() {
                files.push(("hvmloader", guest_images::HVMLOADER.to_vec()));
            }
            let floppy =
                guest_images::tour_floppy(command_line).map_err(|error| Failure::image(&error))?;
            files.push(("floppy", floppy));
        }
        (None, Some(kernel)) => files.push(("kernel", read(kernel)?)),
        (None, None) => files.push(("kernel", guest_images::TOUR.to_vec())),
    }
    if let Some(initrd) = &guest.initrd {
        files.push(("initrd", read(initrd)?));
    }
    Ok(files)
}

/// Tells whether a file is OVMF with its code, and how long the variables are that come before it.
/// What nobody knows may be a BIOS.
fn uefi(firmware: &Path) -> Result<Option<usize>, Failure> {
    let image = read(firmware)?;
    Ok(match identify(&image) {
        Ok(Firmware::Ovmf(flash)) => match flash.part {
            FlashPart::Both { variables_bytes } => Some(variables_bytes),
            FlashPart::Code => Some(0),
            FlashPart::Variables => None,
        },
        _ => None,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::File { path: path.to_owned(), error })
}

fn guest_command_line(guest: &GuestOptions) -> String {
    let mut line = guest.cmdline.clone();
    let has_nonce = line.split_ascii_whitespace().any(|word| word.starts_with(NONCE));
    if guest.kernel.is_none() && !has_nonce {
        let nonce = RandomState::new().build_hasher().finish();
        let space = if line.is_empty() { "" } else { " " };
        line = format!("{line}{space}{NONCE}{nonce:016x}");
    }
    line
}

/// What the hypervisor is to know of a guest, ending with its command line.
fn options_line(options: &Options, guest: &GuestOptions, command_line: &str) -> String {
    let mut line = format!("memory={}", guest.memory_bytes);
    if let Some(protocol) = guest.protocol {
        line += &format!(" protocol={protocol}");
    }
    match guest.via_hvmloader {
        Some(HandOver::Xen) => line += " hand-over=xen",
        Some(HandOver::FwCfg) => line += " hand-over=fw-cfg",
        None => {}
    }
    if options.exit_on_reset {
        line += " on-reset=exit";
    }
    if options.stats {
        line += " stats";
    }
    if let Some(text) = &options.set {
        line += &format!(" set={text}");
    }
    line + " -- " + command_line
}
