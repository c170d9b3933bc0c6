//! Whom an interrupt is for.

use super::{ApicMode, LocalApic};
use crate::{DestinationMode, InterruptMessage};

impl LocalApic {
    /// Tells whether a message's destination is, or includes, this local APIC.
    ///
    /// An x2APIC compares all 32 bits, an xAPIC has but eight to compare: see
    /// [`InterruptMessage::destination`]. An APIC that `IA32_APIC_BASE` disables is no destination.
    ///
    /// # Source
    /// Intel SDM Vol. 3A, "Determining IPI Destination" and "Logical Destination Mode in x2APIC
    /// Mode".
    #[must_use]
    pub fn matches(&self, message: &InterruptMessage) -> bool {
        let destination = message.destination;
        let everyone = destination == InterruptMessage::EVERYONE;
        match (self.mode(), message.destination_mode) {
            (ApicMode::Disabled, _) => false,
            _ if everyone => true,
            (ApicMode::X2Apic, DestinationMode::Physical) => destination == self.config.id,
            (ApicMode::X2Apic, DestinationMode::Logical) => {
                let own = x2apic_logical_id(self.config.id);
                own >> 16 == destination >> 16 && own & destination & 0xFFFF != 0
            }
            (ApicMode::XApic, DestinationMode::Physical) => {
                destination == u32::from(self.xapic_id())
            }
            (ApicMode::XApic, DestinationMode::Logical) => {
                u8::try_from(destination).is_ok_and(|destination| self.matches_logical(destination))
            }
        }
    }

    pub(super) const fn xapic_id(&self) -> u8 {
        self.config.id.to_le_bytes()[0]
    }

    /// The flat and the cluster model of xAPIC mode, as the destination format register says.
    fn matches_logical(&self, destination: u8) -> bool {
        let [.., own] = self.logical_destination.to_le_bytes();
        match self.destination_format >> 28 {
            0xF => own & destination != 0,
            0x0 => own >> 4 == destination >> 4 && own & destination & 0xF != 0,
            _ => false,
        }
    }
}

/// The logical ID that an x2APIC derives from its ID: a cluster of sixteen and a bit in it.
pub(super) const fn x2apic_logical_id(id: u32) -> u32 {
    (id >> 4) << 16 | 1 << (id & 0xF)
}

/// Chooses the processor that takes a [`LOWEST_PRIORITY`](crate::DeliveryMode::LOWEST_PRIORITY)
/// interrupt: of the message's destinations that are enabled, the one that runs at the lowest
/// priority, and of equals the first. Its position among `apics` is returned; `None` if nobody can
/// take it.
///
/// # Examples
/// ```
/// # use chipset::{
/// #     DeliveryMode, DestinationMode, InterruptMessage, LocalApic, LocalApicConfig, Nanos,
/// #     TriggerMode, lowest_priority,
/// # };
/// # let config = |id| LocalApicConfig {
/// #     id, is_bsp: id == 0, timer_hertz: 1_000_000_000, tsc_hertz: 2_000_000_000,
/// #     physical_bits: 46, has_x2apic: true, can_suppress_eoi: false,
/// # };
/// let mut apics = [LocalApic::new(config(0)), LocalApic::new(config(1))];
/// for apic in &mut apics {
///     let _ = apic.write(0x0F0, 0x1FF, Nanos::ZERO); // software enable
/// }
/// let _ = apics[0].write(0x080, 0x40, Nanos::ZERO); // the first has a task of some priority
/// let message = InterruptMessage {
///     vector: 0x51,
///     delivery_mode: DeliveryMode::LOWEST_PRIORITY,
///     destination: InterruptMessage::EVERYONE,
///     destination_mode: DestinationMode::Logical,
///     trigger_mode: TriggerMode::Edge,
/// };
/// assert_eq!(lowest_priority(&apics, &message), Some(1));
/// ```
///
/// # Source
/// Intel SDM Vol. 3A, "Lowest Priority Delivery Mode".
pub fn lowest_priority<'a>(
    apics: impl IntoIterator<Item = &'a LocalApic>,
    message: &InterruptMessage,
) -> Option<usize> {
    let takes = |apic: &LocalApic| apic.matches(message) && apic.is_enabled();
    apics
        .into_iter()
        .enumerate()
        .filter(|(_, apic)| takes(apic))
        .min_by_key(|(_, apic)| apic.processor_priority())
        .map(|(position, _)| position)
}
