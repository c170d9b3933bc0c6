//! The processors: one list, from which the MADT and the DSDT both take them.

use alloc::vec::Vec;

use crate::Error;
use crate::check::duplicate;

/// Whether a processor runs, or may be switched on later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProcessorState {
    /// The processor is there from the start.
    #[default]
    Enabled,
    /// The processor is not there yet and can be switched on while the guest runs.
    OnlineCapable,
}

/// One logical processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Processor {
    /// The number that ties the MADT's entry to the device in the DSDT.
    pub uid: u32,
    /// The id of its local APIC: 0 to 254 as in xAPIC mode, from 255 on for x2APIC mode only.
    pub apic_id: u32,
    /// Whether it runs.
    pub state: ProcessorState,
}

impl Processor {
    /// Describes an enabled processor.
    #[must_use]
    pub const fn new(uid: u32, apic_id: u32) -> Self {
        Self { uid, apic_id, state: ProcessorState::Enabled }
    }

    /// Tells whether the processor needs the MADT's x2APIC structure.
    pub(crate) const fn needs_x2apic(self) -> bool {
        self.apic_id >= 255
    }
}

/// The processors of a machine, the boot processor first: at least one, no UID or APIC id twice,
/// none that means "all processors".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processors(Vec<Processor>);

impl Processors {
    /// How many processors can be described, as many as there are names from `C000` to `CFFF`.
    pub const MAX: usize = 0x1000;

    /// Checks a list of processors, of which the first is the one that boots.
    ///
    /// # Errors
    /// - [`Error::NoProcessor`], [`Error::TooManyProcessors`]: fewer than one, more than
    ///   [`MAX`](Self::MAX).
    /// - [`Error::DuplicateUid`], [`Error::DuplicateApicId`]: two are the same.
    /// - [`Error::BroadcastProcessor`]: a UID or an APIC id is 0xffff_ffff.
    /// - [`Error::LocalApicUid`]: the APIC id is below 255 and the UID is not.
    pub fn new(processors: impl Into<Vec<Processor>>) -> Result<Self, Error> {
        let processors = processors.into();
        let count = processors.len();
        if count == 0 {
            return Err(Error::NoProcessor);
        }
        if count > Self::MAX {
            let max = Self::MAX;
            return Err(Error::TooManyProcessors { count, max });
        }
        for &processor in &processors {
            let Processor { uid, apic_id, .. } = processor;
            if uid == u32::MAX || apic_id == u32::MAX {
                return Err(Error::BroadcastProcessor { uid, apic_id });
            }
            if !processor.needs_x2apic() && uid >= 255 {
                return Err(Error::LocalApicUid { uid, apic_id });
            }
        }
        if let Some(uid) = duplicate(processors.iter().map(|processor| processor.uid)) {
            return Err(Error::DuplicateUid { uid });
        }
        if let Some(apic_id) = duplicate(processors.iter().map(|processor| processor.apic_id)) {
            return Err(Error::DuplicateApicId { apic_id });
        }
        Ok(Self(processors))
    }

    /// Describes `count` enabled processors whose UID and APIC id are both 0, 1, 2...
    ///
    /// # Errors
    /// [`Error::NoProcessor`], [`Error::TooManyProcessors`] as for [`new`](Self::new).
    pub fn sequential(count: u32) -> Result<Self, Error> {
        let listed = usize::try_from(count).unwrap_or(usize::MAX);
        if listed > Self::MAX {
            return Err(Error::TooManyProcessors { count: listed, max: Self::MAX });
        }
        let processors: Vec<_> = (0..count).map(|id| Processor::new(id, id)).collect();
        Self::new(processors)
    }

    /// Returns them, the boot processor first.
    #[must_use]
    pub fn as_slice(&self) -> &[Processor] {
        &self.0
    }
}
