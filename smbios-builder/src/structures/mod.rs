//! One description for each type of structure.

mod devices;
mod memory;
mod oem;
mod processor;
mod system;

pub use devices::*;
pub use memory::*;
pub use oem::{OemStructure, RawStructure};
pub use processor::*;
pub use system::*;

use crate::{Encoder, Error, Structure};

/// What a description adds to the fields that stand in it as they stand in the structure.
pub(crate) trait Computed<L> {
    /// Fills in fields of the layout, and appends nothing.
    fn complete(&self, _layout: &mut L, _encoder: &mut Encoder<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// Appends what follows the layout.
    fn append_tail(&self, _encoder: &mut Encoder<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// Reads back what the other two wrote.
    fn restore(&mut self, _layout: &L, _structure: &Structure<'_>) {}
}

/// Declares descriptions. Fields of the first block stand in the layout under the same name; those
/// of a second block, after `+`, are for `Computed` to write and read.
macro_rules! describe {
    ($(
        $(#[$attribute:meta])*
        $name:ident: $layout:ident, $kind:ident, since ($major:literal, $minor:literal)
        { $($(#[$doc:meta])* $field:ident: $type:ty,)* }
        $(+ { $($(#[$other_doc:meta])* $other:ident: $other_type:ty,)* })?
    )*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
            $($($(#[$other_doc])* pub $other: $other_type,)*)?
        }

        impl $crate::Describe for $name {
            const TYPE: $crate::StructureType = $crate::StructureType::$kind;
            const SINCE: $crate::Version = $crate::Version::new($major, $minor);

            fn encode(&self, encoder: &mut $crate::Encoder<'_>) -> Result<(), $crate::Error> {
                let mut layout =
                    <$crate::spec::$layout as zerocopy::FromZeros>::new_zeroed();
                $(layout.$field = $crate::encoder::Field::put(&self.$field, encoder)?;)*
                $crate::structures::Computed::complete(self, &mut layout, encoder)?;
                encoder.append_layout(&layout);
                $crate::structures::Computed::append_tail(self, encoder)
            }

            fn decode(structure: &$crate::Structure<'_>) -> Result<Self, $crate::Error> {
                let layout: $crate::spec::$layout =
                    structure.layout(<Self as $crate::Describe>::TYPE)?;
                let mut description = Self {
                    $($field: $crate::encoder::Field::get(layout.$field, structure),)*
                    $($($other: Default::default(),)*)?
                };
                $crate::structures::Computed::restore(&mut description, &layout, structure);
                Ok(description)
            }
        }

        describe!(@plain $name $layout $(+ $($other)*)?);
    )*};
    (@plain $name:ident $layout:ident) => {
        impl $crate::structures::Computed<$crate::spec::$layout> for $name {}
    };
    (@plain $name:ident $layout:ident + $($other:ident)*) => {};
}
use describe;
