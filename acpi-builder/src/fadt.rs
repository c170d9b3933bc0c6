//! The fixed ACPI description table: where the power-management registers are and what they can.

use bitflags::bitflags;
use zerocopy::IntoBytes;

use crate::spec::{FadtBody, GenericAddress};
use crate::{Error, Sdt, Signature};

const REVISION: u8 = 6;
const MINOR_REVISION: u8 = 5;

/// "Generic Address Structure": address space and access sizes.
const SYSTEM_IO: u8 = 1;
const BYTE_ACCESS: u8 = 1;
const WORD_ACCESS: u8 = 2;
const DWORD_ACCESS: u8 = 3;

/// "Register blocks": what an ACPI PC has in its fixed hardware, in bytes.
const PM1_EVENT_BYTES: u8 = 4;
const PM1_CONTROL_BYTES: u8 = 2;
const PM_TIMER_BYTES: u8 = 4;

/// Latencies in microseconds, above 100 and 1000, that say there is no C2 and no C3 state.
const NO_C2: u16 = 0x0FFF;
const NO_C3: u16 = 0x0FFF;

/// "Preferred PM Profile System Types": what the machine is used as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct PmProfile(pub u8);

impl PmProfile {
    /// Not said.
    pub const UNSPECIFIED: Self = Self(0);
    /// Desktop.
    pub const DESKTOP: Self = Self(1);
    /// Mobile.
    pub const MOBILE: Self = Self(2);
    /// Workstation.
    pub const WORKSTATION: Self = Self(3);
    /// Enterprise server.
    pub const ENTERPRISE_SERVER: Self = Self(4);
}

bitflags! {
    /// "IA-PC Boot Architecture Flags": what a guest finds without looking for it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct BootArch: u16 {
        /// There are user-visible devices on the LPC or ISA bus.
        const LEGACY_DEVICES = 1 << 0;
        /// There is an 8042 keyboard controller at ports 0x60 and 0x64.
        const KEYBOARD_8042 = 1 << 1;
        /// There is no VGA: don't touch its registers and memory.
        const VGA_NOT_PRESENT = 1 << 2;
        /// Don't use message-signalled interrupts.
        const MSI_NOT_SUPPORTED = 1 << 3;
        /// Don't use PCI Express active-state power management.
        const PCIE_ASPM_NOT_SUPPORTED = 1 << 4;
        /// There is no CMOS clock at ports 0x70 and 0x71.
        const CMOS_RTC_NOT_PRESENT = 1 << 5;
    }
}

bitflags! {
    /// "Fixed Feature Flags".
    #[derive(Clone, Copy)]
    struct Features: u32 {
        /// WBINVD works; without it guests refuse ACPI.
        const WBINVD = 1 << 0;
        /// All processors have the C1 state.
        const PROC_C1 = 1 << 2;
        /// The power button is not a fixed feature: a device in the DSDT, or none.
        const PWR_BUTTON = 1 << 4;
        /// The sleep button is not a fixed feature.
        const SLP_BUTTON = 1 << 5;
        /// The PM timer has 32 bits.
        const TMR_VAL_EXT = 1 << 8;
        /// RESET_REG works.
        const RESET_REG_SUP = 1 << 10;
    }
}

/// How far the power-management timer counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PmTimerWidth {
    /// To 2^24, as in the PIIX4. Also right, with less use made of it, for a timer of 32 bits.
    #[default]
    Bits24,
    /// To 2^32.
    Bits32,
}

/// A port that resets the machine, and the byte that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResetRegister {
    /// The I/O port.
    pub port: u16,
    /// What to write there.
    pub value: u8,
}

impl ResetRegister {
    /// The reset control register of PC chipsets, port 0xcf9: hard reset of the whole machine.
    pub const CF9: Self = Self { port: 0xCF9, value: 0x06 };
}

/// The fixed-hardware registers: I/O ports of one PM1 event, PM1 control and PM timer block.
///
/// There is no SMI command port: the machine is in ACPI mode from the start, SCI_EN always set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FixedHardware {
    /// The ISA interrupt of the SCI; without 8259s, its global system interrupt.
    pub sci: u16,
    /// The first of four ports: PM1a status, PM1a enable.
    pub pm1a_event: u16,
    /// The first of two ports: PM1a control.
    pub pm1a_control: u16,
    /// The first of four ports: the PM timer.
    pub pm_timer: u16,
    /// How far the PM timer counts.
    pub pm_timer_width: PmTimerWidth,
    /// Whether PM1's PWRBTN bits work.
    pub power_button: bool,
}

impl FixedHardware {
    /// Describes the PIIX4's arrangement: events at `base`, control at `base` + 4, a 24-bit timer
    /// at `base` + 8, the SCI on 9, a power button.
    ///
    /// SeaBIOS expects `base` to be 0x600 where it is given tables through fw_cfg.
    #[must_use]
    pub const fn piix4(base: u16) -> Self {
        Self {
            sci: 9,
            pm1a_event: base,
            // No block fits at port 0xffff, so a base that is too high is refused when built.
            pm1a_control: base.saturating_add(4),
            pm_timer: base.saturating_add(8),
            pm_timer_width: PmTimerWidth::Bits24,
            power_button: true,
        }
    }
}

/// What kind of ACPI machine this is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hardware {
    /// One with PM1 registers, a PM timer and a FACS.
    Fixed(FixedHardware),
}

/// Describes the fixed ACPI description table.
///
/// Its pointers to the DSDT and the FACS are filled in by the table set that it goes into.
///
/// # Source
/// ACPI 6.5, "Fixed ACPI Description Table (FADT)".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fadt {
    /// The register model.
    pub hardware: Hardware,
    /// What the machine is used as.
    pub profile: PmProfile,
    /// How to reset it.
    pub reset: Option<ResetRegister>,
    /// What legacy devices there are: see [`Dsdt::boot_arch`](crate::Dsdt::boot_arch).
    pub boot_arch: BootArch,
    /// The CMOS register that holds the century, if there is one.
    pub rtc_century: Option<u8>,
}

impl Fadt {
    /// Describes a machine with the given registers, reset by [`ResetRegister::CF9`], with the
    /// century in CMOS register 0x32.
    #[must_use]
    pub fn fixed_hardware(registers: FixedHardware, boot_arch: BootArch) -> Self {
        Self {
            hardware: Hardware::Fixed(registers),
            profile: PmProfile::UNSPECIFIED,
            reset: Some(ResetRegister::CF9),
            boot_arch,
            rtc_century: (!boot_arch.contains(BootArch::CMOS_RTC_NOT_PRESENT)).then_some(0x32),
        }
    }

    /// Builds the table with its pointers zero: they are the table set's to fill in.
    ///
    /// # Errors
    /// [`Error::IoPorts`]: a register block starts at port 0 or reaches past port 0xffff.
    pub(crate) fn build(&self) -> Result<Sdt, Error> {
        let Hardware::Fixed(registers) = &self.hardware;
        let mut features = Features::WBINVD | Features::PROC_C1 | Features::SLP_BUTTON;
        features.set(Features::PWR_BUTTON, !registers.power_button);
        features.set(Features::RESET_REG_SUP, self.reset.is_some());
        features.set(Features::TMR_VAL_EXT, registers.pm_timer_width == PmTimerWidth::Bits32);
        let reset = self.reset.unwrap_or(ResetRegister { port: 0, value: 0 });
        let event = block(registers.pm1a_event, PM1_EVENT_BYTES, WORD_ACCESS)?;
        let control = block(registers.pm1a_control, PM1_CONTROL_BYTES, WORD_ACCESS)?;
        let timer = block(registers.pm_timer, PM_TIMER_BYTES, DWORD_ACCESS)?;
        let body = FadtBody {
            preferred_pm_profile: self.profile.0,
            sci_int: registers.sci.into(),
            pm1a_evt_blk: u32::from(registers.pm1a_event).into(),
            pm1a_cnt_blk: u32::from(registers.pm1a_control).into(),
            pm_tmr_blk: u32::from(registers.pm_timer).into(),
            pm1_evt_len: PM1_EVENT_BYTES,
            pm1_cnt_len: PM1_CONTROL_BYTES,
            pm_tmr_len: PM_TIMER_BYTES,
            p_lvl2_lat: NO_C2.into(),
            p_lvl3_lat: NO_C3.into(),
            century: self.rtc_century.unwrap_or(0),
            iapc_boot_arch: self.boot_arch.bits().into(),
            flags: features.bits().into(),
            reset_reg: match self.reset {
                Some(register) => block(register.port, 1, BYTE_ACCESS)?,
                None => GenericAddress::default(),
            },
            reset_value: reset.value,
            fadt_minor_version: MINOR_REVISION,
            x_pm1a_evt_blk: event,
            x_pm1a_cnt_blk: control,
            x_pm_tmr_blk: timer,
            ..FadtBody::default()
        };
        Ok(Sdt::new(Signature::FACP, REVISION, body.as_bytes().to_vec()))
    }
}

/// Describes a block of ports, after checking that there are so many.
fn block(port: u16, size_bytes: u8, access_size: u8) -> Result<GenericAddress, Error> {
    if port == 0 || port.checked_add(u16::from(size_bytes) - 1).is_none() {
        return Err(Error::IoPorts { port, size_bytes: size_bytes.into() });
    }
    Ok(GenericAddress {
        address_space_id: SYSTEM_IO,
        register_bit_width: size_bytes * 8,
        register_bit_offset: 0,
        access_size,
        address: u64::from(port).into(),
    })
}
