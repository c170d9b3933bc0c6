//! What a rule sees: the fields, the capabilities and the surroundings, each of which may lack.

use super::{EntryContext, Fault, Need};
use crate::caps::ControlSet;
use crate::encoding::{FieldAccess, FieldWidth};
use crate::{
    EntryControls, ExitControls, InterruptionInfo, PinBasedControls, PrimaryControls,
    SecondaryControls, SecondaryExitControls, TertiaryControls, VmcsField, VmcsSnapshot, VmxCaps,
    field,
};

/// Why a rule does not simply hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Broken(Fault),
    Lacks(Need),
    Undecidable(&'static str),
}

/// What a rule says: that it holds, or why not.
pub(crate) type Verdict = Result<(), Stop>;

/// The fewest bits of a physical address of any processor with VMX, and the most of any.
const PHYSICAL_BITS: (u32, u32) = (36, 52);
/// The bits of CR3 that switch linear-address masking on, where it exists.
const CR3_LAM: u64 = 3 << 61;

#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    vmcs: &'a VmcsSnapshot,
    caps: Option<&'a VmxCaps>,
    pub(crate) context: EntryContext<'a>,
}

impl<'a> View<'a> {
    pub(crate) fn new(
        vmcs: &'a VmcsSnapshot,
        caps: Option<&'a VmxCaps>,
        context: EntryContext<'a>,
    ) -> Self {
        Self { vmcs, caps, context }
    }

    /// Returns the value of a field.
    #[inline]
    pub(crate) fn get<W: FieldWidth, A: FieldAccess>(
        &self,
        field: VmcsField<W, A>,
    ) -> Result<u64, Stop> {
        match self.vmcs.get(field) {
            Some(value) => Ok(value.into()),
            None => Err(Stop::Lacks(Need::Field(field.encoding()))),
        }
    }

    /// Returns the capabilities.
    pub(crate) fn caps(&self) -> Result<&'a VmxCaps, Stop> {
        self.caps.ok_or(Stop::Lacks(Need::Capabilities))
    }

    /// Returns something of the context, which `words` name.
    pub(crate) fn known<T>(&self, value: Option<T>, words: &'static str) -> Result<T, Stop> {
        value.ok_or(Stop::Lacks(Need::Context(words)))
    }

    pub(crate) fn in_smm(&self) -> Result<bool, Stop> {
        self.known(self.context.in_smm, "whether the processor is in SMM")
    }

    /// Says that a field breaks the rule.
    #[cold]
    pub(crate) fn broken<W: FieldWidth, A: FieldAccess>(
        &self,
        field: VmcsField<W, A>,
        bits: u64,
    ) -> Verdict {
        let value = self.get(field)?;
        let field = Some(field.encoding());
        let fault = Fault { field, value, bits, other: None, entry: None };
        Err(Stop::Broken(fault))
    }

    /// Demands that `holds`; else the field breaks the rule.
    #[inline]
    pub(crate) fn demand<W: FieldWidth, A: FieldAccess>(
        &self,
        holds: bool,
        field: VmcsField<W, A>,
    ) -> Verdict {
        if holds { Ok(()) } else { self.broken(field, 0) }
    }

    /// Demands that `holds`; else the two fields do not agree.
    #[inline]
    pub(crate) fn agree<W: FieldWidth, A: FieldAccess, W2: FieldWidth, A2: FieldAccess>(
        &self,
        holds: bool,
        field: VmcsField<W, A>,
        other: VmcsField<W2, A2>,
    ) -> Verdict {
        if holds {
            return Ok(());
        }
        let other = Some((other.encoding(), self.get(other)?));
        let value = self.get(field)?;
        let field = Some(field.encoding());
        Err(Stop::Broken(Fault { field, value, bits: 0, other, entry: None }))
    }

    /// Demands that the bits of `mask` are 0.
    #[inline]
    pub(crate) fn zero<W: FieldWidth, A: FieldAccess>(
        &self,
        field: VmcsField<W, A>,
        mask: u64,
    ) -> Verdict {
        let wrong = self.get(field)? & mask;
        if wrong == 0 { Ok(()) } else { self.broken(field, wrong) }
    }

    /// Demands that the bits of `mask` are 1.
    #[inline]
    pub(crate) fn ones<W: FieldWidth, A: FieldAccess>(
        &self,
        field: VmcsField<W, A>,
        mask: u64,
    ) -> Verdict {
        let wrong = !self.get(field)? & mask;
        if wrong == 0 { Ok(()) } else { self.broken(field, wrong) }
    }

    /// Demands that a set of controls is as its MSR allows.
    pub(crate) fn allowed<C: ControlSet, W: FieldWidth, A: FieldAccess>(
        &self,
        field: VmcsField<W, A>,
    ) -> Verdict {
        let value = self.get(field)?;
        let wrong = C::allowed(self.caps()?).violations(value);
        if wrong == 0 { Ok(()) } else { self.broken(field, wrong) }
    }

    /// Demands of CR0 or CR4 that its fixed bits are as VMX operation wants them.
    pub(crate) fn fixed<W: FieldWidth, A: FieldAccess>(
        &self,
        field: VmcsField<W, A>,
        ones: u64,
        zeros: u64,
    ) -> Verdict {
        let value = self.get(field)?;
        let wrong = (ones & !value) | (zeros & value);
        if wrong == 0 { Ok(()) } else { self.broken(field, wrong) }
    }

    /// Demands that an address has no bit that physical addresses do not have.
    pub(crate) fn physical<W: FieldWidth, A: FieldAccess>(
        &self,
        field: VmcsField<W, A>,
    ) -> Verdict {
        let value = self.get(field)?;
        self.physical_value(field, value.into())
    }

    /// Demands the same of an address that `field` leads to.
    pub(crate) fn physical_value<W: FieldWidth, A: FieldAccess>(
        &self,
        field: VmcsField<W, A>,
        address: u128,
    ) -> Verdict {
        // A file of capabilities may give any width.
        let beyond = |bits: u32| address.checked_shr(bits).is_some_and(|upper| upper != 0);
        match self.caps {
            Some(caps) if caps.has_32bit_addresses() && beyond(32) => self.broken(field, 0),
            Some(caps) if beyond(caps.widths.physical.into()) => self.broken(field, 0),
            Some(_) => Ok(()),
            None if beyond(PHYSICAL_BITS.1) => self.broken(field, 0),
            None if beyond(PHYSICAL_BITS.0) => Err(Stop::Lacks(Need::Capabilities)),
            None => Ok(()),
        }
    }

    /// Demands a page's address: 4 KiB-aligned and within the physical addresses.
    pub(crate) fn page<W: FieldWidth, A: FieldAccess>(&self, field: VmcsField<W, A>) -> Verdict {
        self.zero(field, 0xFFF)?;
        self.physical(field)
    }

    /// Demands of CR3 that no bit beyond the physical addresses is set.
    pub(crate) fn cr3<W: FieldWidth, A: FieldAccess>(&self, field: VmcsField<W, A>) -> Verdict {
        let value = self.get(field)?;
        self.physical_value(field, (value & !CR3_LAM).into())?;
        if value & CR3_LAM == 0 {
            return Ok(());
        }
        Err(Stop::Undecidable("bits 62:61 of CR3 are reserved but where the processor has LAM"))
    }

    /// Demands a canonical address.
    pub(crate) fn canonical<W: FieldWidth, A: FieldAccess>(
        &self,
        field: VmcsField<W, A>,
    ) -> Verdict {
        let value = self.get(field)?;
        self.canonical_value(field, value)
    }

    /// Demands the same of an address that `field` holds among other bits.
    pub(crate) fn canonical_value<W: FieldWidth, A: FieldAccess>(
        &self,
        field: VmcsField<W, A>,
        address: u64,
    ) -> Verdict {
        let is_canonical = |bits| guest_state::Gva::new(address).is_canonical(bits);
        match self.caps {
            Some(caps) if is_canonical(caps.widths.linear.into()) => Ok(()),
            Some(_) => self.broken(field, 0),
            None if is_canonical(48) => Ok(()),
            None if is_canonical(57) => Err(Stop::Lacks(Need::Capabilities)),
            None => self.broken(field, 0),
        }
    }

    /// Demands that an MSR's value is one that the processor takes, where that is known; 0 always
    /// is.
    pub(crate) fn within<W: FieldWidth, A: FieldAccess>(
        &self,
        field: VmcsField<W, A>,
        mask: Option<u64>,
        words: &'static str,
    ) -> Verdict {
        if self.get(field)? == 0 {
            return Ok(());
        }
        self.zero(field, !self.known(mask, words)?)
    }

    pub(crate) fn pin(&self, control: PinBasedControls) -> Result<bool, Stop> {
        Ok(self.get(field::PIN_BASED_CONTROLS)? & u64::from(control.bits()) != 0)
    }

    pub(crate) fn primary(&self, control: PrimaryControls) -> Result<bool, Stop> {
        Ok(self.get(field::PRIMARY_CONTROLS)? & u64::from(control.bits()) != 0)
    }

    /// Tells whether a secondary control counts as 1: only if the set is activated.
    pub(crate) fn secondary(&self, control: SecondaryControls) -> Result<bool, Stop> {
        Ok(self.primary(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS)?
            && self.get(field::SECONDARY_CONTROLS)? & u64::from(control.bits()) != 0)
    }

    /// Tells whether a tertiary control counts as 1: only if the set is activated.
    pub(crate) fn tertiary(&self, control: TertiaryControls) -> Result<bool, Stop> {
        Ok(self.primary(PrimaryControls::ACTIVATE_TERTIARY_CONTROLS)?
            && self.get(field::TERTIARY_CONTROLS)? & control.bits() != 0)
    }

    pub(crate) fn exit(&self, control: ExitControls) -> Result<bool, Stop> {
        Ok(self.get(field::EXIT_CONTROLS)? & u64::from(control.bits()) != 0)
    }

    /// Tells whether a secondary exit control counts as 1: only if the set is activated.
    pub(crate) fn secondary_exit(&self, control: SecondaryExitControls) -> Result<bool, Stop> {
        Ok(self.exit(ExitControls::ACTIVATE_SECONDARY_CONTROLS)?
            && self.get(field::SECONDARY_EXIT_CONTROLS)? & control.bits() != 0)
    }

    pub(crate) fn entry(&self, control: EntryControls) -> Result<bool, Stop> {
        Ok(self.get(field::ENTRY_CONTROLS)? & u64::from(control.bits()) != 0)
    }

    pub(crate) fn is_ia32e_guest(&self) -> Result<bool, Stop> {
        self.entry(EntryControls::IA32E_MODE_GUEST)
    }

    pub(crate) fn is_unrestricted(&self) -> Result<bool, Stop> {
        self.secondary(SecondaryControls::UNRESTRICTED_GUEST)
    }

    /// Returns the event to inject, if there is one.
    pub(crate) fn injected(&self) -> Result<Option<InterruptionInfo>, Stop> {
        let info = <u32 as FieldWidth>::from_raw(self.get(field::ENTRY_INTERRUPTION_INFO)?);
        Ok(Some(InterruptionInfo(info)).filter(|info| info.is_valid()))
    }
}

/// Combines what several parts of a rule say: broken counts before not checkable, that before not
/// decidable, and that before holding.
pub(crate) fn each(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let mut worst = Ok(());
    for verdict in verdicts {
        match (verdict, worst) {
            (Err(Stop::Broken(_)), _) => return verdict,
            (Err(Stop::Lacks(_)), Ok(()) | Err(Stop::Undecidable(_)))
            | (Err(Stop::Undecidable(_)), Ok(())) => worst = verdict,
            _ => {}
        }
    }
    worst
}
