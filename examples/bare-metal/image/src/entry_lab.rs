//! The entry lab: enters VMCSs with something wrong in them, and says what the processor did and what
//! the entry checker said that it may do.
#![no_std]
#![no_main]

extern crate alloc;

// The modules of the hypervisor that a lab needs as well.
#[allow(dead_code, reason = "the hypervisor uses all of it")]
mod hardware;
mod host;
mod lab_entry;
#[allow(dead_code, reason = "the hypervisor uses all of it")]
mod memory;
mod output;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::global_asm;
use core::panic::PanicInfo;

use bare_metal_image::lab::{Lab, Observed, Processor, Record};
use bare_metal_image::{BootInfo, Loader};
use guest_state::Hpa;
use vmx::hardware::{self as vmx_hardware, VmxOperation, VmxPage};
use vmx::{EntryCheck, Finding, Outcome, RuleId, Section, VmFail, VmcsSnapshot, check_live};

use hardware::{IdentityMap, cpuid, rdtsc, stop};
use host::Tables;
use lab_entry::Bench;
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
    let options = info.options();
    let (seed, first_case, count) = (
        option(options, "seed=").unwrap_or(1),
        option(options, "first=").unwrap_or(0),
        option(options, "count=").unwrap_or(1000),
    );

    // SAFETY: CPL is 0.
    let caps = unsafe { vmx_hardware::capabilities() }
        .unwrap_or_else(|error| fail("capabilities", &error));
    // SAFETY: CPL is 0, and this code depends on no bit of CR0 and CR4 that VMX forbids.
    unsafe { vmx_hardware::enable(&caps) }.unwrap_or_else(|error| fail("VMX", &error));
    let page = Box::leak(Box::new(VmxPage::new(&caps)));
    // Mapped one to one.
    let region = Hpa::new(core::ptr::from_mut(page) as u64);
    // SAFETY: `enable` succeeded, the capabilities are this processor's, the page is nobody else's,
    // and nothing moves this code to another processor.
    let operation = unsafe { VmxOperation::enter(region, &caps) };
    let _operation = operation.unwrap_or_else(|error| fail("VMXON", &error));

    // At the end of RAM: where they are must not depend on how the image was linked, since the cases
    // depend on it.
    let (first, _) = HostMemory::new(&info)
        .tables(lab_entry::PAGES)
        .unwrap_or_else(|error| fail("memory", &error));
    let pages = lab_entry::pages(first.as_u64());
    let features = cpuid(7, 0);
    let processor = Processor {
        caps,
        has_sgx: features.ebx & 1 << 2 != 0,
        has_rtm: features.ebx & 1 << 11 != 0,
        has_bus_lock_detect: features.ecx & 1 << 24 != 0,
        host: tables.host_state(),
        host_rip: lab_entry::exit_address(),
        pages,
    };
    let lab = Lab::new(processor).unwrap_or_else(|error| fail("the lab", &error));
    // SAFETY: VMX operation lasts as long as the image; the pages were zeroed and given to nobody
    // else, and their slice was dropped.
    let mut bench = unsafe { Bench::new(pages, &caps) };
    say_missing_fields(&lab, &mut bench);
    // To see what a case is that ends the lab.
    let dry = option(options, "dry=") == Some(1);
    for number in first_case..first_case.saturating_add(count) {
        match record(&lab, &mut bench, seed.into(), number, dry) {
            Ok(record) => say!("{record}"),
            Err(error) => say!("case {number:x} can't be entered: {error}"),
        }
    }
    say!("end of the lab");
    finish(0)
}

/// Enters one case.
fn record(
    lab: &Lab,
    bench: &mut Bench,
    seed: u64,
    number: u32,
    dry: bool,
) -> Result<Record, VmFail> {
    let case = lab.case(seed, number);
    // SAFETY: the lab was made with the pages of the bench.
    unsafe { bench.prepare(lab, &case) }?;
    let caps = &lab.processor().caps;
    let mut broken = Vec::new();
    let mut first_entry = None;
    let context = lab.context(&case);
    let predicted = check_live(bench.live(), caps, context, |rule, fault| {
        broken.push(rule.id);
        if let Some((entry, _)) = fault.entry {
            first_entry = Some(first_entry.map_or(entry, |first: u32| first.min(entry)));
        }
    });
    let vmcs = VmcsSnapshot::of(bench.live());
    let check = EntryCheck::new(&vmcs, Some(caps), context);
    let is_open = |finding| matches!(finding, Finding::NotCheckable(_) | Finding::NotDecidable(_));
    let open: Vec<_> =
        check.findings().filter(|(_, found)| is_open(*found)).map(|(rule, _)| rule.id).collect();
    let ticks = rdtsc();
    let observed = match dry {
        true => Observed::Error(0),
        // SAFETY: the case is the lab's, and in place.
        false => unsafe { bench.enter(&case) }?,
    };
    let observed = match observed {
        Observed::Exit(34, entry) if is_entry(entry, first_entry, &open) => {
            Observed::Outcome(Outcome::MsrLoading)
        }
        other => other,
    };
    Ok(Record {
        number,
        base: case.base,
        ticks,
        observed,
        predicted: predicted.iter().collect(),
        broken,
        open,
        changes: lab.changes(&case).collect(),
        around: lab.around(&case),
    })
}

/// Tells whether the number of an entry of the MSR list is the one at which loading has to fail:
/// the first that is broken, or one before it that a rule leaves open.
fn is_entry(entry: u64, first_broken: Option<u32>, open: &[RuleId]) -> bool {
    let leaves_open = open.iter().any(|rule| rule.section == Section::MsrLoad);
    match first_broken.map(u64::from) {
        Some(first) => entry == first || (entry < first && leaves_open),
        None => true,
    }
}

/// Says which fields the processor has against its capabilities, or lacks.
fn say_missing_fields(lab: &Lab, bench: &mut Bench) {
    // SAFETY: the lab was made with the pages of the bench.
    if let Err(error) = unsafe { bench.prepare(lab, &lab.base(0)) } {
        say!("the first state can't be written: {error}");
    }
    for info in vmx::FIELDS {
        let has = bench.live().has(info.encoding);
        if has != lab.processor().caps.has_field(info.encoding) {
            say!("field {} {}", info.constant, if has { "is there" } else { "is lacking" });
        }
    }
}

/// Returns the number of an option.
fn option(options: &str, name: &str) -> Option<u32> {
    options.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.parse().ok())
}

fn fail(what: &str, error: &dyn core::error::Error) -> ! {
    say!("{what}: {error}");
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
