//! From what a hypervisor wants of the controls to values that the processor takes.

use crate::access::VmcsAccess;
use crate::caps::ControlSet;
use crate::{
    EntryControls, Error, ExitControls, PinBasedControls, PrimaryControls, SecondaryControls,
    SecondaryExitControls, TertiaryControls, VmFail, VmxCaps, field,
};

/// What a hypervisor wants of one set of controls. Bits in none of the three end as 0 where the
/// processor lets them, as 1 where it demands it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish<C> {
    /// The bits without which it can't go on.
    pub required: C,
    /// The bits that it takes where they exist.
    pub wanted: C,
    /// The bits with which it can't go on.
    pub forbidden: C,
}

impl<C: ControlSet> Wish<C> {
    /// Requires these controls and nothing else.
    #[must_use]
    pub fn required(required: C) -> Self {
        Self { required, wanted: C::empty(), forbidden: C::empty() }
    }

    /// Wants these controls too, where they exist.
    #[must_use]
    pub fn wanted(self, wanted: C) -> Self {
        Self { wanted, ..self }
    }

    /// Forbids these controls.
    #[must_use]
    pub fn forbidden(self, forbidden: C) -> Self {
        Self { forbidden, ..self }
    }

    /// Returns the value that grants the wish on a processor of these capabilities.
    ///
    /// # Errors
    /// [`Error::ControlContradicted`] for a bit that is required and forbidden,
    /// [`Error::ControlUnavailable`] for a required bit that can't be 1 and
    /// [`Error::ControlForced`] for a forbidden one that can't be 0: each names the control and
    /// the MSR.
    pub fn solve(self, caps: &VmxCaps) -> Result<C, Error> {
        let [required, wanted, forbidden] =
            [self.required, self.wanted, self.forbidden].map(ControlSet::as_u64);
        let allowed = C::allowed(caps);
        let msr = C::msr(caps);
        if let Some(control) = first_name::<C>(required & forbidden) {
            return Err(Error::ControlContradicted { control });
        }
        if let Some(control) = first_name::<C>(required & !allowed.may_be_one) {
            return Err(Error::ControlUnavailable { control, msr });
        }
        if let Some(control) = first_name::<C>(forbidden & allowed.must_be_one) {
            return Err(Error::ControlForced { control, msr });
        }
        let wanted = wanted & allowed.may_be_one & !forbidden;
        Ok(C::from_u64(allowed.must_be_one | required | wanted))
    }
}

/// Returns the name of the first of these controls, or `None` if there are none.
fn first_name<C: ControlSet>(bits: u64) -> Option<&'static str> {
    let named = C::FLAGS.iter().filter(|flag| !flag.name().is_empty());
    let mut named = named.filter(|flag| flag.value().as_u64() & bits != 0);
    match named.next() {
        Some(flag) => Some(flag.name()),
        None => (bits != 0).then_some("a reserved control"),
    }
}

/// What a hypervisor wants of all sets of controls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the set of its name")]
pub struct ControlWishes {
    pub pin_based: Wish<PinBasedControls>,
    pub primary: Wish<PrimaryControls>,
    pub secondary: Wish<SecondaryControls>,
    pub tertiary: Wish<TertiaryControls>,
    pub exit: Wish<ExitControls>,
    pub secondary_exit: Wish<SecondaryExitControls>,
    pub entry: Wish<EntryControls>,
}

/// Values for all sets of controls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the set of its name")]
pub struct Controls {
    pub pin_based: PinBasedControls,
    pub primary: PrimaryControls,
    pub secondary: SecondaryControls,
    pub tertiary: TertiaryControls,
    pub exit: ExitControls,
    pub secondary_exit: SecondaryExitControls,
    pub entry: EntryControls,
}

impl Controls {
    /// Grants all wishes. The controls that activate the secondary and tertiary sets need no wish:
    /// they follow from those sets.
    ///
    /// # Errors
    /// As [`Wish::solve`].
    pub fn solve(wishes: &ControlWishes, caps: &VmxCaps) -> Result<Self, Error> {
        let mut primary = wishes.primary;
        activate(
            &mut primary,
            PrimaryControls::ACTIVATE_SECONDARY_CONTROLS,
            wishes.secondary.required.is_empty(),
            wishes.secondary.wanted.is_empty(),
        );
        activate(
            &mut primary,
            PrimaryControls::ACTIVATE_TERTIARY_CONTROLS,
            wishes.tertiary.required.is_empty(),
            wishes.tertiary.wanted.is_empty(),
        );
        let mut exit = wishes.exit;
        activate(
            &mut exit,
            ExitControls::ACTIVATE_SECONDARY_CONTROLS,
            wishes.secondary_exit.required.is_empty(),
            wishes.secondary_exit.wanted.is_empty(),
        );
        Ok(Self {
            pin_based: wishes.pin_based.solve(caps)?,
            primary: primary.solve(caps)?,
            secondary: wishes.secondary.solve(caps)?,
            tertiary: wishes.tertiary.solve(caps)?,
            exit: exit.solve(caps)?,
            secondary_exit: wishes.secondary_exit.solve(caps)?,
            entry: wishes.entry.solve(caps)?,
        })
    }

    /// Writes the controls to the fields that exist: a set that is not activated has none to write.
    ///
    /// # Errors
    /// As [`VmcsAccess::write`].
    pub fn write(&self, vmcs: &mut impl VmcsAccess) -> Result<(), VmFail> {
        vmcs.write(field::PIN_BASED_CONTROLS, self.pin_based.bits())?;
        vmcs.write(field::PRIMARY_CONTROLS, self.primary.bits())?;
        if self.primary.contains(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS) {
            vmcs.write(field::SECONDARY_CONTROLS, self.secondary.bits())?;
        }
        if self.primary.contains(PrimaryControls::ACTIVATE_TERTIARY_CONTROLS) {
            vmcs.write(field::TERTIARY_CONTROLS, self.tertiary.bits())?;
        }
        vmcs.write(field::EXIT_CONTROLS, self.exit.bits())?;
        if self.exit.contains(ExitControls::ACTIVATE_SECONDARY_CONTROLS) {
            vmcs.write(field::SECONDARY_EXIT_CONTROLS, self.secondary_exit.bits())?;
        }
        vmcs.write(field::ENTRY_CONTROLS, self.entry.bits())
    }
}

/// Makes the wish for a control that activates a further set as strong as the wish for that set.
fn activate<C: ControlSet>(wish: &mut Wish<C>, control: C, none_required: bool, none_wanted: bool) {
    if !none_required {
        wish.required = wish.required.union(control);
    } else if !none_wanted {
        wish.wanted = wish.wanted.union(control);
    }
}
