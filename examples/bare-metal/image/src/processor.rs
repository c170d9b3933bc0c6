//! What every processor does that runs a guest: from its capabilities to the guest's end.

use alloc::boxed::Box;

use bare_metal_image::Config;
use guest_state::Hpa;
use vmx::hardware::{self, VmxOperation, VmxPage};
use vmx::{Controls, VmxCaps};

use crate::clock::Clock;
use crate::cpu;
use crate::guest::Guest;
use crate::hardware::enable_xsave;
use crate::host::Tables;
use crate::run;

/// The processor that this code runs on, ready for VMX operation.
pub(crate) struct Processor {
    tables: Tables,
    pub(crate) caps: VmxCaps,
    controls: Controls,
}

impl Processor {
    /// Asks the processor what it can do, and enables VMX; `tables` are those that it has loaded.
    ///
    /// # Errors
    /// It has no VMX, or not all of it that a guest here needs, or firmware locked it off.
    pub(crate) fn new(tables: Tables) -> Result<Self, vmx::Error> {
        // SAFETY: CPL is 0.
        let caps = unsafe { hardware::capabilities() }?;
        let controls = cpu::solve_controls(&caps)?;
        // SAFETY: CPL is 0, and this code depends on no bit of CR0 and CR4 that VMX forbids.
        unsafe { hardware::enable(&caps) }?;
        enable_xsave();
        Ok(Self { tables, caps, controls })
    }

    /// Executes VMXON.
    pub(crate) fn enter_vmx(&self) -> Result<VmxOperation, vmx::Error> {
        // SAFETY: `enable` succeeded, the capabilities are this processor's, the page is nobody
        // else's, and nothing moves this code to another processor.
        unsafe { VmxOperation::enter(leak_page(&self.caps), &self.caps) }
    }

    /// Runs a guest to its end, in VMX operation of this processor; returns the exit status.
    pub(crate) fn run(
        &self,
        vmx: &mut VmxOperation,
        guest: &mut Guest,
        clock: &Clock,
        config: &Config<'_>,
    ) -> Result<u8, vmx::Error> {
        // SAFETY: the page has this processor's revision and is nobody else's.
        let mut vmcs = unsafe { vmx.create(leak_page(&self.caps)) }?;
        let vmcs = vmx.load(&mut vmcs)?;
        Ok(run::run(vmcs, &self.controls, &self.tables.host_state(), guest, clock, config))
    }
}

/// Makes a page for a VMX structure, for good.
fn leak_page(caps: &VmxCaps) -> Hpa {
    let page = Box::leak(Box::new(VmxPage::new(caps)));
    // Mapped one to one.
    Hpa::new(core::ptr::from_mut(page) as u64)
}
