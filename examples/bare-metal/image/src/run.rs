//! The guest's life: in, out, and in again, until it ends.

use core::hint::spin_loop;

use bare_metal_image::{Config, FieldValue};
use guest_state::rflags;
use machine::{Lint, Nanos, Request, Reset};
use vmx::hardware::CurrentVmcs;
use vmx::{
    Controls, Event, Exit, ExitReason, HostState, Interruptibility, VmcsAccess, check_live, field,
    interrupted_event, restore_nmi_blocking,
};

use crate::clock::Clock;
use crate::crash::{Crash, report};
use crate::fast::answer;
use crate::guest::Guest;
use crate::hardware::rdtsc;
use crate::say;
use crate::vcpu::Vcpu;

const STATUS_CRASHED: u8 = 70;
const STATUS_RESET: u8 = 80;
/// Basic exit reasons that are counted one by one.
const REASONS: usize = 80;

/// What a run took.
struct Stats {
    start: u64,
    exits: [u64; REASONS],
    resets: u64,
    /// Exits that were answered without leaving the run stub.
    answered: u64,
}

/// Runs a guest to its end; returns the exit status.
pub(crate) fn run(
    vmcs: CurrentVmcs<'_>,
    controls: &Controls,
    host: &HostState,
    guest: &mut Guest,
    clock: &Clock,
    config: &Config<'_>,
) -> u8 {
    let mut stats = Stats { start: rdtsc(), exits: [0; REASONS], resets: 0, answered: 0 };
    let made = Vcpu::new(vmcs, controls, host, &guest.board, clock.hertz());
    let status = match made {
        Ok(mut vcpu) => match run_to_end(&mut vcpu, guest, clock, config, &mut stats) {
            Ok(status) => {
                stats.answered = vcpu.fast.answered;
                status
            }
            Err(crash) => {
                report(&crash, vcpu.state().ok().as_ref(), &guest.board);
                if let Crash::EntryFailure(_) | Crash::Vmx(_) = crash {
                    tell_broken_rules(&vcpu);
                }
                say!("the guest crashed (VMCS at {})", vcpu.region());
                STATUS_CRASHED
            }
        },
        Err(error) => {
            report(&error.into(), None, &guest.board);
            STATUS_CRASHED
        }
    };
    if config.stats {
        tell(&stats, guest);
    }
    status
}

/// Says which rules of a VM entry the VMCS breaks.
fn tell_broken_rules(vcpu: &Vcpu<'_>) {
    let context = vcpu.vmcs.entry_context();
    let outcomes = check_live(&vcpu.vmcs, &vcpu.caps, context, |rule, fault| {
        say!("  rule {}: {fault}; wanted: {}", rule.id, rule.wanted);
        say!("    {}", rule.title);
    });
    say!("  by the rules that can be checked an entry gives {outcomes:?}");
}

fn tell(stats: &Stats, guest: &Guest) {
    let ticks = rdtsc() - stats.start;
    let exits: u64 = stats.exits.iter().sum();
    say!("statistics");
    say!("  TSC ticks              {ticks}, up to {}", rdtsc());
    say!("  console bytes          {}", guest.board.console_bytes);
    say!("  resets                 {}", stats.resets);
    say!("  exits answered at once {}", stats.answered);
    say!("  other exits            {exits}");
    for (reason, count) in stats.exits.iter().enumerate().filter(|(_, count)| **count != 0) {
        let reason = vmx::BasicReason(u16::try_from(reason).unwrap_or(u16::MAX));
        say!("    {reason}: {count}");
    }
}

fn run_to_end(
    vcpu: &mut Vcpu<'_>,
    guest: &mut Guest,
    clock: &Clock,
    config: &Config<'_>,
    stats: &mut Stats,
) -> Result<u8, Crash> {
    vcpu.load(&guest.first_state())?;
    let mut set = config.set;
    loop {
        // 1. Let the devices catch up with time, and give the CPU what waits for it.
        catch_up(guest, clock);
        offer_events(vcpu, guest)?;
        if vcpu.is_halted {
            wait(vcpu, guest, clock)?;
            continue;
        }
        arm_timer(vcpu, guest, clock);

        // 2. Into the guest, and out again.
        if let Some(FieldValue { field, value }) = set.take() {
            vcpu.vmcs.write_raw(field, value)?;
        }
        let Vcpu { vmcs, context, fast, .. } = &mut *vcpu;
        // SAFETY:
        // 1. The VMCS points to pages of this guest alone: its RAM, ROM and tables by EPT, its MSR
        //    bitmap; no lists are used.
        // 2. The host state was taken from the registers that this code runs with.
        // 3. `boot.s` set CR4.OSFXSR.
        // 4. What is not switched (CR2 and XMM are; MSRs of system calls, debug registers, XCR0)
        //    nothing of the host uses.
        unsafe { vmcs.run(context, answer, fast) }?;
        restore_nmi_blocking(&mut vcpu.vmcs)?;
        vcpu.pending.next = interrupted_event(&vcpu.vmcs)?;

        // 3. Why did it come?
        let reason = ExitReason(vcpu.vmcs.get(field::EXIT_REASON));
        if let Some(count) = stats.exits.get_mut(usize::from(reason.basic().0)) {
            *count += 1;
        }
        let exit = Exit::decode_reason(reason, &vcpu.vmcs)?;
        if reason.is_entry_failure() {
            return Err(Crash::EntryFailure(exit));
        }
        vcpu.serve(exit, guest, clock)?;

        // 4. What does the guest want of the machine?
        if let Some(error) = guest.board.refused.take() {
            return Err(error.into());
        }
        match guest.board.requested.take() {
            None => {}
            Some(Request::PowerOff) => return Ok(0),
            Some(Request::Exit(status)) => return Ok(status.get()),
            Some(Request::Reset(_)) if config.exit_on_reset => return Ok(STATUS_RESET),
            Some(Request::Reset(reset)) => {
                stats.resets += 1;
                restart(vcpu, guest, reset)?;
            }
        }
    }
}

fn catch_up(guest: &mut Guest, clock: &Clock) {
    let now = clock.now();
    let due = |deadline: Option<Nanos>| deadline.is_some_and(|deadline| deadline <= now);
    if due(guest.devices.deadline()) {
        guest.devices.advance(now, &mut guest.board);
    }
    if due(guest.board.apic.deadline()) {
        guest.board.apic.advance(now);
    }
}

/// Injects what can be injected now, and asks for an exit where something has to wait.
fn offer_events(vcpu: &mut Vcpu<'_>, guest: &mut Guest) -> Result<(), Crash> {
    let Guest { devices, board, .. } = guest;
    if core::mem::take(&mut board.nmi) {
        vcpu.pending.nmi = true;
    }
    let asks = devices.external_interrupt();
    if board.apic.set_lint(Lint::Lint0, asks).is_some() {
        vcpu.pending.nmi = true;
    }
    let vector = board.apic.pending_vector();
    let external = vector.is_none() && asks && board.apic.external_interrupt();
    vcpu.pending.interrupt = match vector {
        Some(vector) => Some(vector),
        // The 8259s name their vector only as the CPU takes it.
        None if external && takes_interrupt(vcpu) => {
            let vector = devices.acknowledge();
            let asks = devices.external_interrupt();
            let _ = board.apic.set_lint(Lint::Lint0, asks);
            Some(vector)
        }
        None => external.then_some(0),
    };
    let was_halted = vcpu.is_halted;
    if vcpu.pending.next.is_none() && vcpu.pending.interrupt.is_none() && !vcpu.pending.nmi {
        if vcpu.vmcs.get(field::PRIMARY_CONTROLS) & WINDOWS != 0 {
            vcpu.pending.plan(&mut vcpu.vmcs)?;
        }
        return Ok(());
    }
    let plan = vcpu.pending.plan(&mut vcpu.vmcs)?;
    if plan.inject.is_some() {
        vcpu.is_halted = false;
    }
    if let (Some(Event::ExternalInterrupt { vector: injected }), Some(vector)) =
        (plan.inject, vector)
        && injected == vector
    {
        board.apic.accept(vector);
    }
    vcpu.pending.interrupt = None;
    debug_assert!(was_halted || !vcpu.is_halted);
    Ok(())
}

/// The controls for window exits.
const WINDOWS: u32 = vmx::PrimaryControls::INTERRUPT_WINDOW_EXITING.bits()
    | vmx::PrimaryControls::NMI_WINDOW_EXITING.bits();

/// Tells whether an interrupt could be injected now.
fn takes_interrupt(vcpu: &Vcpu<'_>) -> bool {
    let shadow = Interruptibility::BLOCKING_BY_STI | Interruptibility::BLOCKING_BY_MOV_SS;
    let blocking = vcpu.vmcs.get(field::GUEST_INTERRUPTIBILITY_STATE);
    vcpu.pending.next.is_none()
        && !vcpu.pending.nmi
        && blocking & shadow.bits() == 0
        && vcpu.vmcs.get(field::GUEST_RFLAGS) & rflags::IF != 0
}

fn next_deadline(guest: &Guest) -> Option<Nanos> {
    [guest.devices.deadline(), guest.board.apic.deadline()].into_iter().flatten().min()
}

/// Lets the guest run until the next deadline at the latest.
fn arm_timer(vcpu: &mut Vcpu<'_>, guest: &Guest, clock: &Clock) {
    let ticks = match next_deadline(guest) {
        Some(deadline) => clock.ticks(deadline.saturating_sub(clock.now())),
        None => u64::MAX,
    };
    let ticks = ticks >> vcpu.caps.preemption_timer_shift();
    let ticks = u32::try_from(ticks).unwrap_or(u32::MAX).max(1);
    vcpu.vmcs.set(field::PREEMPTION_TIMER_VALUE, ticks);
}

/// Passes the time of a halted CPU.
fn wait(vcpu: &Vcpu<'_>, guest: &Guest, clock: &Clock) -> Result<(), Crash> {
    if vcpu.vmcs.get(field::GUEST_RFLAGS) & rflags::IF == 0 {
        return Err(Crash::Halted);
    }
    let deadline = next_deadline(guest).ok_or(Crash::Halted)?;
    while clock.now() < deadline {
        spin_loop();
    }
    Ok(())
}

/// Starts the guest again, as far as `reset` goes.
fn restart(vcpu: &mut Vcpu<'_>, guest: &mut Guest, reset: Reset) -> Result<(), Crash> {
    // Without firmware at the reset vector only a start from nothing leads anywhere.
    let reset = if guest.has_firmware { reset } else { Reset::PowerCycle };
    let mut state = guest.first_state();
    if reset == Reset::Init {
        state = vcpu.state()?;
        state.init(guest.signature);
        guest.board.apic.init();
    } else {
        guest.devices.reset();
        guest.board.unshadow();
        guest.board.apic.reset();
        if !guest.has_firmware {
            guest.board.apic.set_virtual_wire();
        }
    }
    if reset == Reset::PowerCycle {
        guest.board.load(&guest.plan, false)?;
    }
    vcpu.load(&state)?;
    Ok(())
}
