//! A guest, from the files that the loader brought to registers and memory.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;

use bare_metal_image::{Config, GuestFiles, Module};
use boot_plan::{BootPlan, Placement};
use elf_boot::{Boot, Image, Module as GuestModule};
use ept::{Ept, EptCaps, FramePool};
use guest_state::{GuestMemory, Hpa, VcpuState, WordMemory};
use machine::{Devices, EfiKernel, LocalApic, LocalApicConfig, Machine, Platform, Start};
use vmx::VmxCaps;

use crate::board::{Board, BoardError, Rom, has_high_ram, low_ram_bytes};
use crate::clock::Clock;
use crate::memory::HostMemory;

/// Tables for pages of 4 KiB where ROM and RAM meet, and of 2 MiB for 3 GiB.
const TABLES: usize = 64;

/// Why a guest can't be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GuestError {
    #[error("no module whose command line is \"kernel\" or \"firmware\"")]
    NothingToStart,
    #[error(transparent)]
    Machine(#[from] machine::Error),
    #[error("host memory")]
    HostMemory(#[from] boot_plan::Error),
    #[error("extended page tables")]
    Ept(#[from] ept::Error),
    #[error("guest memory")]
    Board(#[from] BoardError),
    #[error("a guest has at most 3 GiB here")]
    HighMemory,
}

/// A guest that is ready to run.
pub(crate) struct Guest {
    pub(crate) plan: BootPlan<'static>,
    pub(crate) devices: Devices<'static>,
    pub(crate) board: Board,
    /// Firmware at the reset vector.
    pub(crate) has_firmware: bool,
    pub(crate) sees_xen: bool,
    pub(crate) signature: u32,
    /// Its number, from 1 on, where there are several.
    pub(crate) label: Option<u8>,
}

impl Guest {
    /// Makes the guest that `config` describes out of its files.
    pub(crate) fn new(
        files: &GuestFiles,
        config: &Config<'static>,
        caps: &VmxCaps,
        host: &mut HostMemory,
        clock: &Clock,
        signature: u32,
    ) -> Result<Self, GuestError> {
        let module = |name| files.module(name);
        let start = match (module("kernel"), module("firmware")) {
            (kernel, _) if let Some(code) = module("uefi") => {
                uefi_start(code, module("uefi-variables"), kernel, module("initrd"), config)
            }
            (Some(kernel), _) => kernel_start(kernel, module("initrd"), config),
            (None, Some(firmware)) => {
                let floppy = module("floppy").map(|floppy| floppy.bytes.to_vec());
                match module("hvmloader") {
                    None => Start::Firmware { image: firmware.bytes, floppy },
                    Some(hvmloader) => hvmloader_start(hvmloader, firmware, floppy, config),
                }
            }
            (None, None) => return Err(GuestError::NothingToStart),
        };
        let platform = Platform {
            memory_bytes: config.memory_bytes,
            cpus: 1,
            cpu_signature: signature,
            epoch_seconds: 0,
            disks: Vec::new(),
            start,
        };
        let Machine { plan, devices, has_shadow, has_reset_vector, sees_xen, flash } =
            platform.build()?;
        if has_high_ram(&plan.memory) {
            return Err(GuestError::HighMemory);
        }

        let ram = host.guest_ram(low_ram_bytes(&plan.memory))?;
        let (base, tables) = host.tables(TABLES)?;
        let ept_caps = EptCaps::new(caps.ept_vpid.bits(), caps.widths.physical.into());
        let ept = Ept::new(FramePool::new(base, tables), ept_caps)?;
        let roms: Vec<Rom> =
            plan.roms().map(|rom| place_rom(rom, host)).collect::<Result<_, _>>()?;
        let mut apic = LocalApic::new(LocalApicConfig {
            id: 0,
            is_bsp: true,
            timer_hertz: clock.hertz(),
            tsc_hertz: clock.hertz(),
            physical_bits: u32::from(caps.widths.physical),
            has_x2apic: true,
            can_suppress_eoi: false,
        });
        if !has_reset_vector && !has_shadow {
            // What firmware would have done.
            apic.set_virtual_wire();
        }
        let guest = files.number - 1;
        let board = Board::new(ram, ept, apic, roms, has_shadow, guest, flash)?;
        board.load(&plan, true)?;
        let has_firmware = has_reset_vector;
        Ok(Self { plan, devices, board, has_firmware, sees_xen, signature, label: None })
    }

    /// Returns the registers of its CPU at power-on.
    pub(crate) fn first_state(&self) -> VcpuState {
        self.plan.vcpus.first().copied().unwrap_or(VcpuState::reset(self.signature))
    }
}

fn kernel_start(
    kernel: &Module,
    initrd: Option<&Module>,
    config: &Config<'static>,
) -> Start<'static> {
    let mut boot =
        Boot::new(Image::new(kernel.bytes)).command_line(config.guest_command_line.as_bytes());
    boot.initrd = initrd.map(|initrd| Image::new(initrd.bytes));
    Start::Kernel { boot, protocol: config.protocol }
}

fn uefi_start(
    code: &Module,
    variables: Option<&Module>,
    kernel: Option<&Module>,
    initrd: Option<&Module>,
    config: &Config<'static>,
) -> Start<'static> {
    let kernel = kernel.map(|kernel| EfiKernel {
        kernel: kernel.bytes,
        initrd: initrd.map_or(&[], |initrd| initrd.bytes),
        command_line: config.guest_command_line.as_bytes(),
    });
    let variables = variables.map_or(&[][..], |variables| variables.bytes);
    Start::Uefi { code: code.bytes, variables, kernel }
}

fn hvmloader_start(
    hvmloader: &Module,
    firmware: &Module,
    floppy: Option<Vec<u8>>,
    config: &Config<'static>,
) -> Start<'static> {
    let firmware = GuestModule { image: Image::new(firmware.bytes), command_line: b"firmware" };
    // Guests are made once in the life of the hypervisor.
    let modules = Box::leak(Box::new([firmware]));
    let boot = Boot::new(Image::new(hvmloader.bytes)).modules(modules);
    Start::Hvmloader { boot, floppy, hand_over: config.hand_over }
}

/// Copies a ROM to memory of its own.
fn place_rom(rom: &Placement<'_>, host: &mut HostMemory) -> Result<Rom, GuestError> {
    let range = rom.range().unwrap_or_default();
    let (at, words): (Hpa, &'static [AtomicU64]) = host.guest_ram(range.size_bytes())?;
    let memory = WordMemory::new(range.start(), words);
    if let Some(bytes) = rom.contents.bytes() {
        let error = |source| boot_plan::Error::Write { tag: rom.tag, source };
        memory.write(range.start(), bytes).map_err(error)?;
    }
    Ok(Rom { range, at, memory })
}
