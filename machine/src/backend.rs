//! What the platform asks of the hypervisor below it.

use chipset::{ExitStatus, InterruptMessage, IoApic, PamAccess, Reset};
use guest_state::{Gpa, GpaRange, GuestMemory};
use virtio::BlkRequest;

/// The hypervisor side of a machine: implemented once over KVM, once over VMX.
///
/// Devices call it while they handle an access. Nothing here returns a value that a device waits
/// for, so an implementation may also collect the calls and act on them afterwards.
pub trait Backend {
    /// The guest's RAM.
    type Memory: GuestMemory;

    /// Returns the guest's RAM, for devices that read and write it.
    fn memory(&self) -> &Self::Memory;

    /// Takes a byte that the guest sent to its serial console.
    fn console(&mut self, byte: u8);

    /// Takes a byte that the guest sent to a debug port.
    fn debug(&mut self, byte: u8);

    /// Delivers an interrupt to local APICs.
    fn interrupt(&mut self, message: InterruptMessage);

    /// Learns that a redirection entry of the I/O APIC has changed.
    ///
    /// Needed only where the local APIC, and with it the end of interrupts, is out of our sight.
    fn rerouted(&mut self, io_apic: &IoApic);

    /// Puts other memory behind a range of guest addresses: below 1 MiB, or all of the flash that
    /// [`Machine::flash`] names.
    ///
    /// [`Machine::flash`]: crate::Machine::flash
    fn remap(&mut self, range: GpaRange, backing: Backing);

    /// Reads the array of the flash, whatever the guest sees of it now. The bytes are within it.
    ///
    /// This and [`write_flash`](Self::write_flash) are called where [`Machine::flash`] names a range,
    /// and only there.
    ///
    /// [`Machine::flash`]: crate::Machine::flash
    fn read_flash(&self, gpa: Gpa, data: &mut [u8]) {
        let _ = gpa;
        data.fill(0xFF);
    }

    /// Writes to the array of the flash, for the guest to read in its time, and for whoever keeps it
    /// when the guest has ended. The bytes are within it.
    fn write_flash(&mut self, gpa: Gpa, data: &[u8]) {
        let _ = (gpa, data);
    }

    /// Learns what the guest wants to happen to the whole machine.
    fn request(&mut self, request: Request);

    /// Takes a request to disk number `disk`, to be carried out and then handed to
    /// [`Devices::complete`], now or later.
    ///
    /// No call comes for a machine without disks.
    ///
    /// [`Devices::complete`]: crate::Devices::complete
    fn disk(&mut self, disk: usize, request: BlkRequest) {
        // Whoever has disks takes their requests.
        let _ = (disk, request);
    }
}

/// What stands behind guest addresses where that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backing {
    /// RAM.
    Ram,
    /// RAM that takes no writes.
    RamReadOnly,
    /// The firmware's ROM, or nothing where it does not reach.
    Rom,
    /// The firmware's ROM for reads, while writes go to the RAM behind it: [`Devices`] takes the
    /// writes, so that a backend may map this as [`Backing::Rom`].
    ///
    /// [`Devices`]: crate::Devices
    RomOverRam,
    /// A device: reads and writes come to [`Devices`].
    ///
    /// [`Devices`]: crate::Devices
    Device,
}

impl From<PamAccess> for Backing {
    fn from(access: PamAccess) -> Self {
        match (access.contains(PamAccess::READ), access.contains(PamAccess::WRITE)) {
            (true, true) => Self::Ram,
            (true, false) => Self::RamReadOnly,
            (false, true) => Self::RomOverRam,
            (false, false) => Self::Rom,
        }
    }
}

/// What a guest wants to happen to the whole machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// To be switched off.
    PowerOff,
    /// To be reset.
    Reset(Reset),
    /// To end with a status, through the debug exit port.
    Exit(ExitStatus),
}
