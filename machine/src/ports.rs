//! Every I/O port of the machine, in one place.

/// The primary 8259: command, data.
pub(crate) const PIC_PRIMARY: u16 = 0x20;
/// The 8254: three channels and the control word.
pub(crate) const PIT: u16 = 0x40;
/// The 8042: data; its status is at 64h.
pub(crate) const I8042: u16 = 0x60;
/// Gate and output of the 8254's channel 2, speaker, refresh.
pub(crate) const PORT_61: u16 = 0x61;
/// The real-time clock: index, data.
pub(crate) const RTC: u16 = 0x70;
/// Fast A20 and reset.
pub(crate) const PORT_92: u16 = 0x92;
/// The secondary 8259: command, data.
pub(crate) const PIC_SECONDARY: u16 = 0xA0;
/// Debug output, as Bochs has it.
pub(crate) const DEBUG_E9: u16 = 0xE9;
/// Debug exit, as QEMU's isa-debug-exit.
pub(crate) const DEBUG_EXIT: u16 = 0xF4;
/// The serial console.
pub(crate) const COM1: u16 = 0x3F8;
/// Debug output, as SeaBIOS and OVMF use it.
pub(crate) const DEBUG_402: u16 = 0x402;
/// Edge or level of each 8259 input.
pub(crate) const ELCR: u16 = 0x4D0;
/// Firmware configuration: selector, data at 511h, DMA address at 514h.
pub(crate) const FW_CFG: u16 = 0x510;
/// Hypercalls, where the guest sees Xen: number and arguments in, the result out, 4 bytes each.
pub(crate) const XEN_HYPERCALL: u16 = 0x5E0;
/// ACPI power management: event, control, timer. SeaBIOS expects it here if tables come by fw_cfg.
pub(crate) const PM_BASE: u16 = 0x600;
/// PCI configuration address.
pub(crate) const CONFIG_ADDRESS: u16 = 0xCF8;
/// Reset control, in the middle of the configuration address: only byte accesses reach it.
pub(crate) const RESET_CONTROL: u16 = 0xCF9;
/// PCI configuration data.
pub(crate) const CONFIG_DATA: u16 = 0xCFC;

/// The sleep type of `\_S5`: what the guest writes to PM1 control to be switched off.
pub(crate) const POWER_OFF_TYPE: u8 = 0;
