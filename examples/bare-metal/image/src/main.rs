//! A hypervisor on bare metal, from the loader's jump to the guest's end.
#![no_std]
#![no_main]

extern crate alloc;

mod board;
mod clock;
mod cpu;
mod crash;
mod exits;
mod guest;
mod hardware;
mod host;
mod memory;
mod msr;
mod output;
mod run;
mod session;
mod smp;
mod string_io;

use alloc::boxed::Box;
use core::arch::global_asm;
use core::panic::PanicInfo;

use bare_metal_image::{BootInfo, Config, Loader, enabled_processors};
use guest_state::Hpa;
use vmx::VmxCaps;
use vmx::hardware::{self as vmx_hardware, VmxOperation, VmxPage};

use clock::Clock;
use guest::Guest;
use hardware::{IdentityMap, cpuid, enable_xsave, outb};
use host::Tables;
use memory::HostMemory;
use output::finish;

global_asm!(include_str!("boot.s"));

/// The exit statuses that are not the guest's.
mod status {
    pub(crate) const USAGE: u8 = 64;
    pub(crate) const BAD_IMAGE: u8 = 65;
    pub(crate) const NO_VMX: u8 = 69;
    pub(crate) const HOST_CHANGED: u8 = 70;
}

/// What `boot.s` calls, with how it was started and where the loader's information is.
#[unsafe(no_mangle)]
extern "C" fn hypervisor_main(started_by: u32, information: u32) -> ! {
    // 1. Something to allocate from, somebody to talk to, and a way to report our own faults.
    // SAFETY: nothing was allocated before.
    unsafe { memory::init_heap() };
    output::init();
    let tables = Tables::load();

    // 2. What did the loader bring?
    let loader = if started_by == 1 { Loader::Pvh } else { Loader::Multiboot2 };
    let info = BootInfo::read(loader, information.into(), &IdentityMap)
        .unwrap_or_else(|error| fail(status::USAGE, &error));
    let config: Config<'static> =
        Config::parse(info.options()).unwrap_or_else(|error| fail(status::USAGE, &error));

    // 3. What can the processor do? Without VMX, or with VMX locked off, this is the end.
    // SAFETY: CPL is 0.
    let caps: VmxCaps = unsafe { vmx_hardware::capabilities() }
        .unwrap_or_else(|error| fail(status::NO_VMX, &error));
    let controls = cpu::solve_controls(&caps).unwrap_or_else(|error| fail(status::NO_VMX, &error));
    // SAFETY: CPL is 0, and this code depends on no bit of CR0 and CR4 that VMX forbids.
    if let Err(error) = unsafe { vmx_hardware::enable(&caps) } {
        fail(status::NO_VMX, &error);
    }
    enable_xsave();

    // 4. The host's interrupts stay off for ever: time comes from the TSC.
    mask_interrupt_controllers();
    let clock = Clock::calibrate();
    let processors = info.rsdp.and_then(|rsdp| enabled_processors(&IdentityMap, rsdp));
    let processors = processors.unwrap_or_default();
    let others = smp::start_others(&processors, &clock);
    say!(
        "{} MiB, {} MHz, {} processors with VMX",
        memory::ram_bytes(&info.memory) >> 20,
        clock.hertz() / 1_000_000,
        others + 1
    );

    // 5. VMXON. It ends with `vmx`, that is never.
    // SAFETY: `enable` succeeded, the capabilities are this processor's, the page is nobody else's,
    // and nothing moves this code to another processor.
    let vmx = unsafe { VmxOperation::enter(leak_page(&caps), &caps) };
    let mut vmx = vmx.unwrap_or_else(|error| fail(status::NO_VMX, &error));

    // 6. A guest: its memory behind EPT, its devices, its registers.
    let bios_area = memory::bios_area_sum();
    let mut host = HostMemory::new(&info);
    let signature = cpuid(1, 0).eax;
    let guest = Guest::new(&info, &config, &caps, &mut host, &clock, signature);
    let mut guest = guest.unwrap_or_else(|error| fail(status::BAD_IMAGE, &error));

    // 7. A VMCS, and into the guest until it ends.
    // SAFETY: the page has this processor's revision and is nobody else's.
    let vmcs = unsafe { vmx.create(leak_page(&caps)) };
    let mut vmcs = vmcs.unwrap_or_else(|error| fail(status::NO_VMX, &error));
    let vmcs = vmx.load(&mut vmcs).unwrap_or_else(|error| fail(status::NO_VMX, &error));
    let status = run::run(vmcs, &controls, &tables.host_state(), &mut guest, &clock, &config);

    // 8. Whatever the guest did to its own BIOS, the host's is as it was; or else the run failed.
    if memory::bios_area_sum() != bios_area {
        say!("the host's BIOS area has changed");
        finish(status::HOST_CHANGED)
    }
    say!("the host's BIOS area is unchanged");
    finish(status)
}

/// Makes a page for a VMX structure, for good.
fn leak_page(caps: &VmxCaps) -> Hpa {
    let page = Box::leak(Box::new(VmxPage::new(caps)));
    // Mapped one to one.
    Hpa::new(core::ptr::from_mut(page) as u64)
}

/// Masks both 8259s, so that no interrupt of the host comes while a guest runs.
fn mask_interrupt_controllers() {
    outb(0x21, 0xFF);
    outb(0xA1, 0xFF);
}

/// Says what is wrong, with all its causes, and ends.
fn fail(status: u8, error: &dyn core::error::Error) -> ! {
    say!("{}", crash::InFull(error));
    finish(status)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("the hypervisor panicked: {info}");
    finish(status::NO_VMX)
}
