//! One description of a machine, and all that follows from it.

use alloc::vec;
use alloc::vec::Vec;

use boot_plan::{BootPlan, Layout, MemoryMap, Placement, Request};
use elf_boot::{Boot, Protocol, plan_boot};
use guest_state::{Gpa, GpaRange, MemoryKind, VcpuState};
use hvmloader_core::{Bios, OvmfFlash, cmos_registers};
use virtio::BlkConfig;

use crate::firmware::FirmwareBoot;
use crate::{Devices, Error, Tables, firmware, slots};

/// Where the RSDP stands for guests that are started directly: the first place that a scan finds.
const RSDP: Gpa = Gpa::new(0xF_0000);
/// Where the SMBIOS entry points stand then, as a scan finds them.
const SMBIOS_64: Gpa = Gpa::new(0xF_0040);
const SMBIOS_32: Gpa = Gpa::new(0xF_0060);

/// The CMOS register with the number of CPUs less one.
const CMOS_OTHER_CPUS: u8 = 0x5F;

/// Where a BIOS keeps what it found.
const BIOS_DATA: Gpa = Gpa::new(0x400);

/// A machine, described once.
#[derive(Clone, Debug)]
pub struct Platform<'a> {
    /// RAM in bytes, as for [`MemoryMap::pc`].
    pub memory_bytes: u64,
    /// Virtual CPUs.
    pub cpus: u32,
    /// CPUID leaf 1, EAX, as the guest will read it: a reset leaves it in EDX.
    pub cpu_signature: u32,
    /// What the clock shows at power-on, in seconds since the Unix epoch.
    pub epoch_seconds: u64,
    /// Disks, in the order in which the guest finds them on its PCI bus, from device 2 on.
    pub disks: Vec<BlkConfig>,
    /// What the guest starts with.
    pub start: Start<'a>,
}

/// What a guest starts with.
#[derive(Clone, Debug)]
pub enum Start<'a> {
    /// A kernel, at its own entry point.
    Kernel {
        /// The kernel and what comes with it. The RSDP is filled in.
        boot: Boot<'a>,
        /// How to start it; `None` for the best way.
        protocol: Option<Protocol>,
    },
    /// Firmware, at the reset vector.
    Firmware {
        /// The image.
        image: &'a [u8],
        /// A floppy that the firmware finds in its configuration and may boot.
        floppy: Option<Vec<u8>>,
    },
    /// UEFI firmware in flash, at the reset vector: OVMF.
    Uefi {
        /// The code, or variables and code in one image.
        code: &'a [u8],
        /// The variables as they are at first, or nothing: then the firmware has no flash and keeps
        /// variables in RAM.
        variables: &'a [u8],
        /// A kernel that the firmware finds in its configuration and starts as an EFI application.
        kernel: Option<EfiKernel<'a>>,
    },
    /// An hvmloader, which puts firmware in its place and jumps to it.
    Hvmloader {
        /// The hvmloader, to be started by PVH, with the firmware as its module `firmware`.
        boot: Boot<'a>,
        /// A floppy that the firmware finds in its configuration and may boot.
        floppy: Option<Vec<u8>>,
        /// From whom the firmware is to have its tables.
        hand_over: HandOver,
    },
}

/// A kernel for UEFI firmware to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EfiKernel<'a> {
    /// The file, an EFI application: a bzImage with an EFI stub is one.
    pub kernel: &'a [u8],
    /// The initial RAM disk, or nothing.
    pub initrd: &'a [u8],
    /// The command line, without a zero byte.
    pub command_line: &'a [u8],
}

/// How firmware that an hvmloader starts comes by tables and memory map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HandOver {
    /// As on Xen: the guest sees [`Xen`](crate::Xen), and its hvmloader brings them.
    #[default]
    Xen,
    /// From the configuration device, as without an hvmloader.
    FwCfg,
}

/// A machine that is ready to run.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    /// What the guest finds at its first instruction.
    pub plan: BootPlan<'a>,
    /// The devices.
    pub devices: Devices<'a>,
    /// Whether parts of the first MiB can change between ROM and RAM, as [`Backend::remap`] says.
    /// If so they begin as ROM, else as RAM.
    ///
    /// [`Backend::remap`]: crate::Backend::remap
    pub has_shadow: bool,
    /// Whether a reset leads back to firmware at the reset vector. If not, only a start from nothing
    /// leads anywhere.
    pub has_reset_vector: bool,
    /// Whether the guest is to see [`Xen`](crate::Xen): its leaves of CPUID, its MSR.
    pub sees_xen: bool,
    /// Where flash is that the guest can write to, if it has some: one of the plan's ROMs. It begins
    /// as [`Backing::Rom`], also after [`Devices::reset`], and changes as [`Backend::remap`] says.
    /// What the guest writes to it outlives each reset, and should outlive the guest.
    ///
    /// [`Backing::Rom`]: crate::Backing::Rom
    /// [`Backend::remap`]: crate::Backend::remap
    pub flash: Option<GpaRange>,
}

impl<'a> Platform<'a> {
    /// Builds memory map, tables, devices and boot plan, and checks that they fit together.
    ///
    /// # Errors
    /// What is wrong with the memory size, the kernel, the firmware or the number of CPUs.
    pub fn build(self) -> Result<Machine<'a>, Error> {
        let memory = MemoryMap::pc(self.memory_bytes)?;
        let disks = self.disks.len();
        if disks > usize::from(slots::MOST) {
            return Err(Error::TooManyDisks { count: disks, most: usize::from(slots::MOST) });
        }
        let tables = Tables::with_disks(self.cpus, &memory, disks)?;
        // Whatever is firmware sets up the PCI bus.
        let is_assigned = matches!(self.start, Start::Kernel { .. });
        let mut cmos = cmos_registers(&memory, self.cpus).to_vec();
        if matches!(self.start, Start::Hvmloader { .. }) {
            // How much memory there is an hvmloader tells; how many CPUs it has to be told.
            cmos.retain(|(index, _)| *index == CMOS_OTHER_CPUS);
        }
        let signature = self.cpu_signature;
        let mut machine = match self.start {
            Start::Kernel { boot, protocol } => Machine {
                plan: plan_kernel(boot, protocol, memory, &tables)?,
                devices: Devices::new(self.epoch_seconds, None),
                has_shadow: false,
                has_reset_vector: false,
                sees_xen: false,
                flash: None,
            },
            Start::Firmware { image, floppy } => {
                let bios = Bios::new(image)?;
                let boot = floppy.map_or(FirmwareBoot::Nothing, FirmwareBoot::Floppy);
                let fw_cfg = firmware::build_fw_cfg(&memory, self.cpus, &tables, boot)?;
                let mut plan = BootPlan::new(memory);
                plan.placements.extend(bios.placements());
                plan.vcpus.push(bios.reset_state(signature));
                let devices = Devices::new(self.epoch_seconds, Some(fw_cfg));
                Machine {
                    plan,
                    devices,
                    has_shadow: true,
                    has_reset_vector: true,
                    sees_xen: false,
                    flash: None,
                }
            }
            Start::Uefi { code, variables, kernel } => {
                let flash = OvmfFlash::new(code, variables)?;
                let boot = kernel.map_or(FirmwareBoot::Nothing, FirmwareBoot::Kernel);
                let fw_cfg = firmware::build_fw_cfg(&memory, self.cpus, &tables, boot)?;
                let mut plan = BootPlan::new(memory);
                plan.placements.extend(flash.placements());
                plan.vcpus.push(flash.reset_state(signature));
                let devices = Devices::new(self.epoch_seconds, Some(fw_cfg));
                let flash = flash.variables();
                Machine {
                    plan,
                    devices: devices.with_power_management_function().with_flash(flash)?,
                    has_shadow: false,
                    has_reset_vector: true,
                    sees_xen: false,
                    flash,
                }
            }
            Start::Hvmloader { boot, floppy, hand_over } => {
                let epoch = self.epoch_seconds;
                let devices = match hand_over {
                    HandOver::Xen => {
                        let fw_cfg = firmware::build_bare_fw_cfg(self.cpus, floppy)?;
                        Devices::new(epoch, Some(fw_cfg)).with_xen()
                    }
                    HandOver::FwCfg => {
                        let boot = floppy.map_or(FirmwareBoot::Nothing, FirmwareBoot::Floppy);
                        let fw_cfg = firmware::build_fw_cfg(&memory, self.cpus, &tables, boot)?;
                        Devices::new(epoch, Some(fw_cfg))
                    }
                };
                let start =
                    plan_boot(&boot, Some(Protocol::Pvh), &memory, &mut Layout::new(&memory))?;
                let mut plan = BootPlan::new(memory);
                plan.placements = start.placements;
                plan.placements.iter_mut().for_each(name_hvmloader);
                plan.vcpus.push(start.vcpu);
                Machine {
                    plan,
                    devices,
                    has_shadow: true,
                    has_reset_vector: false,
                    sees_xen: hand_over == HandOver::Xen,
                    flash: None,
                }
            }
        };
        if disks > 0 {
            machine.devices = machine.devices.with_disks(&self.disks, is_assigned);
        }
        let others = self.cpus.saturating_sub(1);
        let other = VcpuState::reset_application_processor(signature);
        machine.plan.vcpus.extend((0..others).map(|_| other));
        machine.plan.check()?;
        for (index, value) in cmos {
            machine.devices.rtc().set_cmos(index, value);
        }
        Ok(machine)
    }
}

/// Plans the direct start of a kernel, with the tables in memory.
fn plan_kernel<'a>(
    boot: Boot<'a>,
    protocol: Option<Protocol>,
    mut memory: MemoryMap,
    tables: &Tables,
) -> Result<BootPlan<'a>, Error> {
    let mut layout = Layout::new(&memory);
    let Tables { acpi, smbios } = tables;
    let acpi_bytes = (acpi.tables().bytes().len() as u64).next_multiple_of(16);
    let size_bytes = (acpi_bytes + smbios.table().len() as u64).next_multiple_of(0x1000);
    let room = layout.place("acpi and smbios tables", Request::pages(size_bytes).highest())?;
    // The FACS among them must survive sleep, so all of them are NVS.
    memory.set(room, MemoryKind::NVS)?;
    let placed = acpi.at(room.start())?;
    let smbios_table = room.start().checked_add(acpi_bytes).unwrap_or(room.end());
    let smbios = smbios.at(smbios_table)?;

    let mut boot = boot.rsdp(RSDP);
    boot.rsdp_copy = placed.rsdp.as_slice().try_into().ok();
    let start = plan_boot(&boot, protocol, &memory, &mut layout)?;
    let mut plan = BootPlan::new(memory);
    plan.placements = start.placements;
    plan.placements.push(Placement::bytes("acpi root pointer", RSDP, placed.rsdp));
    plan.placements.push(Placement::bytes("acpi tables", room.start(), placed.tables));
    let entry_points = [
        ("smbios 64-bit entry point", SMBIOS_64, smbios.entry_point_64),
        ("smbios 32-bit entry point", SMBIOS_32, smbios.entry_point_32),
    ];
    for (name, at, bytes) in entry_points {
        plan.placements.extend(bytes.map(|bytes| Placement::bytes(name, at, bytes)));
    }
    plan.placements.push(Placement::bytes("smbios table", smbios_table, smbios.table));
    let bios_data = bios_data(&plan.memory);
    let range = GpaRange::new(BIOS_DATA, bios_data.len() as u64).unwrap_or_default();
    // A kernel that lies there has no use for it.
    if layout.claim("bios data area", range).is_ok() {
        plan.placements.push(Placement::bytes("bios data area", BIOS_DATA, bios_data));
    }
    plan.vcpus.push(start.vcpu);
    Ok(plan)
}

/// Calls a placement by what it is, where to `elf-boot` it is a kernel with a module.
fn name_hvmloader(placement: &mut Placement<'_>) {
    placement.tag = match placement.tag {
        "kernel" => "hvmloader",
        "kernel bss" => "hvmloader bss",
        "module" => "firmware, for hvmloader",
        "module command line" => "firmware's name",
        other => other,
    };
}

/// Makes what a BIOS would have left of its data area: where conventional memory ends, and the
/// extended area begins. Xen puts its trampoline below that, whoever started it.
///
/// # Source
/// IBM PS/2 and PC BIOS Interface Technical Reference, "BIOS Data Area": 40:0Eh and 40:13h.
fn bios_data(memory: &MemoryMap) -> Vec<u8> {
    let low = memory.find(Gpa::ZERO).filter(|region| region.kind == MemoryKind::RAM);
    let end = low.map_or(0, |region| region.range.end().as_u64());
    let mut area = vec![0; 0x100];
    for (at, value) in [(0x0E, end >> 4), (0x13, end >> 10)] {
        let word = u16::try_from(value).unwrap_or(0).to_le_bytes();
        area[at..at + 2].copy_from_slice(&word);
    }
    area
}
