//! The tables that say which serial port has the console and which the debugger.

use alloc::string::String;
use alloc::vec::Vec;

use zerocopy::IntoBytes;

use crate::check::{dword, word};
use crate::register::{Access, Register};
use crate::spec::SdtHeader;
use crate::spec::platform::{Dbg2Device, Dbg2Prefix, SpcrBody};
use crate::{Error, SerialPort, Signature, Table};

/// How many registers a 16550 has, a byte each.
const UART_BYTES: u8 = 8;

/// What a serial port is programmed like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct SerialInterface(pub u8);

impl SerialInterface {
    /// A 16550.
    pub const FULL_16550: Self = Self(0x00);
    /// What a 16450 has in common with it.
    pub const SUBSET_16550: Self = Self(0x01);
    /// A 16550 with registers of the width that its address says.
    pub const GENERIC_16550: Self = Self(0x12);
}

/// "Configured Baud Rate" of a console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct BaudRate(pub u8);

impl BaudRate {
    /// As the firmware has set it.
    pub const AS_IS: Self = Self(0);
    /// 9,600.
    pub const B9600: Self = Self(3);
    /// 19,200.
    pub const B19200: Self = Self(4);
    /// 57,600.
    pub const B57600: Self = Self(6);
    /// 115,200.
    pub const B115200: Self = Self(7);
}

/// "Terminal Type" of a console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct TerminalType(pub u8);

impl TerminalType {
    /// VT100.
    pub const VT100: Self = Self(0);
    /// Extended VT100.
    pub const VT100_PLUS: Self = Self(1);
    /// VT-UTF8.
    pub const VT_UTF8: Self = Self(2);
    /// ANSI.
    pub const ANSI: Self = Self(3);
}

/// Describes the serial port console redirection table: no parity, one stop bit, no flow control,
/// no PCI device.
///
/// # Source
/// Microsoft, "Serial Port Console Redirection Table (SPCR)", revision 4.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spcr {
    /// How it is programmed.
    pub interface: SerialInterface,
    /// Where its registers are.
    pub registers: Register,
    /// Its interrupt at the 8259s.
    pub isa_irq: Option<u8>,
    /// Its global system interrupt.
    pub gsi: Option<u32>,
    /// How fast it is.
    pub baud_rate: BaudRate,
    /// What is at its other end.
    pub terminal: TerminalType,
    /// Its path in the DSDT, such as `\_SB.PCI0.COM1`, or `.` if it is not there.
    pub path: String,
}

impl Spcr {
    /// Describes the console at a PC's serial port, with 115,200 baud.
    #[must_use]
    pub fn new(port: SerialPort) -> Self {
        Self {
            interface: SerialInterface::FULL_16550,
            registers: Register::Port(port.port),
            isa_irq: Some(port.irq),
            gsi: Some(port.irq.into()),
            baud_rate: BaudRate::B115200,
            terminal: TerminalType::VT_UTF8,
            path: ".".into(),
        }
    }
}

impl Table for Spcr {
    const SIGNATURE: Signature = Signature::SPCR;
    const REVISION: u8 = 4;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        const AT_8259: u8 = 1 << 0;
        const AT_IO_APIC: u8 = 1 << 1;
        const ONE_STOP_BIT: u8 = 1;
        const NO_PCI_DEVICE: u16 = 0xFFFF;
        if let Some(irq) = self.isa_irq.filter(|irq| *irq > 15) {
            return Err(Error::IsaIrq { irq });
        }
        let path_offset = size_of::<SdtHeader>() + size_of::<SpcrBody>();
        let mut interrupt_type = 0;
        interrupt_type |= if self.isa_irq.is_some() { AT_8259 } else { 0 };
        interrupt_type |= if self.gsi.is_some() { AT_IO_APIC } else { 0 };
        let mut base_address = self.registers.block(UART_BYTES, Access::Byte)?;
        // The width of one register, not of the block.
        base_address.register_bit_width = 8;
        let table = SpcrBody {
            interface_type: self.interface.0,
            reserved_37: [0; 3],
            base_address,
            interrupt_type,
            irq: self.isa_irq.unwrap_or(0),
            global_system_interrupt: self.gsi.unwrap_or(0).into(),
            configured_baud_rate: self.baud_rate.0,
            parity: 0,
            stop_bits: ONE_STOP_BIT,
            flow_control: 0,
            terminal_type: self.terminal.0,
            language: 0,
            pci_device_id: NO_PCI_DEVICE.into(),
            pci_vendor_id: NO_PCI_DEVICE.into(),
            pci_bus: 0,
            pci_device: 0,
            pci_function: 0,
            pci_flags: 0.into(),
            pci_segment: 0,
            uart_clock_frequency: 0.into(),
            precise_baud_rate: 0.into(),
            namespace_string_length: path_length(&self.path)?.into(),
            namespace_string_offset: word("offset of the path", path_offset)?.into(),
        };
        body.extend_from_slice(table.as_bytes());
        push_path(body, &self.path);
        Ok(())
    }
}

/// Returns how long a path is with the zero at its end, after checking what it is made of.
fn path_length(path: &str) -> Result<u16, Error> {
    let field = "path of a serial port";
    if let Some(value) = path.bytes().find(|byte| !byte.is_ascii_graphic()) {
        return Err(Error::Invalid { field, value: value.into() });
    }
    word(field, path.len().saturating_add(1))
}

fn push_path(body: &mut Vec<u8>, path: &str) {
    body.extend_from_slice(path.as_bytes());
    body.push(0);
}

/// A serial port for a debugger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugPort {
    /// How it is programmed.
    pub interface: SerialInterface,
    /// Where its registers are.
    pub registers: Register,
    /// Its path in the DSDT, such as `\_SB.PCI0.COM1`, or `.` if it is not there.
    pub path: String,
}

impl DebugPort {
    /// Describes a PC's serial port, which has this path in the DSDT.
    #[must_use]
    pub fn new(port: SerialPort, path: &str) -> Self {
        let registers = Register::Port(port.port);
        Self { interface: SerialInterface::FULL_16550, registers, path: path.into() }
    }

    fn append(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        const SERIAL: u16 = 0x8000;
        let field = "length of a debug port";
        let mut address = self.registers.block(UART_BYTES, Access::Byte)?;
        address.register_bit_width = 8;
        let address_size = u32::from(UART_BYTES).to_le_bytes();
        let address_offset = size_of::<Dbg2Device>();
        let size_offset = address_offset + size_of_val(&address);
        let path_offset = size_offset + address_size.len();
        let path_bytes = path_length(&self.path)?;
        let device = Dbg2Device {
            revision: 0,
            length: word(field, path_offset + usize::from(path_bytes))?.into(),
            number_of_registers: 1,
            namespace_string_length: path_bytes.into(),
            namespace_string_offset: word(field, path_offset)?.into(),
            oem_data_length: 0.into(),
            oem_data_offset: 0.into(),
            port_type: SERIAL.into(),
            port_subtype: u16::from(self.interface.0).into(),
            reserved: 0.into(),
            base_address_offset: word(field, address_offset)?.into(),
            address_size_offset: word(field, size_offset)?.into(),
        };
        body.extend_from_slice(device.as_bytes());
        body.extend_from_slice(address.as_bytes());
        body.extend_from_slice(&address_size);
        push_path(body, &self.path);
        Ok(())
    }
}

/// Describes the debug port table.
///
/// # Source
/// Microsoft, "Debug Port Table 2 (DBG2)".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dbg2 {
    /// The ports, the first of which the guest should take.
    pub ports: Vec<DebugPort>,
}

impl Table for Dbg2 {
    const SIGNATURE: Signature = Signature::DBG2;
    const REVISION: u8 = 0;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let field = "debug ports";
        let start = size_of::<SdtHeader>() + size_of::<Dbg2Prefix>();
        let prefix = Dbg2Prefix {
            offset_debug_device_info: dword(field, start)?.into(),
            number_debug_device_info: dword(field, self.ports.len())?.into(),
        };
        body.extend_from_slice(prefix.as_bytes());
        self.ports.iter().try_for_each(|port| port.append(body))
    }
}
