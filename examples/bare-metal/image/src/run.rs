//! A guest's run, from its first entry to its end, and what is said about it.

use alloc::string::String;
use alloc::vec;
use core::fmt::{self, Write};

use bare_metal_image::{Config, FieldValue};
use machine::Xen;
use vmx::hardware::{CurrentVmcs, ExtendedState, GuestContext, XsaveBlock};
use vmx::{Controls, HostState, VmcsAccess, check_live};

use crate::clock::Clock;
use crate::cpu::{Cpu, prepare};
use crate::crash::{Crash, report};
use crate::guest::Guest;
use crate::hardware::{allowed_components, rdtsc};
use crate::say;
use crate::session::{Session, Stats};

const STATUS_CRASHED: u8 = 70;

/// Runs a guest to its end; returns the exit status.
pub(crate) fn run(
    mut vmcs: CurrentVmcs<'_>,
    controls: &Controls,
    host: &HostState,
    guest: &mut Guest,
    clock: &Clock,
    config: &Config<'_>,
) -> u8 {
    let start = rdtsc();
    let mut cpu = Cpu::new(controls, vmcs.caps(), &guest.board, clock.hertz());
    if guest.sees_xen {
        Xen::leaves().into_iter().for_each(|(leaf, answer)| cpu.cpuid_table.set(leaf, answer));
    }
    let mut session = Session::new(guest, clock, cpu, config.exit_on_reset);
    let mut context = GuestContext::new(&session.guest.first_state());
    let ended = prepare(&mut vmcs, controls, host, &session.guest.board)
        .map_err(Crash::from)
        .and_then(|()| run_to_end(&mut vmcs, &mut context, &mut session, config));
    // Said as a whole, since other guests may end at the same time.
    let mut said = String::new();
    let status = ended.unwrap_or_else(|crash| {
        let state = session.cpu.state(&vmcs, &context).ok();
        let _ = report(&mut said, &crash, state.as_ref(), &session.guest.board);
        if let Crash::EntryFailure(_) | Crash::Vmx(_) = crash {
            let _ = tell_broken_rules(&mut said, &vmcs);
        }
        let _ = writeln!(said, "the guest crashed (VMCS at {})", vmcs.region());
        STATUS_CRASHED
    });
    if config.stats {
        let _ = tell(&mut said, &session.stats, rdtsc() - start, session.guest);
    }
    for line in said.lines() {
        match session.guest.label {
            Some(number) => say!("guest {number}: {line}"),
            None => say!("{line}"),
        }
    }
    status
}

fn run_to_end(
    vmcs: &mut CurrentVmcs<'_>,
    context: &mut GuestContext,
    session: &mut Session<'_>,
    config: &Config<'_>,
) -> Result<u8, Crash> {
    session.start(vmcs, context)?;
    let allowed = allowed_components();
    if let Some(FieldValue { field, value }) = config.set {
        vmcs.write_raw(field, value)?;
    }
    let Some(blocks) = ExtendedState::blocks(allowed) else {
        // A CPU without XSAVE.
        // SAFETY:
        // 1. The VMCS points to pages of this guest alone: its RAM, ROM and tables by EPT, its MSR
        //    bitmap; no lists are used. The session changes none of these but EPT, within them.
        // 2. The host state was taken from the registers that this code runs with.
        // 3. `boot.s` set CR4.OSFXSR.
        // 4. What is not switched (CR2 and XMM are; MSRs of system calls, debug registers) nothing of
        //    the host uses.
        // 5. The area comes from `GuestContext::new`, here and in the session.
        // 6. There is one VMCS.
        unsafe { vmcs.run(context, session) }?;
        return session.take_end();
    };
    let mut area = vec![XsaveBlock::ZERO; blocks];
    let mut extended = ExtendedState::new(&mut area, allowed)?;
    // SAFETY: as above. `enable_xsave` set CR4.OSXSAVE; the components are those that
    // `serve_xsetbv` lets the guest enable, and go together.
    unsafe { vmcs.run_extended(context, &mut extended, session) }?;
    session.take_end()
}

/// Writes which rules of a VM entry the VMCS breaks.
fn tell_broken_rules(out: &mut impl Write, vmcs: &CurrentVmcs<'_>) -> fmt::Result {
    let mut written = Ok(());
    let outcomes = check_live(vmcs, vmcs.caps(), vmcs.entry_context(), |rule, fault| {
        let said = writeln!(
            out,
            "  rule {}: {fault}; wanted: {}\n    {}",
            rule.id, rule.wanted, rule.title
        );
        written = written.and(said);
    });
    written?;
    writeln!(out, "  by the rules that can be checked an entry gives {outcomes:?}")
}

fn tell(out: &mut impl Write, stats: &Stats, ticks: u64, guest: &Guest) -> fmt::Result {
    let exits: u64 = stats.exits.iter().sum();
    writeln!(out, "statistics")?;
    writeln!(out, "  TSC ticks              {ticks}, up to {}", rdtsc())?;
    writeln!(out, "  console bytes          {}", guest.board.console_bytes)?;
    writeln!(out, "  resets                 {}", stats.resets)?;
    writeln!(out, "  exits                  {exits}")?;
    for (reason, count) in stats.exits.iter().enumerate().filter(|(_, count)| **count != 0) {
        let reason = vmx::BasicReason(u16::try_from(reason).unwrap_or(u16::MAX));
        writeln!(out, "    {reason}: {count}")?;
    }
    Ok(())
}
