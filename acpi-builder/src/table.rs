//! What all descriptions of tables have in common.

use alloc::vec::Vec;

use crate::{Error, Sdt, Signature};

/// A description that becomes a table.
///
/// All descriptions of this crate are one, and a table of the user's own takes no more.
pub trait Table {
    /// What the table is.
    const SIGNATURE: Signature;

    /// The revision of its layout.
    const REVISION: u8;

    /// Appends what follows the table's header.
    ///
    /// # Errors
    /// What the description can't be expressed for. A table of the user's own has
    /// [`Error::Custom`].
    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error>;

    /// Builds the table.
    ///
    /// # Errors
    /// Those of [`append_body`](Self::append_body).
    fn build(&self) -> Result<Sdt, Error> {
        let mut body = Vec::new();
        self.append_body(&mut body)?;
        Ok(Sdt::new(Self::SIGNATURE, Self::REVISION, body))
    }
}
