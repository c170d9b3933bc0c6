//! What fields can hold: numbers with names, and flags.

mod devices;
mod flags;
mod kinds;
mod memory;
mod processor;
mod system;
mod words;

pub use devices::*;
pub use flags::*;
pub use kinds::StructureType;
pub use memory::*;
pub use processor::*;
pub use system::*;
pub use words::*;

/// Declares an open newtype: a number of which some values have names, and all are legal.
macro_rules! open_values {
    ($(
        $(#[$doc:meta])*
        $name:ident($type:ty), default $default:ident
        { $($constant:ident = $value:literal $text:literal,)* }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $type);

        impl $name {
            $(#[doc = concat!($text, ".")] pub const $constant: Self = Self($value);)*

            /// Returns the value's name, or `None` if the specification gives it none.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, "{:#x}", self.0),
                }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl $crate::encoder::Field<open_values!(@wire $type)> for $name {
            fn put(
                &self,
                _: &mut $crate::Encoder<'_>,
            ) -> Result<open_values!(@wire $type), $crate::Error> {
                Ok(self.0.into())
            }

            fn get(wire: open_values!(@wire $type), _: &$crate::Structure<'_>) -> Self {
                Self(wire.into())
            }
        }
    )*};
    (@wire u8) => { u8 };
    (@wire u16) => { zerocopy::little_endian::U16 };
    (@wire $other:ty) => { <$other as $crate::encoder::Number>::Wire };
}
use open_values;
