//! Which event goes in with the next entry, and which windows to wait for.

use guest_state::{Activity, cr0, rflags};

use super::{Event, has_virtual_nmis};
use crate::access::VmcsAccess;
use crate::nonregister::{activity_number, activity_of};
use crate::{Interruptibility, PrimaryControls, VmFail, field};

/// What waits to be delivered to a guest.
///
/// Each event is taken out when it goes in. What stays asks for an exit as soon as it can go in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingEvents {
    /// An event whose delivery an exit cut short, or that follows from emulation: it goes first.
    pub next: Option<Event>,
    /// An NMI waits.
    pub nmi: bool,
    /// The vector of an interrupt that the guest's interrupt controller wants to deliver.
    ///
    /// It is acknowledged there only once the plan has it as [`EventPlan::inject`].
    pub interrupt: Option<u8>,
}

/// What to do at the next entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPlan {
    /// What to inject.
    pub inject: Option<Event>,
    /// Whether to exit as soon as an interrupt is possible.
    pub interrupt_window: bool,
    /// Whether to exit as soon as an NMI is possible.
    pub nmi_window: bool,
}

/// What decides which events a guest takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Readiness {
    blocking: Interruptibility,
    interrupts_enabled: bool,
    activity: Activity,
}

impl EventPlan {
    /// Decides; see [`PendingEvents::plan`].
    fn new(pending: &PendingEvents, ready: Readiness) -> Self {
        let shadow = Interruptibility::BLOCKING_BY_STI | Interruptibility::BLOCKING_BY_MOV_SS;
        let in_shadow = ready.blocking.intersects(shadow);
        let takes_nmi = !in_shadow
            && !ready.blocking.contains(Interruptibility::BLOCKING_BY_NMI)
            && ready.activity != Activity::WaitForSipi;
        let takes_interrupt = !in_shadow
            && ready.interrupts_enabled
            && matches!(ready.activity, Activity::Active | Activity::Halted);
        let takes_next = match (ready.activity, pending.next) {
            (Activity::Active | Activity::Halted, _) => true,
            (Activity::Shutdown, Some(Event::Nmi | Event::Exception { vector: 18, .. })) => true,
            (Activity::Shutdown | Activity::WaitForSipi, _) => false,
        };
        let inject = match pending {
            PendingEvents { next: Some(event), .. } if takes_next => Some(*event),
            PendingEvents { nmi: true, .. } if takes_nmi => Some(Event::Nmi),
            PendingEvents { interrupt: Some(vector), .. } if takes_interrupt => {
                Some(Event::ExternalInterrupt { vector: *vector })
            }
            _ => None,
        };
        let nmi_goes = inject == Some(Event::Nmi) && pending.next != inject;
        let interrupt_goes = matches!(inject, Some(Event::ExternalInterrupt { .. }))
            && (pending.next.is_none() || !takes_next);
        Self {
            inject,
            interrupt_window: pending.interrupt.is_some() && !interrupt_goes,
            nmi_window: pending.nmi && !nmi_goes,
        }
    }
}

impl PendingEvents {
    /// Decides what goes into the guest with the next entry, writes it to the VMCS and takes it out
    /// of `self`.
    ///
    /// 1. [`next`](Self::next) goes first, whatever is blocked: its delivery has begun.
    /// 2. Then an NMI, if none is blocked and the guest is not in the shadow of STI or MOV SS.
    /// 3. Then an interrupt, if RFLAGS.IF is set and the guest is in no such shadow.
    ///
    /// A guest that halted is active once an event goes in; one that shut down takes NMI and #MC
    /// alone, one that waits for a SIPI nothing. What has to wait gets its window exit, provided
    /// that the guest can reach one; NMI windows need virtual NMIs, without them the NMI goes in
    /// at a later call.
    ///
    /// # Errors
    /// As [`VmcsAccess::read`] and [`VmcsAccess::write`].
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "Event Injection", "Interrupt-Window Exiting and Virtual-Interrupt
    /// Delivery", "NMI-Window Exiting" and the checks on VM-entry control fields.
    pub fn plan(&mut self, vmcs: &mut impl VmcsAccess) -> Result<EventPlan, VmFail> {
        let blocking = vmcs.read(field::GUEST_INTERRUPTIBILITY_STATE)?;
        let activity = vmcs.read(field::GUEST_ACTIVITY_STATE)?;
        let ready = Readiness {
            blocking: Interruptibility::from_bits_retain(blocking),
            interrupts_enabled: vmcs.read(field::GUEST_RFLAGS)? & rflags::IF != 0,
            activity: activity_of(activity).unwrap_or(Activity::Active),
        };
        let plan = EventPlan::new(self, ready);
        self.take(plan.inject);
        plan.write(vmcs, ready)?;
        Ok(plan)
    }

    fn take(&mut self, injected: Option<Event>) {
        if injected.is_none() {
            return;
        }
        if self.next == injected {
            self.next = None;
        } else if injected == Some(Event::Nmi) {
            self.nmi = false;
        } else {
            self.interrupt = None;
        }
    }
}

impl EventPlan {
    fn write(&self, vmcs: &mut impl VmcsAccess, ready: Readiness) -> Result<(), VmFail> {
        let mut primary = PrimaryControls::from_bits_retain(vmcs.read(field::PRIMARY_CONTROLS)?);
        let before = primary;
        let virtual_nmis = has_virtual_nmis(vmcs)?;
        primary.set(PrimaryControls::INTERRUPT_WINDOW_EXITING, self.interrupt_window);
        primary.set(PrimaryControls::NMI_WINDOW_EXITING, self.nmi_window && virtual_nmis);
        if primary != before {
            vmcs.write(field::PRIMARY_CONTROLS, primary.bits())?;
        }
        let Some(event) = self.inject else {
            return vmcs.write(field::ENTRY_INTERRUPTION_INFO, 0);
        };
        let protected = vmcs.read(field::GUEST_CR0)? & cr0::PE != 0;
        let info = event.info(protected);
        vmcs.write(field::ENTRY_INTERRUPTION_INFO, info.0)?;
        if info.has_error_code() {
            let error_code = event.error_code().unwrap_or_default();
            vmcs.write(field::ENTRY_EXCEPTION_ERROR_CODE, error_code)?;
        }
        if let Some(length) = event.instruction_length() {
            vmcs.write(field::ENTRY_INSTRUCTION_LENGTH, length.into())?;
        }
        // An NMI that goes in blocks NMIs by itself; one whose delivery was cut short has done so
        // already, which an entry under virtual NMIs takes for a mistake. Blocking by MOV SS, or
        // by STI with an interrupt or NMI, would be one too; what goes in came behind it.
        let shadow = Interruptibility::BLOCKING_BY_STI | Interruptibility::BLOCKING_BY_MOV_SS;
        let ended = match event {
            Event::Nmi => shadow | Interruptibility::BLOCKING_BY_NMI,
            Event::ExternalInterrupt { .. } => shadow,
            _ => Interruptibility::empty(),
        };
        if ready.blocking.intersects(ended) {
            let blocking = ready.blocking.difference(ended);
            vmcs.write(field::GUEST_INTERRUPTIBILITY_STATE, blocking.bits())?;
        }
        if ready.activity == Activity::Halted {
            vmcs.write(field::GUEST_ACTIVITY_STATE, activity_number(Activity::Active))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIVE: Readiness = Readiness {
        blocking: Interruptibility::empty(),
        interrupts_enabled: true,
        activity: Activity::Active,
    };
    const INTERRUPT: PendingEvents =
        PendingEvents { next: None, nmi: false, interrupt: Some(0x30) };

    #[test]
    fn an_interrupt_waits_for_its_window_while_interrupts_are_off() {
        let off = Readiness { interrupts_enabled: false, ..ACTIVE };
        let plan = EventPlan::new(&INTERRUPT, off);
        let waits = EventPlan { inject: None, interrupt_window: true, nmi_window: false };
        assert_eq!(plan, waits);
        let plan = EventPlan::new(&INTERRUPT, ACTIVE);
        assert_eq!(plan.inject, Some(Event::ExternalInterrupt { vector: 0x30 }));
        assert!(!plan.interrupt_window);
    }

    #[test]
    fn nothing_but_an_interrupted_event_goes_into_a_shadow() {
        let all =
            PendingEvents { next: Some(Event::exception(6)), nmi: true, interrupt: Some(0x30) };
        for blocking in [Interruptibility::BLOCKING_BY_STI, Interruptibility::BLOCKING_BY_MOV_SS] {
            let shadow = Readiness { blocking, ..ACTIVE };
            assert_eq!(EventPlan::new(&all, shadow).inject, all.next);
            let rest = PendingEvents { next: None, ..all };
            let waits = EventPlan { inject: None, interrupt_window: true, nmi_window: true };
            assert_eq!(EventPlan::new(&rest, shadow), waits);
        }
    }

    #[test]
    fn an_nmi_goes_before_an_interrupt_whatever_if_says() {
        let both = PendingEvents { nmi: true, ..INTERRUPT };
        let off = Readiness { interrupts_enabled: false, ..ACTIVE };
        let plan = EventPlan::new(&both, off);
        let nmi = EventPlan { inject: Some(Event::Nmi), interrupt_window: true, nmi_window: false };
        assert_eq!(plan, nmi);
    }

    #[test]
    fn a_second_nmi_waits_behind_one_that_comes_again() {
        let both = PendingEvents { next: Some(Event::Nmi), nmi: true, interrupt: None };
        let plan = EventPlan::new(&both, ACTIVE);
        assert_eq!(plan.inject, Some(Event::Nmi));
        assert!(plan.nmi_window);
    }

    #[test]
    fn a_guest_that_shut_down_takes_nmi_and_machine_check_alone() {
        let shut_down = Readiness { activity: Activity::Shutdown, ..ACTIVE };
        let next = |event| PendingEvents { next: Some(event), ..PendingEvents::default() };
        let inject = |pending| EventPlan::new(&pending, shut_down).inject;
        assert_eq!(inject(next(Event::Nmi)), Some(Event::Nmi));
        assert_eq!(inject(next(Event::exception(18))), Some(Event::exception(18)));
        assert_eq!(inject(next(Event::exception(6))), None);
        assert_eq!(inject(INTERRUPT), None);
    }

    #[test]
    fn a_guest_that_waits_for_a_sipi_takes_nothing() {
        let waits = Readiness { activity: Activity::WaitForSipi, ..ACTIVE };
        let all =
            PendingEvents { next: Some(Event::exception(18)), nmi: true, interrupt: Some(0x30) };
        assert_eq!(EventPlan::new(&all, waits).inject, None);
    }
}
