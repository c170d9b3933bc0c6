//! Memory types from MTRRs.

use guest_state::{Gpa, GpaRange, Hpa, MemoryType, Mtrrs};

use crate::edit::Edit;
use crate::{Ept, EptAttributes, Error, InvalidationDebt, TableMemory};

/// The longest parts of a range that have one memory type each, by address; [`memory_types`]
/// makes it.
#[derive(Clone, Debug)]
pub struct MemoryTypes<'a> {
    mtrrs: &'a Mtrrs,
    left: GpaRange,
}

/// Cuts a range where the memory type that MTRRs give changes.
///
/// ```
/// # use ept::memory_types;
/// # use guest_state::{Gpa, GpaRange, MemoryType, Mtrrs, VariableMtrr};
/// let mut mtrrs = Mtrrs { default_type: 0x806, ..Mtrrs::RESET };
/// let hole = VariableMtrr::new(Gpa::new(3 << 30), 1 << 30, MemoryType::UNCACHEABLE, 40);
/// mtrrs.variable[0] = hole.unwrap();
/// let range = GpaRange::new(Gpa::ZERO, 8 << 30).unwrap();
/// let sizes = memory_types(&mtrrs, range).map(|(part, kind)| (part.size_bytes() >> 30, kind));
/// let expected =
///     [(3, MemoryType::WRITE_BACK), (1, MemoryType::UNCACHEABLE), (4, MemoryType::WRITE_BACK)];
/// assert!(sizes.eq(expected));
/// ```
#[must_use]
pub const fn memory_types(mtrrs: &Mtrrs, range: GpaRange) -> MemoryTypes<'_> {
    MemoryTypes { mtrrs, left: range }
}

impl Iterator for MemoryTypes<'_> {
    type Item = (GpaRange, MemoryType);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let (start, end) = (self.left.start(), self.left.end());
        let (memory_type, mut edge) = self.mtrrs.type_at(start);
        while edge < end {
            let (next, further) = self.mtrrs.type_at(edge);
            if next != memory_type || further <= edge {
                break;
            }
            edge = further;
        }
        let edge = edge.clamp(start, end);
        self.left = GpaRange::from_bounds(edge, end)?;
        Some((GpaRange::from_bounds(start, edge)?, memory_type))
    }
}

impl<M: TableMemory> Ept<M> {
    /// Maps `range` to host memory from `to` on with the memory types that `mtrrs` give the host's
    /// addresses, which is what the memory is; that of `attributes` is not used.
    ///
    /// # Errors
    /// As [`map`](Self::map); [`Error::MemoryType`] also for a type in an MTRR that does not exist.
    pub fn map_by_mtrrs(
        &mut self,
        range: GpaRange,
        to: Hpa,
        attributes: EptAttributes,
        mtrrs: &Mtrrs,
    ) -> Result<InvalidationDebt, Error> {
        let rules = self.rules;
        self.map_parts(range, to, mtrrs, |part, to, memory_type| {
            Ok(Edit::Map(rules.mapper(part, to, EptAttributes { memory_type, ..attributes })?))
        })
    }

    /// Makes one edit of each part of `range` that is mapped to host memory of one type.
    pub(crate) fn map_parts(
        &mut self,
        range: GpaRange,
        to: Hpa,
        mtrrs: &Mtrrs,
        edit: impl Fn(GpaRange, Hpa, MemoryType) -> Result<Edit, Error> + Clone,
    ) -> Result<InvalidationDebt, Error> {
        // This checks both ranges as a whole, so that every part fits.
        self.rules.mapper(range, to, EptAttributes::RAM)?;
        let host = GpaRange::new(Gpa::new(to.as_u64()), range.size_bytes()).unwrap_or_default();
        let parts = memory_types(mtrrs, host).map(|(part, memory_type)| {
            let at = part.start().offset_from(host.start());
            let part_of_guest = at
                .and_then(|at| range.start().checked_add(at))
                .and_then(|start| GpaRange::new(start, part.size_bytes()));
            let guest = part_of_guest.ok_or(Error::Misaligned(part))?;
            Ok((guest, edit(guest, Hpa::new(part.start().as_u64()), memory_type)?))
        });
        self.edit_all(parts)
    }

    /// Gives the pages that are mapped in `range` the memory types that `mtrrs`, those of the
    /// guest, give their guest-physical addresses; holes stay holes.
    ///
    /// # Errors
    /// As [`set_memory_type`](Self::set_memory_type).
    pub fn follow_mtrrs(
        &mut self,
        range: GpaRange,
        mtrrs: &Mtrrs,
    ) -> Result<InvalidationDebt, Error> {
        self.rules.span(range)?;
        let parts = memory_types(mtrrs, range);
        self.edit_all(parts.map(|(part, memory_type)| Ok((part, Edit::memory_type(memory_type)?))))
    }
}
