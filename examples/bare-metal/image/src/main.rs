//! A hypervisor on bare metal, from the loader's jump to the guests' end.
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
mod processor;
mod run;
mod session;
mod smp;
mod string_io;
mod work;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::global_asm;
use core::panic::PanicInfo;

use bare_metal_image::{BootInfo, Config, Loader, enabled_processors};

use clock::Clock;
use guest::Guest;
use hardware::{IdentityMap, cpuid, outb};
use host::Tables;
use memory::HostMemory;
use output::finish;
use processor::Processor;
use work::Work;

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
    let guests = info.guests();
    let configs = guests.iter().map(|guest| Config::parse(guest.options));
    let configs: Vec<Config<'static>> =
        configs.collect::<Result<_, _>>().unwrap_or_else(|error| fail(status::USAGE, &error));

    // 3. What can the processor do? Without VMX, or with VMX locked off, this is the end.
    let processor = Processor::new(tables).unwrap_or_else(|error| fail(status::NO_VMX, &error));

    // 4. The host's interrupts stay off for ever: time comes from the TSC.
    mask_interrupt_controllers();
    let clock = Clock::calibrate();
    let processors = info.rsdp.and_then(|rsdp| enabled_processors(&IdentityMap, rsdp));
    let processors = processors.unwrap_or_default();
    let usable = smp::start_others(&processors, &clock) + 1;
    say!(
        "{} MiB, {} MHz, {usable} processors with VMX",
        memory::ram_bytes(&info.memory) >> 20,
        clock.hertz() / 1_000_000,
    );
    if guests.len() > usable as usize {
        say!("{} guests need a processor each, and there are {usable}", guests.len());
        finish(status::NO_VMX)
    }

    // 5. Guests: their memory behind EPT, their devices, their registers.
    let bios_area = memory::bios_area_sum();
    let mut host = HostMemory::new(&info);
    let signature = cpuid(1, 0).eax;
    let mut work = Vec::new();
    for (files, config) in guests.iter().zip(configs) {
        let guest = Guest::new(files, &config, &processor.caps, &mut host, &clock, signature);
        let mut guest = guest.unwrap_or_else(|error| fail(status::BAD_IMAGE, &error));
        guest.label = (guests.len() > 1).then_some(files.number);
        work.push(Work { guest: Box::new(guest), config, clock });
    }

    // 6. One for each processor, of which this is the first: VMXON, a VMCS, and into the guest
    //    until it ends.
    let own = work.remove(0);
    work::hand_out(work);
    work::run(&processor, own);
    let status = work::wait_for_all(guests.len());

    // 7. Whatever the guests did to their own BIOS, the host's is as it was; or else the run failed.
    if memory::bios_area_sum() != bios_area {
        say!("the host's BIOS area has changed");
        finish(status::HOST_CHANGED)
    }
    say!("the host's BIOS area is unchanged");
    finish(status)
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
