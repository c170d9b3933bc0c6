//! The table of a high precision event timer.

use alloc::vec::Vec;

use guest_state::Gpa;
use zerocopy::IntoBytes;

use crate::check::aligned;
use crate::spec::GenericAddress;
use crate::spec::platform::HpetBody;
use crate::{Error, Signature, Table};

/// "Event Timer Block ID": bits besides the revision and the vendor.
const COUNTER_64: u32 = 1 << 13;
const LEGACY_REPLACEMENT: u32 = 1 << 15;
const MAX_COMPARATORS: u8 = 32;

/// Describes an event timer block: what its capability register says too.
///
/// # Source
/// IA-PC HPET Specification 1.0a, "The ACPI 2.0 HPET Description Table (HPET)".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hpet {
    /// Where its registers are.
    pub address: Gpa,
    /// The number of this block, from 0.
    pub number: u8,
    /// The hardware's revision, not zero.
    pub revision: u8,
    /// The PCI vendor id of its maker.
    pub vendor: u16,
    /// How many comparators it has, 1 to 32.
    pub comparators: u8,
    /// Whether its counter has 64 bits.
    pub counter_64_bit: bool,
    /// Whether it can take the interrupts of the 8254 and the CMOS clock.
    pub legacy_replacement: bool,
    /// The shortest period, in ticks, in which no interrupt gets lost.
    pub minimum_tick: u16,
}

impl Hpet {
    /// Describes a PC's: three comparators at 0xfed0_0000, 64 bits, legacy replacement.
    pub const PC: Self = Self {
        address: Gpa::new(0xFED0_0000),
        number: 0,
        revision: 1,
        vendor: 0x8086,
        comparators: 3,
        counter_64_bit: true,
        legacy_replacement: true,
        minimum_tick: 0x80,
    };
}

impl Table for Hpet {
    const SIGNATURE: Signature = Signature::HPET;
    const REVISION: u8 = 1;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let comparators = self.comparators;
        if !(1..=MAX_COMPARATORS).contains(&comparators) {
            let field = "number of comparators";
            return Err(Error::OutOfRange { field, value: comparators.into(), max: 32 });
        }
        aligned("address of the event timer block", self.address, 1024)?;
        if self.revision == 0 {
            return Err(Error::Invalid { field: "revision of the event timer block", value: 0 });
        }
        let mut id = u32::from(self.vendor) << 16 | u32::from(self.revision);
        id |= u32::from(comparators - 1) << 8;
        id |= if self.counter_64_bit { COUNTER_64 } else { 0 };
        id |= if self.legacy_replacement { LEGACY_REPLACEMENT } else { 0 };
        let table = HpetBody {
            event_timer_block_id: id.into(),
            // "Base Address": the width of its registers, in memory.
            base_address: GenericAddress {
                register_bit_width: 64,
                address: self.address.as_u64().into(),
                ..GenericAddress::default()
            },
            hpet_number: self.number,
            main_counter_minimum_clock_tick: self.minimum_tick.into(),
            page_protection: 0,
        };
        body.extend_from_slice(table.as_bytes());
        Ok(())
    }
}
