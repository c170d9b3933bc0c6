//! How structures are named and how they refer to each other.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

use crate::Describe;

/// The number by which structures refer to one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Handle(pub u16);

impl Handle {
    /// The last that a structure may have; those above are reserved.
    ///
    /// # Source
    /// DSP0134 3.7, "Structure header format".
    pub const LAST: Self = Self(0xFEFF);
    /// Stands for "not provided" where a reference may be missing.
    pub const NOT_PROVIDED: Self = Self(0xFFFE);
    /// Stands for "none" where a reference may be missing.
    pub const NONE: Self = Self(0xFFFF);
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({self})")
    }
}

/// A reference to a structure that a table has: [`TableBuilder::add`](crate::TableBuilder::add)
/// returns it, and only a description of the right type accepts it.
///
/// ```compile_fail
/// # use smbios_builder::*;
/// let mut table = TableBuilder::new(Version::NEWEST)?;
/// let system = table.add(&System::default())?;
/// MemoryDevice::new(system, 1 << 30); // a memory device lies in an array, not in a system
/// # Ok::<(), Error>(())
/// ```
pub struct Ref<T> {
    handle: Handle,
    target: PhantomData<fn() -> T>,
}

impl<T: Describe> Ref<T> {
    /// Refers to a structure that came in raw. That it is there, and of this type, is checked when
    /// the description with the reference is added.
    #[must_use]
    pub const fn to_raw(handle: Handle) -> Self {
        Self { handle, target: PhantomData }
    }

    /// Returns the structure's handle.
    #[must_use]
    pub const fn handle(self) -> Handle {
        self.handle
    }
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ref<T> {}

impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl<T> Eq for Ref<T> {}

impl<T> Hash for Ref<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.handle.hash(state);
    }
}

impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ref({})", self.handle)
    }
}
