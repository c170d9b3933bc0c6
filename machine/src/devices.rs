//! All devices of the machine on their buses, with their interrupt lines.

mod disks;
mod lines;
mod names;

use chipset::{
    AcpiPm, DebugExit, DebugPort, FlashGeometryError, I8042, IoApic, IoApicVersion, Nanos,
    PamAccess, PamRange, Pic, PicPort, Pit, PmTimerWidth, Port92, ResetControl, Rtc, SleepType,
    Uart16550,
};
use fw_cfg::FwCfg;
use guest_state::{Gpa, GpaRange, GuestMemory};
use virtio::Effect;

use crate::backend::{Backend, Request};
use crate::flash::FlashBank;
use crate::pci::PciBus;
use crate::ports;
use crate::xen::Hypercalls;

/// The page of the I/O APIC.
const IO_APIC: u64 = 0xFEC0_0000;
const IO_APIC_BYTES: u64 = 0x1000;
/// Where REP INS reads a file of the firmware configuration.
const FW_CFG_DATA: u16 = ports::FW_CFG + 1;

/// The devices of a machine, from the port to the interrupt.
///
/// Every method that takes a [`Backend`] may deliver interrupts and requests through it. Time comes
/// in as an argument; where nothing happens by itself before [`deadline`](Self::deadline), nobody
/// need call [`advance`](Self::advance) before.
#[derive(Clone, Debug)]
pub struct Devices<'a> {
    uart: Uart16550,
    rtc: Rtc,
    keyboard: I8042,
    port92: Port92,
    pm: AcpiPm,
    pci: PciBus,
    pic: Pic,
    pit: Pit,
    io_apic: IoApic,
    reset_control: ResetControl,
    fw_cfg: Option<FwCfg<'a>>,
    hypercalls: Option<Hypercalls>,
    flash: Option<FlashBank>,
    /// The level of each interrupt line, as the controllers were last told.
    lines: [bool; 16],
    /// The levels of PIRQA to PIRQD, likewise.
    links: [bool; 4],
    /// The inputs of the 8259s that these reach and assert, as bits.
    linked_irqs: u16,
    /// Whether no firmware comes to set up the PCI bus.
    is_assigned: bool,
}

impl<'a> Devices<'a> {
    /// Makes the devices at power-on. The clock starts at `epoch_seconds` after the Unix epoch.
    pub(crate) fn new(epoch_seconds: u64, fw_cfg: Option<FwCfg<'a>>) -> Self {
        Self {
            uart: Uart16550::new(),
            rtc: Rtc::new(epoch_seconds),
            keyboard: I8042::new(),
            port92: Port92::new(),
            pm: AcpiPm::new(PmTimerWidth::Bits32),
            pci: PciBus::new(),
            pic: Pic::new(),
            pit: Pit::new(),
            io_apic: IoApic::new(IoApicVersion::V11),
            reset_control: ResetControl::new(),
            fw_cfg,
            hypercalls: None,
            flash: None,
            lines: [false; 16],
            links: [false; 4],
            linked_irqs: 0,
            is_assigned: false,
        }
    }

    /// The same, seen as Xen's by the guest.
    pub(crate) fn with_xen(self) -> Self {
        Self { hypercalls: Some(Hypercalls::default()), ..self }
    }

    /// Adds flash that the guest can write to, if it has a place.
    pub(crate) fn with_flash(self, range: Option<GpaRange>) -> Result<Self, FlashGeometryError> {
        Ok(Self { flash: range.map(FlashBank::new).transpose()?, ..self })
    }

    /// Adds the PCI function that says where the power management is.
    pub(crate) const fn with_power_management_function(mut self) -> Self {
        self.pci.add_power_management();
        self
    }

    /// Returns every device to its state after a reset. The clock runs on, and the CMOS keeps what
    /// its battery keeps. What [`Backend::remap`] has done is to be undone.
    pub fn reset(&mut self) {
        self.uart.reset();
        self.rtc.reset();
        self.keyboard.reset();
        self.port92.reset();
        self.pm.reset();
        self.pci.reset();
        self.pic.reset();
        self.pit.reset();
        self.io_apic.reset();
        self.reset_control.reset();
        if let Some(fw_cfg) = &mut self.fw_cfg {
            fw_cfg.reset();
        }
        if let Some(hypercalls) = &mut self.hypercalls {
            hypercalls.reset();
        }
        if let Some(flash) = &mut self.flash {
            flash.reset();
        }
        self.lines = [false; 16];
        self.links = [false; 4];
        self.linked_irqs = 0;
        self.assign();
    }

    pub(crate) const fn rtc(&mut self) -> &mut Rtc {
        &mut self.rtc
    }

    /// Reads `data.len() / size` elements of `size` bytes (1, 2 or 4) from one port.
    ///
    /// More than one element is what REP INS asks for. Ports that nobody has read as all ones.
    pub fn port_read(
        &mut self,
        port: u16,
        size: usize,
        data: &mut [u8],
        now: Nanos,
        backend: &mut impl Backend,
    ) {
        if let (FW_CFG_DATA, 1, Some(fw_cfg)) = (port, size, &mut self.fw_cfg) {
            fw_cfg.read_data(data);
            return;
        }
        for element in data.chunks_mut(size.max(1)) {
            self.read_element(port, element, now);
        }
        self.update_lines(backend);
    }

    /// Writes `data.len() / size` elements of `size` bytes (1, 2 or 4) to one port.
    ///
    /// Writes to ports that nobody has are dropped.
    pub fn port_write(
        &mut self,
        port: u16,
        size: usize,
        data: &[u8],
        now: Nanos,
        backend: &mut impl Backend,
    ) {
        for element in data.chunks(size.max(1)) {
            self.write_element(port, element, now, backend);
        }
        self.update_lines(backend);
    }

    /// Reads from an address where the guest has no memory.
    pub fn memory_read(&mut self, gpa: Gpa, data: &mut [u8], backend: &mut impl Backend) {
        data.fill(0xFF);
        if let Some((disk, offset)) = self.pci.disk_at(gpa) {
            self.pci.disks[disk].bar_read(offset, data);
            // It may have been the reason of an interrupt.
            self.update_lines(backend);
            return;
        }
        if let Some(flash) = &self.flash {
            for (byte, at) in data.iter_mut().zip(0..) {
                let read = gpa.checked_add(at).and_then(|gpa| flash.read(gpa, backend));
                *byte = read.unwrap_or(*byte);
            }
        }
        if let Some(offset) = io_apic_offset(gpa) {
            let value = self.io_apic.read(offset).to_le_bytes();
            data.iter_mut().zip(value).for_each(|(byte, value)| *byte = value);
        }
    }

    /// Writes to an address where the guest has no memory that takes it.
    pub fn memory_write(&mut self, gpa: Gpa, data: &[u8], backend: &mut impl Backend) {
        if let Some((disk, offset)) = self.pci.disk_at(gpa) {
            if self.pci.disks[disk].bar_write(offset, data) == Effect::Requests {
                self.take_requests(disk, backend);
            }
            self.update_lines(backend);
            return;
        }
        if let (Some(offset), Some(value)) = (io_apic_offset(gpa), data.first_chunk()) {
            let effects = self.io_apic.write(offset, u32::from_le_bytes(*value));
            effects.messages.into_iter().for_each(|message| backend.interrupt(message));
            if effects.rerouted.is_some() {
                backend.rerouted(&self.io_apic);
            }
        }
        if let Some(flash) = &mut self.flash {
            flash.write(gpa, data, backend);
        }
        let shadow =
            PamRange::containing(gpa.as_u64()).map(|range| self.pci.host_bridge.pam(range));
        if shadow == Some(PamAccess::WRITE) {
            // Reads are the ROM's, writes go to the RAM behind it. A range ends where its RAM ends,
            // so that a write across the edge is refused by neither: it all is RAM.
            let _ = backend.memory().write(gpa, data);
        }
    }

    /// Fills the hypercall page whose address the guest wrote to [`Xen::HYPERCALL_MSR`].
    ///
    /// False if the guest sees no Xen, or has no page there: then the write is to fault.
    ///
    /// [`Xen::HYPERCALL_MSR`]: crate::Xen::HYPERCALL_MSR
    #[must_use = "a write that is refused faults"]
    pub fn write_hypercall_page(&mut self, value: u64, backend: &impl Backend) -> bool {
        self.hypercalls.is_some() && Hypercalls::fill(value, backend.memory())
    }

    /// Learns that a local APIC ended the interrupt `vector`, which was level-triggered.
    pub fn end_of_interrupt(&mut self, vector: u8, backend: &mut impl Backend) {
        self.io_apic.eoi(vector).into_iter().for_each(|message| backend.interrupt(message));
    }

    /// Tells whether the 8259s ask for an interrupt.
    #[must_use]
    pub fn external_interrupt(&self) -> bool {
        self.pic.output()
    }

    /// Acknowledges the 8259s' interrupt, as the CPU does that takes it, and returns its vector.
    #[must_use = "the interrupt is in service now"]
    pub fn acknowledge(&mut self) -> u8 {
        self.pic.acknowledge()
    }

    /// Returns how many bytes of input the serial console takes now.
    #[must_use]
    pub const fn console_room(&self) -> usize {
        self.uart.receive_room()
    }

    /// Takes input for the serial console; what exceeds its room overruns, as on a real line.
    pub fn console_input(&mut self, bytes: &[u8], backend: &mut impl Backend) {
        bytes.iter().for_each(|byte| self.uart.receive(*byte));
        self.update_lines(backend);
    }

    /// Presses the power button.
    pub fn press_power_button(&mut self, backend: &mut impl Backend) {
        self.pm.press_power_button();
        self.update_lines(backend);
    }

    /// Returns the next moment at which something happens by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        [self.pit.deadline(), self.rtc.deadline(), self.keyboard.deadline(), self.pm.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Brings all devices up to `now`.
    pub fn advance(&mut self, now: Nanos, backend: &mut impl Backend) {
        self.pit.advance(now);
        self.rtc.advance(now);
        self.keyboard.advance(now);
        self.pm.advance(now);
        self.update_lines(backend);
    }

    fn read_element(&mut self, port: u16, data: &mut [u8], now: Nanos) {
        match (port, data) {
            (ports::CONFIG_ADDRESS, data @ [_, _, _, _]) => {
                data.copy_from_slice(&self.pci.address.read().to_le_bytes());
            }
            (ports::XEN_HYPERCALL, data @ [_, _, _, _]) => {
                let result = self.hypercalls.as_mut().map_or(u32::MAX, Hypercalls::read);
                data.copy_from_slice(&result.to_le_bytes());
            }
            (port, data) if block(port) == ports::FW_CFG => match &mut self.fw_cfg {
                Some(fw_cfg) => fw_cfg.read(port, data),
                None => data.fill(0xFF),
            },
            (port, data) if let Some(offset) = config_data(port, data.len()) => {
                self.pci.read_data(offset, data);
            }
            (port, data) => {
                for (byte, port) in data.iter_mut().zip(ports_from(port)) {
                    *byte = self.read_byte(port, now);
                }
            }
        }
    }

    fn read_byte(&mut self, port: u16, now: Nanos) -> u8 {
        if let Some(pic) = pic_port(port) {
            return self.pic.read(pic);
        }
        match port {
            ports::PORT_61 => self.pit.read_port61(now),
            ports::PORT_92 => self.port92.read(),
            ports::RESET_CONTROL => self.reset_control.read(),
            ports::DEBUG_E9 | ports::DEBUG_402 => DebugPort.read(),
            ports::DEBUG_EXIT => DebugExit.read(),
            _ => match (block(port), offset(port)) {
                (ports::PIT, at) => self.pit.read(at, now),
                (ports::I8042, at) => self.keyboard.read(at, now),
                (ports::RTC, at) => self.rtc.read(at, now),
                (ports::COM1, at) => self.uart.read(at),
                (ports::PM_BASE, at) => self.pm.read(at, now),
                (ports::CONFIG_DATA, at) => {
                    let mut byte = [0];
                    self.pci.read_data(at, &mut byte);
                    let [byte] = byte;
                    byte
                }
                _ => 0xFF,
            },
        }
    }

    fn write_element(&mut self, port: u16, data: &[u8], now: Nanos, backend: &mut impl Backend) {
        match (port, data) {
            (ports::CONFIG_ADDRESS, &[a, b, c, d]) => {
                self.pci.address.write(u32::from_le_bytes([a, b, c, d]));
            }
            (ports::XEN_HYPERCALL, &[a, b, c, d]) => {
                if let Some(hypercalls) = &mut self.hypercalls {
                    hypercalls.write(u32::from_le_bytes([a, b, c, d]), backend.memory());
                }
            }
            (port, data) if block(port) == ports::FW_CFG => {
                if let Some(fw_cfg) = &mut self.fw_cfg
                    && let Some(transfer) = fw_cfg.write(port, data)
                {
                    fw_cfg.dma(transfer, backend.memory());
                }
            }
            (port, data) if let Some(offset) = config_data(port, data.len()) => {
                self.write_config(offset, data, backend);
            }
            (port, data) => {
                for (byte, port) in data.iter().zip(ports_from(port)) {
                    self.write_byte(port, *byte, now, backend);
                }
            }
        }
    }

    fn write_byte(&mut self, port: u16, value: u8, now: Nanos, backend: &mut impl Backend) {
        if let Some(pic) = pic_port(port) {
            self.pic.write(pic, value);
            return;
        }
        let reset = match port {
            ports::PORT_61 => {
                self.pit.write_port61(value, now);
                None
            }
            ports::DEBUG_E9 | ports::DEBUG_402 => {
                backend.debug(DebugPort.write(value));
                None
            }
            ports::DEBUG_EXIT => {
                backend.request(Request::Exit(DebugExit.write(value)));
                None
            }
            ports::PORT_92 => self.port92.write(value),
            ports::RESET_CONTROL => self.reset_control.write(value),
            _ => {
                let (block, at) = (block(port), offset(port));
                if block == ports::I8042 {
                    self.keyboard.write(at, value, now)
                } else {
                    self.write_block(block, at, value, now, backend);
                    None
                }
            }
        };
        if let Some(reset) = reset {
            backend.request(Request::Reset(reset));
        }
    }

    fn write_block(
        &mut self,
        block: u16,
        at: u8,
        value: u8,
        now: Nanos,
        backend: &mut impl Backend,
    ) {
        match block {
            ports::PIT => self.pit.write(at, value, now),
            ports::RTC => self.rtc.write(at, value, now),
            ports::COM1 => {
                if let Some(byte) = self.uart.write(at, value) {
                    backend.console(byte);
                }
            }
            ports::CONFIG_DATA => self.write_config(at, &[value], backend),
            ports::PM_BASE => {
                let asked = self.pm.write(at, value, now);
                if asked == Some(SleepType::new(ports::POWER_OFF_TYPE)) {
                    backend.request(Request::PowerOff);
                }
            }
            _ => {}
        }
    }

    fn write_config(&mut self, at: u8, data: &[u8], backend: &mut impl Backend) {
        let changes = self.pci.write_data(at, data);
        if let Some(disk) = changes.disk {
            self.take_requests(disk, backend);
        }
        for range in changes.pam.iter() {
            let access = self.pci.host_bridge.pam(range);
            let start = Gpa::new(range.start().into());
            if let Some(addresses) = GpaRange::new(start, range.size_bytes().into()) {
                backend.remap(addresses, access.into());
            }
        }
    }
}

/// Returns `port` and those behind it; the last one is followed by the first.
fn ports_from(port: u16) -> impl Iterator<Item = u16> {
    core::iter::successors(Some(port), |port| Some(port.wrapping_add(1)))
}

fn io_apic_offset(gpa: Gpa) -> Option<u16> {
    let offset = gpa.offset_from(Gpa::new(IO_APIC)).filter(|offset| *offset < IO_APIC_BYTES)?;
    u16::try_from(offset).ok()
}

const fn pic_port(port: u16) -> Option<PicPort> {
    Some(match port {
        ports::PIC_PRIMARY => PicPort::PrimaryCommand,
        0x21 => PicPort::PrimaryData,
        ports::PIC_SECONDARY => PicPort::SecondaryCommand,
        0xA1 => PicPort::SecondaryData,
        ports::ELCR => PicPort::PrimaryElcr,
        0x4D1 => PicPort::SecondaryElcr,
        _ => return None,
    })
}

/// Returns how far into the PCI configuration data an access is, if all of it is there.
fn config_data(port: u16, size: usize) -> Option<u8> {
    let at = port.checked_sub(ports::CONFIG_DATA).filter(|at| usize::from(*at) + size <= 4)?;
    u8::try_from(at).ok()
}

/// Blocks of ports that belong to one device each: first port, number of ports.
const BLOCKS: [(u16, u16); 7] = [
    (ports::PIT, 4),
    (ports::I8042, 5),
    (ports::RTC, 2),
    (ports::COM1, 8),
    (ports::FW_CFG, 12),
    (ports::PM_BASE, 12),
    (ports::CONFIG_DATA, 4),
];

/// Returns the first port of the block that `port` is in, or `port` itself.
fn block(port: u16) -> u16 {
    let holds = |(first, count): &&(u16, u16)| port.wrapping_sub(*first) < *count;
    BLOCKS.iter().find(holds).map_or(port, |(first, _)| *first)
}

/// Returns how far into its block `port` is.
fn offset(port: u16) -> u8 {
    let [offset, _] = port.wrapping_sub(block(port)).to_le_bytes();
    offset
}
