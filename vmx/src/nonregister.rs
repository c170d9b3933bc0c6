//! The guest's non-register state: what is blocked, what is pending.

use bitflags::bitflags;
use guest_state::Activity;

bitflags! {
    /// The interruptibility-state field: which events are blocked for the guest.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "Guest Non-Register State", the table "Format of Interruptibility State".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Interruptibility: u32 {
        /// For one instruction after STI.
        const BLOCKING_BY_STI = 1 << 0;
        /// For one instruction after MOV SS or POP SS.
        const BLOCKING_BY_MOV_SS = 1 << 1;
        /// SMIs are blocked.
        const BLOCKING_BY_SMI = 1 << 2;
        /// NMIs are blocked until IRET.
        const BLOCKING_BY_NMI = 1 << 3;
        /// The exit came from enclave mode.
        const ENCLAVE_INTERRUPTION = 1 << 4;
        const _ = !0;
    }

    /// The pending-debug-exceptions field: DR6's bits for a #DB that is not delivered yet.
    ///
    /// # Source
    /// Intel SDM Vol. 3C, "Guest Non-Register State", the table "Format of Pending-Debug-Exceptions".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PendingDebug: u64 {
        /// The condition of DR0 was met.
        const BREAKPOINT_0 = 1 << 0;
        /// The condition of DR1 was met.
        const BREAKPOINT_1 = 1 << 1;
        /// The condition of DR2 was met.
        const BREAKPOINT_2 = 1 << 2;
        /// The condition of DR3 was met.
        const BREAKPOINT_3 = 1 << 3;
        /// A bus lock was asserted.
        const BUS_LOCK = 1 << 11;
        /// At least one enabled breakpoint was met.
        const ENABLED_BREAKPOINT = 1 << 12;
        /// A single step was made.
        const SINGLE_STEP = 1 << 14;
        /// It happened within a transaction.
        const RTM = 1 << 16;
        const _ = !0;
    }
}

/// Returns the number by which the activity-state field knows `activity`.
#[must_use]
pub const fn activity_number(activity: Activity) -> u32 {
    match activity {
        Activity::Active => 0,
        Activity::Halted => 1,
        Activity::Shutdown => 2,
        Activity::WaitForSipi => 3,
    }
}

/// Returns the activity of this number, or `None` for one that does not exist.
#[must_use]
pub const fn activity_of(number: u32) -> Option<Activity> {
    Some(match number {
        0 => Activity::Active,
        1 => Activity::Halted,
        2 => Activity::Shutdown,
        3 => Activity::WaitForSipi,
        _ => return None,
    })
}
