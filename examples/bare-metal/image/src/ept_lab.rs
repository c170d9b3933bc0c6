//! The EPT lab: accesses of a guest through tables that are right, protected, empty and wrong, and
//! through tables whose edit was not followed by INVEPT. Says what the processor did and what the
//! crate `ept` said that it would do.
#![no_std]
#![no_main]

extern crate alloc;

mod ept_bench;
mod ept_cases;
mod ept_edits;
mod ept_entries;
// The modules of the hypervisor that a lab needs as well.
#[allow(dead_code, reason = "the hypervisor uses all of it")]
mod hardware;
mod host;
#[allow(dead_code, reason = "the hypervisor uses all of it")]
mod memory;
mod output;

use alloc::boxed::Box;
use core::arch::global_asm;
use core::panic::PanicInfo;

use bare_metal_image::{BootInfo, Loader};
use guest_state::Hpa;
use vmx::VmxCaps;
use vmx::hardware::{self as vmx_hardware, VmxOperation, VmxPage};

use ept_bench::Bench;
use hardware::{IdentityMap, stop};
use host::Tables;
use memory::HostMemory;
use output::finish;

global_asm!(include_str!("boot.s"));

/// The exit status of a lab that can't go on.
const FAILED: u8 = 69;

#[unsafe(no_mangle)]
extern "C" fn hypervisor_main(started_by: u32, information: u32) -> ! {
    // SAFETY: nothing was allocated before.
    unsafe { memory::init_heap() };
    output::init();
    let tables = Tables::load();
    let loader = if started_by == 1 { Loader::Pvh } else { Loader::Multiboot2 };
    let info = BootInfo::read(loader, information.into(), &IdentityMap)
        .unwrap_or_else(|error| fail("boot information", &error));

    // SAFETY: CPL is 0.
    let caps = unsafe { vmx_hardware::capabilities() }
        .unwrap_or_else(|error| fail("capabilities", &error));
    // SAFETY: CPL is 0, and this code depends on no bit of CR0 and CR4 that VMX forbids.
    unsafe { vmx_hardware::enable(&caps) }.unwrap_or_else(|error| fail("VMX", &error));
    // SAFETY: `enable` succeeded, the capabilities are this processor's, the page is nobody else's,
    // and nothing moves this code to another processor.
    let operation = unsafe { VmxOperation::enter(leak_page(&caps), &caps) };
    let mut operation = operation.unwrap_or_else(|error| fail("VMXON", &error));
    // SAFETY: the page has this processor's revision and is nobody else's.
    let vmcs = unsafe { operation.create(leak_page(&caps)) };
    let mut vmcs = vmcs.unwrap_or_else(|error| fail("VMCLEAR", &error));
    let vmcs = operation.load(&mut vmcs).unwrap_or_else(|error| fail("VMPTRLD", &error));

    let mut host = HostMemory::new(&info);
    let bench = Bench::new(vmcs, &tables.host_state(), &mut host);
    let mut bench = bench.unwrap_or_else(|error| fail("the bench", &error));
    if let Err(error) = ept_cases::run_all(&mut bench, &mut host) {
        fail("the lab", &error);
    }
    say!("end of the lab");
    finish(0)
}

/// Makes a page for a VMX structure, for good.
fn leak_page(caps: &VmxCaps) -> Hpa {
    let page = Box::leak(Box::new(VmxPage::new(caps)));
    // Mapped one to one.
    Hpa::new(core::ptr::from_mut(page) as u64)
}

fn fail(what: &str, error: &dyn core::error::Error) -> ! {
    let mut cause = Some(error);
    while let Some(error) = cause {
        say!("{what}: {error}");
        cause = error.source();
    }
    finish(FAILED)
}

/// The lab has one processor; `boot.s` names what others would run.
#[unsafe(no_mangle)]
extern "C" fn application_processor_main() -> ! {
    stop()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("the lab panicked: {info}");
    finish(FAILED)
}
