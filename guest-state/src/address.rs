//! Addresses: one newtype for each address space, so that they can't be mixed up.

use core::fmt;

use crate::PageSize;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Address zero.
            pub const ZERO: Self = Self(0);

            /// Makes an address of any 64-bit value.
            #[must_use]
            pub const fn new(address: u64) -> Self {
                Self(address)
            }

            /// Returns the address as a number.
            #[must_use]
            pub const fn as_u64(self) -> u64 {
                self.0
            }

            /// Returns the address `bytes` above, or `None` past 2^64 - 1.
            #[must_use]
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(address) => Some(Self(address)),
                    None => None,
                }
            }

            /// Returns the address `bytes` below, or `None` below zero.
            #[must_use]
            pub const fn checked_sub(self, bytes: u64) -> Option<Self> {
                match self.0.checked_sub(bytes) {
                    Some(address) => Some(Self(address)),
                    None => None,
                }
            }

            /// Returns how many bytes `self` lies above `other`, or `None` if it lies below.
            #[must_use]
            pub const fn offset_from(self, other: Self) -> Option<u64> {
                self.0.checked_sub(other.0)
            }

            /// Returns the start of the page of `size` that holds this address.
            #[must_use]
            pub const fn page_base(self, size: PageSize) -> Self {
                Self(self.0 & !(size.bytes() - 1))
            }

            /// Returns how far into its page of `size` this address lies, in bytes.
            #[must_use]
            pub const fn page_offset(self, size: PageSize) -> u64 {
                self.0 & (size.bytes() - 1)
            }

            /// Tells whether the address is a multiple of `alignment` bytes.
            ///
            /// Any non-zero alignment will do; zero aligns nothing but zero.
            #[must_use]
            pub const fn is_aligned(self, alignment: u64) -> bool {
                match self.0.checked_rem(alignment) {
                    Some(rest) => rest == 0,
                    None => self.0 == 0,
                }
            }

            /// Returns the lowest multiple of `alignment` at or above the address.
            ///
            /// `None` if there is none below 2^64, or if `alignment` is zero.
            #[must_use]
            pub const fn align_up(self, alignment: u64) -> Option<Self> {
                match self.0.checked_next_multiple_of(alignment) {
                    Some(address) => Some(Self(address)),
                    None => None,
                }
            }

            /// Returns the highest multiple of `alignment` at or below the address.
            ///
            /// `None` if `alignment` is zero.
            #[must_use]
            pub const fn align_down(self, alignment: u64) -> Option<Self> {
                match self.0.checked_rem(alignment) {
                    Some(rest) => Some(Self(self.0 - rest)),
                    None => None,
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }

        impl From<u64> for $name {
            fn from(address: u64) -> Self {
                Self(address)
            }
        }

        impl From<$name> for u64 {
            fn from(address: $name) -> Self {
                address.0
            }
        }
    };
}

address! {
    /// A guest-physical address: what a guest's page tables produce and its devices use.
    Gpa
}
address! {
    /// A host-physical address: what second-level page tables produce.
    Hpa
}
address! {
    /// A guest-virtual (linear) address, canonical or not.
    Gva
}

impl Gva {
    /// Tells whether all bits above the lowest `bits` equal bit `bits - 1`: 48 for 4-level paging,
    /// 57 for 5-level.
    ///
    /// # Source
    /// Intel SDM Vol. 1, "Canonical Addressing".
    #[must_use]
    pub const fn is_canonical(self, bits: u32) -> bool {
        let Some(unused) = u64::BITS.checked_sub(bits) else {
            return true;
        };
        match self.0.cast_signed().checked_shl(unused) {
            Some(shifted) => (shifted >> unused).cast_unsigned() == self.0,
            None => false,
        }
    }
}

/// A half-open range of guest-physical addresses: `start` belongs to it, `end` does not.
///
/// It may be empty. Its end is at most 2^64 - 1, which no physical address reaches.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct GpaRange {
    start: Gpa,
    end: Gpa,
}

impl GpaRange {
    /// Makes the range of `size_bytes` from `start`, or `None` where it would pass 2^64 - 1.
    #[must_use]
    pub const fn new(start: Gpa, size_bytes: u64) -> Option<Self> {
        match start.checked_add(size_bytes) {
            Some(end) => Some(Self { start, end }),
            None => None,
        }
    }

    /// Makes the range from `start` up to but without `end`, or `None` if `end` lies below.
    #[must_use]
    pub const fn from_bounds(start: Gpa, end: Gpa) -> Option<Self> {
        if start.as_u64() <= end.as_u64() { Some(Self { start, end }) } else { None }
    }

    /// Returns the first address.
    #[must_use]
    pub const fn start(self) -> Gpa {
        self.start
    }

    /// Returns the first address behind the range.
    #[must_use]
    pub const fn end(self) -> Gpa {
        self.end
    }

    /// Returns the last address within, or `None` if the range is empty.
    #[must_use]
    pub const fn last(self) -> Option<Gpa> {
        if self.is_empty() { None } else { self.end.checked_sub(1) }
    }

    /// Returns the length in bytes.
    #[must_use]
    pub const fn size_bytes(self) -> u64 {
        self.end.as_u64() - self.start.as_u64()
    }

    /// Tells whether the range holds no byte.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start.as_u64() == self.end.as_u64()
    }

    /// Tells whether `gpa` lies within.
    #[must_use]
    pub const fn contains(self, gpa: Gpa) -> bool {
        self.start.as_u64() <= gpa.as_u64() && gpa.as_u64() < self.end.as_u64()
    }

    /// Tells whether every byte of `other` lies within; an empty range lies anywhere.
    #[must_use]
    pub const fn contains_range(self, other: Self) -> bool {
        other.is_empty()
            || (self.start.as_u64() <= other.start.as_u64()
                && other.end.as_u64() <= self.end.as_u64())
    }

    /// Tells whether the two have a byte in common.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.intersection(other).is_some()
    }

    /// Returns the bytes that both have, or `None` if there are none.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Option<Self> {
        let start =
            if self.start.as_u64() > other.start.as_u64() { self.start } else { other.start };
        let end = if self.end.as_u64() < other.end.as_u64() { self.end } else { other.end };
        if start.as_u64() < end.as_u64() { Some(Self { start, end }) } else { None }
    }
}

impl fmt::Debug for GpaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end)
    }
}

impl fmt::Display for GpaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_in_hex() {
        extern crate alloc;
        assert_eq!(alloc::format!("{:?}", Gpa::new(0xF_0000)), "Gpa(0xf0000)");
        assert_eq!(alloc::format!("{}", Gva::new(0xFFF0)), "0xfff0");
        let bios = GpaRange::new(Gpa::new(0xF_0000), 0x1_0000);
        assert_eq!(alloc::format!("{}", bios.unwrap()), "0xf0000..0x100000");
    }

    #[test]
    fn canonical_addresses_repeat_their_top_bit() {
        assert!(Gva::new(0x0000_7FFF_FFFF_FFFF).is_canonical(48));
        assert!(!Gva::new(0x0000_8000_0000_0000).is_canonical(48));
        assert!(Gva::new(0x0000_8000_0000_0000).is_canonical(57));
        assert!(Gva::new(0xFFFF_8000_0000_0000).is_canonical(48));
        assert!(Gva::new(0x8000_0000_0000_0000).is_canonical(64));
        assert!(Gva::new(0x8000_0000_0000_0000).is_canonical(99));
    }

    #[test]
    fn ranges_end_before_their_end() {
        let page = GpaRange::new(Gpa::new(0x1000), 0x1000).unwrap();
        assert!(page.contains(Gpa::new(0x1FFF)));
        assert!(!page.contains(Gpa::new(0x2000)));
        assert_eq!(page.last(), Some(Gpa::new(0x1FFF)));
        let next = GpaRange::new(page.end(), 1).unwrap();
        assert!(!page.overlaps(next));
        assert_eq!(GpaRange::new(Gpa::new(u64::MAX), 1), None);
        assert_eq!(GpaRange::from_bounds(Gpa::new(2), Gpa::new(1)), None);
    }

    #[test]
    fn alignment_to_zero_is_never_a_division_by_zero() {
        assert_eq!(Gpa::new(5).align_up(0), None);
        assert_eq!(Gpa::new(5).align_down(0), None);
        assert!(!Gpa::new(5).is_aligned(0));
        assert_eq!(Gpa::new(5).align_up(8), Some(Gpa::new(8)));
        assert_eq!(Gpa::new(u64::MAX).align_up(4096), None);
    }
}
