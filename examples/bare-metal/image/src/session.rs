//! The loop that a guest lives in: why did it come out, what does that ask for, what waits for it,
//! and in again.
//!
//! An exit costs what it touches. A CPUID whose answer the table has is the first case of the
//! handler, which looks at the clock and goes in again. All else is decoded. What touches nothing but
//! registers looks at the clock alone as well. What touches devices [settles](Session::settle): the
//! devices catch up with time, events are offered, the timer is set. What needs registers that the
//! run stub left in the processor, or ends or restarts the guest, is passed on for that.

use core::hint::{cold_path, spin_loop};

use guest_state::rflags;
use machine::{Lint, Nanos, Request, Reset};
use vmx::hardware::{CurrentVmcs, ExitHandler, GuestContext, OnExit, ScratchRegisters};
use vmx::{
    BasicReason, Event, Exit, ExitReason, Interruptibility, field, interrupted_event,
    restore_nmi_blocking,
};

use crate::clock::Clock;
use crate::cpu::Cpu;
use crate::crash::Crash;
use crate::guest::Guest;
use crate::hardware::{halves, rdtsc, reset_xcr0};

const STATUS_RESET: u8 = 80;
/// Basic exit reasons that are counted one by one.
const REASONS: usize = 128;
/// The longest that the guest runs without settling, in ticks of the TSC: differences between times
/// fit in 32 bits with a sign.
const MOST_TICKS: u64 = 1 << 30;

/// What a run took.
#[derive(Debug)]
pub(crate) struct Stats {
    /// Exits by basic reason.
    pub(crate) exits: [u64; REASONS],
    pub(crate) resets: u64,
}

/// What became of an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    /// It is answered, and touched nothing but registers.
    Apart,
    /// It is answered.
    Done,
    /// It needs all registers.
    NeedsAll,
}

/// A guest on its CPU.
///
/// First comes what the first case of the handler looks into: an offset would cost an instruction.
#[repr(C)]
pub(crate) struct Session<'g> {
    pub(crate) cpu: Cpu,
    pub(crate) guest: &'g mut Guest,
    pub(crate) clock: &'g Clock,
    pub(crate) stats: Stats,
    exit_on_reset: bool,
    /// When the devices want to be looked at: the low half of the TSC.
    due: u32,
    /// An exit that needs all registers.
    open: Option<Exit>,
    /// How the guest ended.
    end: Option<Result<u8, Crash>>,
}

impl ExitHandler for Session<'_> {
    // Each instruction counts, also that of a call.
    #[inline(always)]
    fn on_exit(&mut self, vmcs: &mut CurrentVmcs<'_>, registers: &mut ScratchRegisters) -> OnExit {
        const CPUID: u32 = BasicReason::CPUID.0 as u32;
        // Nothing here calls a function and comes back, so that no register has to be kept.
        let reason = vmcs.get(field::EXIT_REASON);
        let [leaf, subleaf] = [registers.rax, registers.rcx].map(|register| halves(register)[0]);
        if reason != CPUID {
            return self.on_other_exit(vmcs, registers, ExitReason(reason));
        }
        let Some(answer) = self.cpu.cpuid_table.get(leaf, subleaf) else {
            cold_path();
            return self.on_other_exit(vmcs, registers, ExitReason(reason));
        };
        [registers.rax, registers.rbx, registers.rcx, registers.rdx] = *answer;
        self.stats.exits[CPUID as usize] += 1;
        match vmcs.advance_rip() {
            // Passed on, it settles.
            true if self.is_due() => OnExit::PassOn,
            true => OnExit::Resume,
            false => self.on_end_of_instruction(vmcs),
        }
    }

    fn on_exit_with_all(&mut self, vmcs: &mut CurrentVmcs<'_>, guest: &mut GuestContext) -> OnExit {
        match self.go_on(vmcs, guest) {
            Ok(()) if self.end.is_none() => OnExit::Resume,
            Ok(()) => OnExit::PassOn,
            Err(crash) => {
                self.end = Some(Err(crash));
                OnExit::PassOn
            }
        }
    }
}

impl<'g> Session<'g> {
    pub(crate) fn new(
        guest: &'g mut Guest,
        clock: &'g Clock,
        cpu: Cpu,
        exit_on_reset: bool,
    ) -> Self {
        let stats = Stats { exits: [0; REASONS], resets: 0 };
        Self { guest, clock, cpu, stats, exit_on_reset, due: 0, open: None, end: None }
    }

    /// Makes everything ready for the first entry.
    pub(crate) fn start(
        &mut self,
        vmcs: &mut CurrentVmcs<'_>,
        context: &mut GuestContext,
    ) -> Result<(), Crash> {
        self.cpu.load(&self.guest.first_state(), vmcs, context)?;
        self.settle(vmcs)?;
        Ok(())
    }

    /// Says how the guest ended.
    pub(crate) fn take_end(&mut self) -> Result<u8, Crash> {
        self.end.take().unwrap_or(Ok(0))
    }

    /// Tells whether the devices want to be looked at.
    fn is_due(&self) -> bool {
        let [now, _] = halves(rdtsc());
        now.wrapping_sub(self.due).cast_signed() >= 0
    }

    #[inline(never)]
    fn on_other_exit(
        &mut self,
        vmcs: &mut CurrentVmcs<'_>,
        registers: &mut ScratchRegisters,
        reason: ExitReason,
    ) -> OnExit {
        if let Some(count) = self.stats.exits.get_mut(usize::from(reason.basic().0)) {
            *count += 1;
        }
        match self.serve_exit(reason, vmcs, registers) {
            Ok(Served::Apart) if !self.is_due() => OnExit::Resume,
            Ok(Served::Apart | Served::Done) => self.settle_or_pass_on(vmcs),
            Ok(Served::NeedsAll) => OnExit::PassOn,
            Err(crash) => {
                self.end = Some(Err(crash));
                OnExit::PassOn
            }
        }
    }

    fn serve_exit(
        &mut self,
        reason: ExitReason,
        vmcs: &mut CurrentVmcs<'_>,
        registers: &mut ScratchRegisters,
    ) -> Result<Served, Crash> {
        // No instruction exits while an event is delivered.
        if !reason.basic().is_instruction() {
            restore_nmi_blocking(vmcs)?;
            self.cpu.pending.next = interrupted_event(vmcs)?;
        }
        let exit = Exit::decode_reason(reason, vmcs)?;
        if reason.is_entry_failure() {
            return Err(Crash::EntryFailure(exit));
        }
        let served = self.serve(exit, vmcs, registers)?;
        if served == Served::NeedsAll {
            self.open = Some(exit);
        }
        Ok(served)
    }

    /// Ends an instruction that does more than move RIP, or at whose end the devices are due.
    #[inline(never)]
    fn on_end_of_instruction(&mut self, vmcs: &mut CurrentVmcs<'_>) -> OnExit {
        vmcs.complete_instruction();
        self.settle_or_pass_on(vmcs)
    }

    fn settle_or_pass_on(&mut self, vmcs: &mut CurrentVmcs<'_>) -> OnExit {
        match self.settle(vmcs) {
            Ok(true) => OnExit::Resume,
            Ok(false) => OnExit::PassOn,
            Err(crash) => {
                self.end = Some(Err(crash));
                OnExit::PassOn
            }
        }
    }

    /// Does what the exit needs all registers for, until the guest can go in again or has ended.
    fn go_on(
        &mut self,
        vmcs: &mut CurrentVmcs<'_>,
        context: &mut GuestContext,
    ) -> Result<(), Crash> {
        while self.end.is_none() {
            if let Some(exit) = self.open.take() {
                self.serve_with_all(exit, vmcs, context)?;
            }
            if let Some(request) = self.guest.board.requested.take() {
                self.obey(request, vmcs, context)?;
            } else if self.settle(vmcs)? {
                break;
            }
        }
        Ok(())
    }

    /// Does what the guest wants of the machine.
    fn obey(
        &mut self,
        request: Request,
        vmcs: &mut CurrentVmcs<'_>,
        context: &mut GuestContext,
    ) -> Result<(), Crash> {
        match request {
            Request::PowerOff => self.end = Some(Ok(0)),
            Request::Exit(status) => self.end = Some(Ok(status.get())),
            Request::Reset(_) if self.exit_on_reset => self.end = Some(Ok(STATUS_RESET)),
            Request::Reset(reset) => {
                self.stats.resets += 1;
                self.restart(reset, vmcs, context)?;
            }
        }
        Ok(())
    }

    /// Makes everything ready for the next entry; `false` if the guest wants something of the machine
    /// first.
    fn settle(&mut self, vmcs: &mut CurrentVmcs<'_>) -> Result<bool, Crash> {
        loop {
            if let Some(error) = self.guest.board.refused.take() {
                return Err(error.into());
            }
            if self.guest.board.requested.is_some() {
                return Ok(false);
            }
            self.catch_up();
            self.offer_events(vmcs)?;
            if !self.cpu.is_halted {
                self.arm_timer(vmcs);
                return Ok(true);
            }
            self.wait(vmcs)?;
        }
    }

    /// Lets the devices catch up with time.
    fn catch_up(&mut self) {
        let now = self.clock.now();
        let due = |deadline: Option<Nanos>| deadline.is_some_and(|deadline| deadline <= now);
        let Guest { devices, board, .. } = &mut *self.guest;
        if due(devices.deadline()) {
            devices.advance(now, board);
        }
        if due(board.apic.deadline()) {
            board.apic.advance(now);
        }
    }

    /// Injects what can be injected now, and asks for an exit where something has to wait.
    fn offer_events(&mut self, vmcs: &mut CurrentVmcs<'_>) -> Result<(), Crash> {
        let Guest { devices, board, .. } = &mut *self.guest;
        let cpu = &mut self.cpu;
        if core::mem::take(&mut board.nmi) {
            cpu.pending.nmi = true;
        }
        let asks = devices.external_interrupt();
        if board.apic.set_lint(Lint::Lint0, asks).is_some() {
            cpu.pending.nmi = true;
        }
        let vector = board.apic.pending_vector();
        let external = vector.is_none() && asks && board.apic.external_interrupt();
        cpu.pending.interrupt = match vector {
            Some(vector) => Some(vector),
            // The 8259s name their vector only as the CPU takes it.
            None if external && takes_interrupt(cpu, vmcs) => {
                let vector = devices.acknowledge();
                let asks = devices.external_interrupt();
                let _ = board.apic.set_lint(Lint::Lint0, asks);
                Some(vector)
            }
            None => external.then_some(0),
        };
        if cpu.pending.next.is_none() && cpu.pending.interrupt.is_none() && !cpu.pending.nmi {
            if vmcs.get(field::PRIMARY_CONTROLS) & WINDOWS != 0 {
                cpu.pending.plan(vmcs)?;
            }
            return Ok(());
        }
        let plan = cpu.pending.plan(vmcs)?;
        if plan.inject.is_some() {
            cpu.is_halted = false;
        }
        if let (Some(Event::ExternalInterrupt { vector: injected }), Some(vector)) =
            (plan.inject, vector)
            && injected == vector
        {
            board.apic.accept(vector);
        }
        cpu.pending.interrupt = None;
        Ok(())
    }

    fn next_deadline(&self) -> Option<Nanos> {
        let Guest { devices, board, .. } = &*self.guest;
        [devices.deadline(), board.apic.deadline()].into_iter().flatten().min()
    }

    /// Lets the guest run until the next deadline.
    ///
    /// Each exit leaves in the VMCS what is left of the timer, so that it is set here alone. It does
    /// not count while the host runs: what is late by that, the next exit finds.
    fn arm_timer(&mut self, vmcs: &mut CurrentVmcs<'_>) {
        let ticks = match self.next_deadline() {
            Some(deadline) => self.clock.ticks(deadline.saturating_sub(self.clock.now())),
            None => MOST_TICKS,
        };
        let [ticks, _] = halves(ticks.min(MOST_TICKS));
        let [now, _] = halves(rdtsc());
        self.due = now.wrapping_add(ticks);
        let timer = ticks >> vmcs.caps().preemption_timer_shift();
        vmcs.set(field::PREEMPTION_TIMER_VALUE, timer.max(1));
    }

    /// Passes the time of a halted CPU.
    fn wait(&self, vmcs: &CurrentVmcs<'_>) -> Result<(), Crash> {
        if vmcs.get(field::GUEST_RFLAGS) & rflags::IF == 0 {
            return Err(Crash::Halted);
        }
        let deadline = self.next_deadline().ok_or(Crash::Halted)?;
        while self.clock.now() < deadline {
            spin_loop();
        }
        Ok(())
    }

    /// Starts the guest again, as far as `reset` goes.
    fn restart(
        &mut self,
        reset: Reset,
        vmcs: &mut CurrentVmcs<'_>,
        context: &mut GuestContext,
    ) -> Result<(), Crash> {
        let guest = &mut *self.guest;
        // Without firmware at the reset vector only a start from nothing leads anywhere.
        let reset = if guest.has_firmware { reset } else { Reset::PowerCycle };
        let mut state = guest.first_state();
        if reset == Reset::Init {
            state = self.cpu.state(vmcs, context)?;
            state.init(guest.signature);
            guest.board.apic.init();
        } else {
            guest.devices.reset();
            guest.board.unshadow();
            guest.board.apic.reset();
            reset_xcr0();
            self.cpu.follow_xcr0();
            if !guest.has_firmware {
                guest.board.apic.set_virtual_wire();
            }
        }
        if reset == Reset::PowerCycle {
            guest.board.load(&guest.plan, false)?;
        }
        self.cpu.load(&state, vmcs, context)?;
        Ok(())
    }
}

/// The controls for window exits.
const WINDOWS: u32 = vmx::PrimaryControls::INTERRUPT_WINDOW_EXITING.bits()
    | vmx::PrimaryControls::NMI_WINDOW_EXITING.bits();

/// Tells whether an interrupt could be injected now.
fn takes_interrupt(cpu: &Cpu, vmcs: &CurrentVmcs<'_>) -> bool {
    let shadow = Interruptibility::BLOCKING_BY_STI | Interruptibility::BLOCKING_BY_MOV_SS;
    let blocking = vmcs.get(field::GUEST_INTERRUPTIBILITY_STATE);
    cpu.pending.next.is_none()
        && !cpu.pending.nmi
        && blocking & shadow.bits() == 0
        && vmcs.get(field::GUEST_RFLAGS) & rflags::IF != 0
}
