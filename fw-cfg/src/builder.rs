//! Filling the device.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;

use guest_state::E820Entry;
use zerocopy::IntoBytes;

use crate::device::Item;
use crate::spec::{self, DirectoryEntry};
use crate::{Error, FileName, FwCfg, Key};

/// Collects what a device holds.
///
/// Numbers are little-endian, as x86 guests read them.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder<'a> {
    items: BTreeMap<Key, Item<'a>>,
    files: BTreeMap<FileName, Item<'a>>,
}

impl<'a> Builder<'a> {
    /// How many files there may be: keys 0x20 to 0x3fff.
    pub const MAX_FILES: u16 = Key::LAST_NUMBER - Key::FILE_FIRST.0 + 1;

    /// Adds an item.
    ///
    /// # Errors
    /// [`Error::ReservedKey`] if the key is one of a file or of what [`build`](Self::build) makes,
    /// [`Error::DuplicateKey`] if there is an item with it.
    pub fn item(mut self, key: Key, bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self, Error> {
        if !key.is_free() {
            return Err(Error::ReservedKey { key });
        }
        match self.items.entry(key) {
            Entry::Occupied(_) => return Err(Error::DuplicateKey { key }),
            Entry::Vacant(slot) => slot.insert(Item::read_only(bytes.into())),
        };
        Ok(self)
    }

    /// Adds an item of 2 bytes.
    ///
    /// # Errors
    /// As for [`item`](Self::item).
    pub fn number_u16(self, key: Key, number: u16) -> Result<Self, Error> {
        self.item(key, number.to_le_bytes().to_vec())
    }

    /// Adds an item of 4 bytes.
    ///
    /// # Errors
    /// As for [`item`](Self::item).
    pub fn number_u32(self, key: Key, number: u32) -> Result<Self, Error> {
        self.item(key, number.to_le_bytes().to_vec())
    }

    /// Adds an item of 8 bytes.
    ///
    /// # Errors
    /// As for [`item`](Self::item).
    pub fn number_u64(self, key: Key, number: u64) -> Result<Self, Error> {
        self.item(key, number.to_le_bytes().to_vec())
    }

    /// Adds a file that the guest can read.
    ///
    /// # Errors
    /// - [`Error::FileNameLength`], [`Error::FileNameByte`]: the name is none.
    /// - [`Error::DuplicateFile`], [`Error::TooManyFiles`]: there is one, or there are too many.
    /// - [`Error::FileTooLong`]: it has 4 GiB or more.
    pub fn file(self, name: &str, contents: impl Into<Cow<'a, [u8]>>) -> Result<Self, Error> {
        self.insert(FileName::new(name)?, Item::read_only(contents.into()))
    }

    /// Adds a file that the guest can read, and overwrite by DMA; its length stays.
    ///
    /// # Errors
    /// As for [`file`](Self::file).
    pub fn writable_file(self, name: &str, contents: Vec<u8>) -> Result<Self, Error> {
        self.insert(FileName::new(name)?, Item::writable(contents))
    }

    /// Adds the guest's memory map, `etc/e820`.
    ///
    /// # Errors
    /// As for [`file`](Self::file).
    pub fn e820(self, entries: impl IntoIterator<Item = E820Entry>) -> Result<Self, Error> {
        let mut contents = Vec::new();
        for entry in entries {
            contents.extend_from_slice(entry.as_bytes());
        }
        self.insert(FileName::E820, Item::read_only(contents.into()))
    }

    fn insert(mut self, name: FileName, item: Item<'a>) -> Result<Self, Error> {
        let length = item.bytes().len();
        if u32::try_from(length).is_err() {
            return Err(Error::FileTooLong { name, length });
        }
        if self.files.len() >= usize::from(Self::MAX_FILES) {
            let max = Self::MAX_FILES;
            return Err(Error::TooManyFiles { max });
        }
        match self.files.entry(name) {
            Entry::Occupied(_) => return Err(Error::DuplicateFile { name }),
            Entry::Vacant(slot) => slot.insert(item),
        };
        Ok(self)
    }

    /// Makes the device: signature, feature bits, directory, and the files by ascending name.
    #[must_use]
    pub fn build(self) -> FwCfg<'a> {
        let mut items = self.items;
        let mut names = BTreeMap::new();
        let mut entries = Vec::new();
        // No more files than keys, and none too long: `insert` sees to it.
        for (key, (name, item)) in (Key::FILE_FIRST.0..).map(Key).zip(self.files) {
            let entry = DirectoryEntry {
                size_bytes: u32::try_from(item.bytes().len()).unwrap_or(u32::MAX).into(),
                key: key.0.into(),
                reserved: [0; 2],
                name: name.as_field(),
            };
            entries.extend_from_slice(entry.as_bytes());
            names.insert(name, key);
            items.insert(key, item);
        }
        let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let directory = [&count.to_be_bytes()[..], &entries].concat();
        let features = spec::FEATURES.to_le_bytes().to_vec();
        let fixed = [
            (Key::SIGNATURE, spec::SIGNATURE.to_vec()),
            (Key::ID, features),
            (Key::FILE_DIR, directory),
        ];
        items.extend(fixed.map(|(key, bytes)| (key, Item::read_only(bytes.into()))));
        FwCfg::new(items, names)
    }
}
