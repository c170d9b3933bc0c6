//! What CPUs may still remember, and what has to be done about it.

use core::ops::{Add, AddAssign};

use crate::EptPointer;

/// An execution of INVEPT, to be made by every CPU that may have used the tables.
///
/// # Source
/// Intel SDM Vol. 3C, "INVEPT—Invalidate Translations Derived from EPT".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invept {
    /// Forget what was derived from one EPT pointer.
    SingleContext(EptPointer),
    /// Forget what was derived from any.
    AllContexts,
}

impl Invept {
    /// Returns the type, which goes into INVEPT's register operand.
    #[must_use]
    pub const fn kind(self) -> u64 {
        match self {
            Self::SingleContext(_) => 1,
            Self::AllContexts => 2,
        }
    }

    /// Returns the descriptor, to which INVEPT's memory operand points.
    #[must_use]
    pub const fn descriptor(self) -> [u64; 2] {
        match self {
            Self::SingleContext(pointer) => [pointer.bits(), 0],
            Self::AllContexts => [0, 0],
        }
    }
}

/// What an edit leaves to be done: [`Ept::settle`](crate::Ept::settle) takes it.
///
/// Until then, CPUs may use what they remember from before the edit. An empty debt needs nothing
/// done, and settling it does nothing. A dropped debt is not forgotten by the tables: frames that
/// were freed stay with them until a later debt is settled.
///
/// Debts of one table add up to the one that is due for all. A debt of several tables asks for all
/// contexts, and their frames stay until each has settled a debt of its own.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use = "CPUs may still use what they remember: settle the debt, or add it to another"]
pub struct InvalidationDebt {
    invept: Option<Invept>,
    /// The tables whose debt this is, if it is that of one.
    pointer: Option<EptPointer>,
    /// How many frames those had ever retired when the debt was made.
    retired: u64,
}

impl InvalidationDebt {
    /// The empty debt.
    pub const NONE: Self = Self { invept: None, pointer: None, retired: 0 };

    pub(crate) const fn new(pointer: EptPointer, invept: Invept, retired: u64) -> Self {
        Self { invept: Some(invept), pointer: Some(pointer), retired }
    }

    /// Tells whether nothing has to be done.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.invept.is_none()
    }

    /// Returns what every CPU has to execute, if anything: for those who send it to other CPUs
    /// before they call [`Ept::settle`](crate::Ept::settle).
    #[must_use]
    pub const fn invept(&self) -> Option<Invept> {
        self.invept
    }

    pub(crate) const fn pointer(&self) -> Option<EptPointer> {
        self.pointer
    }

    pub(crate) const fn retired(&self) -> u64 {
        self.retired
    }
}

impl Add for InvalidationDebt {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => self,
            _ if self.pointer.is_some() && self.pointer == other.pointer => {
                Self { retired: self.retired.max(other.retired), ..self }
            }
            // Counts of different tables have nothing to do with each other.
            _ => Self { invept: Some(Invept::AllContexts), ..Self::NONE },
        }
    }
}

impl AddAssign for InvalidationDebt {
    fn add_assign(&mut self, other: Self) {
        *self = core::mem::take(self) + other;
    }
}
