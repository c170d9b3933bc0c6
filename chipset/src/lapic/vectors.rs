//! A set of interrupt vectors, as IRR, ISR and TMR are.

/// 256 bits, one a vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct VectorSet([u32; 8]);

impl VectorSet {
    pub(super) const fn new() -> Self {
        Self([0; 8])
    }

    /// The 32 bits of one of the eight registers that show the set; others have none.
    pub(super) fn register(&self, index: u8) -> u32 {
        self.0.get(usize::from(index)).copied().unwrap_or(0)
    }

    pub(super) const fn contains(&self, vector: u8) -> bool {
        let (index, bit) = Self::position(vector);
        self.0[index] & bit != 0
    }

    pub(super) const fn set(&mut self, vector: u8, member: bool) {
        let (index, bit) = Self::position(vector);
        if member {
            self.0[index] |= bit;
        } else {
            self.0[index] &= !bit;
        }
    }

    pub(super) fn highest(&self) -> Option<u8> {
        let index = self.0.iter().rposition(|word| *word != 0)?;
        let bit = usize::try_from(self.0[index].ilog2()).ok()?;
        u8::try_from(32 * index + bit).ok()
    }

    const fn position(vector: u8) -> (usize, u32) {
        ((vector / 32) as usize, 1 << (vector % 32))
    }
}
