//! The register model of a machine: what the FADT describes.

use crate::Error;
use crate::fadt::Features;
use crate::register::{Access, Register};
use crate::spec::FadtBody;

/// "Register blocks": what an ACPI PC has in its fixed hardware, in bytes.
const PM1_EVENT_BYTES: u8 = 4;
const PM1_CONTROL_BYTES: u8 = 2;
const PM_TIMER_BYTES: u8 = 4;

/// Latencies in microseconds, above 100 and 1000, that say there is no C2 and no C3 state.
const NO_C2: u16 = 0x0FFF;
const NO_C3: u16 = 0x0FFF;

/// How far the power-management timer counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PmTimerWidth {
    /// To 2^24, as in the PIIX4. Also right, with less use made of it, for a timer of 32 bits.
    #[default]
    Bits24,
    /// To 2^32.
    Bits32,
}

/// A register that resets the machine, and the byte that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResetRegister {
    /// Where it is.
    pub register: Register,
    /// What to write there.
    pub value: u8,
}

impl ResetRegister {
    /// The reset control register of PC chipsets, port 0xcf9: hard reset of the whole machine.
    pub const CF9: Self = Self { register: Register::Port(0xCF9), value: 0x06 };
}

/// The port by which a guest takes the machine over from system management mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SmiCommand {
    /// The I/O port.
    pub port: u16,
    /// What switches to ACPI mode, so that SCI_EN becomes set.
    pub enable: u8,
    /// What switches back.
    pub disable: u8,
}

impl SmiCommand {
    /// Port 0xb2, as chipsets of Intel have it, with the values that QEMU gives it.
    pub const APM: Self = Self { port: 0xB2, enable: 2, disable: 3 };
}

/// A block of general-purpose event registers: status, and as many bytes of enable behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GpeBlock {
    /// The first I/O port.
    pub port: u16,
    /// How many ports, an even number.
    pub size_bytes: u8,
}

/// The fixed-hardware registers: I/O ports of one PM1 event, PM1 control and PM timer block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FixedHardware {
    /// The ISA interrupt of the SCI; without 8259s, its global system interrupt.
    pub sci: u16,
    /// The SMI command port; with none, the machine is in ACPI mode from the start, SCI_EN set.
    pub smi: Option<SmiCommand>,
    /// The first of four ports: PM1a status, PM1a enable.
    pub pm1a_event: u16,
    /// The first of two ports: PM1a control.
    pub pm1a_control: u16,
    /// The first of four ports: the PM timer.
    pub pm_timer: u16,
    /// How far the PM timer counts.
    pub pm_timer_width: PmTimerWidth,
    /// The general-purpose events from 0 on.
    pub gpe0: Option<GpeBlock>,
    /// Whether PM1's PWRBTN bits work.
    pub power_button: bool,
    /// Whether PM1's SLPBTN bits work.
    pub sleep_button: bool,
}

impl FixedHardware {
    /// Describes the PIIX4's arrangement: events at `base`, control at `base` + 4, a 24-bit timer
    /// at `base` + 8, the SCI on 9, a power button; no general-purpose events, no SMI.
    ///
    /// SeaBIOS expects `base` to be 0x600 where it is given tables through fw_cfg.
    #[must_use]
    pub const fn piix4(base: u16) -> Self {
        Self {
            sci: 9,
            smi: None,
            pm1a_event: base,
            // No block fits at port 0xffff, so a base that is too high is refused when built.
            pm1a_control: base.saturating_add(4),
            pm_timer: base.saturating_add(8),
            pm_timer_width: PmTimerWidth::Bits24,
            gpe0: None,
            power_button: true,
            sleep_button: false,
        }
    }

    /// Describes the ICH9's arrangement: as [`piix4`](Self::piix4), with 16 ports of
    /// general-purpose events at `base` + 0x20.
    #[must_use]
    pub const fn ich9(base: u16) -> Self {
        let mut registers = Self::piix4(base);
        registers.gpe0 = Some(GpeBlock { port: base.saturating_add(0x20), size_bytes: 16 });
        registers
    }
}

/// What a hardware-reduced machine has in place of fixed hardware.
///
/// Its events come by a generic event device in the DSDT. Windows needs fixed hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReducedHardware {
    /// SLEEP_CONTROL_REG, one byte.
    pub sleep_control: Register,
    /// SLEEP_STATUS_REG, one byte.
    pub sleep_status: Register,
}

/// What kind of ACPI machine this is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hardware {
    /// One with PM1 registers, a PM timer and a FACS.
    Fixed(FixedHardware),
    /// One without, and without a FACS.
    Reduced(ReducedHardware),
}

impl FixedHardware {
    /// Fills in the fields that say where the registers are.
    pub(crate) fn body(&self, features: &mut Features) -> Result<FadtBody, Error> {
        features.set(Features::PWR_BUTTON, !self.power_button);
        features.set(Features::SLP_BUTTON, !self.sleep_button);
        features.set(Features::TMR_VAL_EXT, self.pm_timer_width == PmTimerWidth::Bits32);
        let block = |port, size, access| Register::Port(port).block(size, access);
        let gpe0 = self.gpe0.unwrap_or(GpeBlock { port: 0, size_bytes: 0 });
        let mut body = FadtBody {
            sci_int: self.sci.into(),
            pm1a_evt_blk: u32::from(self.pm1a_event).into(),
            pm1a_cnt_blk: u32::from(self.pm1a_control).into(),
            pm_tmr_blk: u32::from(self.pm_timer).into(),
            gpe0_blk: u32::from(gpe0.port).into(),
            pm1_evt_len: PM1_EVENT_BYTES,
            pm1_cnt_len: PM1_CONTROL_BYTES,
            pm_tmr_len: PM_TIMER_BYTES,
            gpe0_blk_len: gpe0.size_bytes,
            p_lvl2_lat: NO_C2.into(),
            p_lvl3_lat: NO_C3.into(),
            x_pm1a_evt_blk: block(self.pm1a_event, PM1_EVENT_BYTES, Access::Word)?,
            x_pm1a_cnt_blk: block(self.pm1a_control, PM1_CONTROL_BYTES, Access::Word)?,
            x_pm_tmr_blk: block(self.pm_timer, PM_TIMER_BYTES, Access::Dword)?,
            ..FadtBody::default()
        };
        if self.gpe0.is_some() {
            // Status and enable have the same length, and a width in bits has 8 bits.
            if !gpe0.size_bytes.is_multiple_of(2) || !(2..32).contains(&gpe0.size_bytes) {
                let value = gpe0.size_bytes.into();
                return Err(Error::Invalid { field: "length of the GPE block", value });
            }
            body.x_gpe0_blk = block(gpe0.port, gpe0.size_bytes, Access::Byte)?;
        }
        if let Some(smi) = self.smi {
            block(smi.port, 1, Access::Byte)?;
            body.smi_cmd = u32::from(smi.port).into();
            body.acpi_enable = smi.enable;
            body.acpi_disable = smi.disable;
        }
        Ok(body)
    }
}

impl ReducedHardware {
    /// Fills in the fields that say where the registers are.
    pub(crate) fn body(self, features: &mut Features) -> Result<FadtBody, Error> {
        // Buttons, if any, are devices.
        let buttons = Features::PWR_BUTTON | Features::SLP_BUTTON;
        features.insert(Features::HW_REDUCED_ACPI | buttons);
        Ok(FadtBody {
            sleep_control_reg: self.sleep_control.block(1, Access::Byte)?,
            sleep_status_reg: self.sleep_status.block(1, Access::Byte)?,
            ..FadtBody::default()
        })
    }
}
