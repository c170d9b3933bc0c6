//! Which device answers where, by name: for those who watch a guest.

use chipset::{PamAccess, PamRange};
use guest_state::Gpa;

use super::{Devices, block, io_apic_offset, pic_port, ports_from};
use crate::ports;

impl Devices<'_> {
    /// Names the device that answers accesses of `size` bytes to `port`; `None` where nobody does.
    ///
    /// Of several devices within one access it is the first.
    #[must_use]
    pub fn port_device(&self, port: u16, size: usize) -> Option<&'static str> {
        match (port, size) {
            (ports::CONFIG_ADDRESS, 4) => Some("pci"),
            (ports::XEN_HYPERCALL, 4) => self.hypercalls.as_ref().map(|_| "xen"),
            _ if block(port) == ports::FW_CFG => self.fw_cfg.as_ref().map(|_| "fw_cfg"),
            _ => ports_from(port).take(size).find_map(byte_device),
        }
    }

    /// Names the device that answers accesses to an address where the guest has no memory, or none
    /// that takes writes; `None` where nobody does.
    #[must_use]
    pub fn memory_device(&self, gpa: Gpa) -> Option<&'static str> {
        if io_apic_offset(gpa).is_some() {
            return Some("ioapic");
        }
        if self.pci.disk_at(gpa).is_some() {
            return Some("virtio-blk");
        }
        if self.flash.as_ref().is_some_and(|flash| flash.contains(gpa)) {
            return Some("flash");
        }
        let shadow = PamRange::containing(gpa.as_u64())?;
        (self.pci.host_bridge.pam(shadow) == PamAccess::WRITE).then_some("pam")
    }
}

/// The device that answers accesses of a byte.
fn byte_device(port: u16) -> Option<&'static str> {
    if pic_port(port).is_some() {
        return Some("pic");
    }
    Some(match port {
        ports::PORT_61 => "pit",
        ports::PORT_92 => "port92",
        ports::DEBUG_E9 | ports::DEBUG_402 => "debug",
        ports::DEBUG_EXIT => "exit",
        ports::RESET_CONTROL => "reset",
        _ => match block(port) {
            ports::PIT => "pit",
            ports::I8042 => "i8042",
            ports::RTC => "rtc",
            ports::COM1 => "uart",
            ports::PM_BASE => "pm",
            ports::CONFIG_DATA => "pci",
            _ => return None,
        },
    })
}
