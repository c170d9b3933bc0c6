//! The memory of a guest.

use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use boot_plan::Placement;
use guest_state::{AccessError, Gpa, GpaRange};
use vm_memory::{
    Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion, MmapRegion,
    VolatileMemory,
};

use super::file::{MappedFile, replace_by_copy, whole_pages};

/// The memory that a guest may get to see. Whoever can make a CPU touch it keeps it alive.
#[derive(Debug)]
pub(crate) struct HostMemory {
    /// RAM, also that which lies behind ROM.
    pub(crate) ram: GuestMemoryMmap,
    /// ROMs by their first guest address.
    pub(crate) roms: Vec<(GpaRange, MmapRegion)>,
    /// What of RAM is pages of files, as far as the guest has not written to them.
    file_pages: Mutex<Vec<GpaRange>>,
}

impl HostMemory {
    /// Allocates RAM from zero to `low_end`, and from 4 GiB to `high_end`.
    pub(crate) fn new(low_end: Gpa, high_end: Option<Gpa>) -> io::Result<Self> {
        const FOUR_GIB: u64 = 1 << 32;
        let size = |bytes: u64| usize::try_from(bytes).map_err(io::Error::other);
        let mut ranges = vec![(GuestAddress(0), size(low_end.as_u64())?)];
        if let Some(bytes) = high_end.and_then(|end| end.offset_from(Gpa::new(FOUR_GIB))) {
            ranges.push((GuestAddress(FOUR_GIB), size(bytes)?));
        }
        let ram = GuestMemoryMmap::from_ranges(&ranges).map_err(io::Error::other)?;
        Ok(Self { ram, roms: Vec::new(), file_pages: Mutex::default() })
    }

    /// Adds a ROM with its contents.
    pub(crate) fn add_rom(&mut self, rom: &Placement<'_>) -> io::Result<()> {
        let range = rom.range().unwrap_or_default();
        let size = usize::try_from(range.size_bytes()).map_err(io::Error::other)?;
        let region = MmapRegion::new(size).map_err(io::Error::other)?;
        if let Some(bytes) = rom.contents.bytes() {
            region.as_volatile_slice().write_slice(bytes, 0).map_err(io::Error::other)?;
        }
        self.roms.push((range, region));
        Ok(())
    }

    /// Puts pages of `file` into RAM in place of copies of them: what of the placement can be so.
    /// Returns which of its bytes these are. What the guest writes to them stays its own.
    ///
    /// `offset` is where in the file the placement's bytes begin.
    pub(crate) fn map_file(
        &self,
        gpa: Gpa,
        size: usize,
        file: &MappedFile,
        offset: u64,
    ) -> io::Result<Range<usize>> {
        let Some(bytes) = whole_pages(gpa, size, offset) else { return Ok(0..0) };
        let at = gpa.checked_add(bytes.start as u64).ok_or(io::ErrorKind::InvalidInput)?;
        let slice = self.ram.get_slice(GuestAddress(at.as_u64()), bytes.len());
        let slice = slice.map_err(io::Error::other)?;
        // SAFETY:
        // 1. The pages are a part of a mapping that `self.ram` owns, and begin at a page: a region of
        //    RAM does, and `at` is a multiple of the page size.
        // 2. Nobody holds Rust references into it: the mapping gives volatile access only.
        // 3. What `self.ram` does with its mapping at last, unmapping all of it, goes for these too.
        unsafe {
            file.map_at(slice.ptr_guard_mut().as_ptr(), bytes.len(), offset + bytes.start as u64)
        }?;
        self.file_pages().extend(GpaRange::new(at, bytes.len() as u64));
        Ok(bytes)
    }

    /// Replaces all pages of files by copies. No CPU may be in the guest, nor a device at work.
    pub(crate) fn replace_file_pages(&self) -> io::Result<()> {
        let mut ranges = self.file_pages();
        while let Some(range) = ranges.last() {
            let at = GuestAddress(range.start().as_u64());
            let size = usize::try_from(range.size_bytes()).map_err(io::Error::other)?;
            let slice = self.ram.get_slice(at, size).map_err(io::Error::other)?;
            // SAFETY: as in `map_file`; the caller sees to it that nobody writes.
            unsafe { replace_by_copy(slice.ptr_guard_mut().as_ptr(), size) }?;
            ranges.pop();
        }
        Ok(())
    }

    fn file_pages(&self) -> MutexGuard<'_, Vec<GpaRange>> {
        self.file_pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads from a ROM.
    pub(crate) fn read_rom(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        let error = AccessError::NotMapped { gpa, size_bytes: buffer.len() as u64 };
        let (region, offset) = self.rom(gpa).ok_or(error)?;
        region.as_volatile_slice().read_slice(buffer, offset).map_err(|_| error)
    }

    /// Writes to a ROM, as the guest can't.
    pub(crate) fn write_rom(&self, gpa: Gpa, data: &[u8]) -> Result<(), AccessError> {
        let error = AccessError::NotMapped { gpa, size_bytes: data.len() as u64 };
        let (region, offset) = self.rom(gpa).ok_or(error)?;
        region.as_volatile_slice().write_slice(data, offset).map_err(|_| error)
    }

    /// Takes the contents of a ROM over from other memory that has one there.
    pub(crate) fn copy_rom(&self, other: &Self, range: GpaRange) -> Result<(), AccessError> {
        let mut bytes = vec![0; usize::try_from(range.size_bytes()).unwrap_or(0)];
        other.read_rom(range.start(), &mut bytes)?;
        self.write_rom(range.start(), &bytes)
    }

    fn rom(&self, gpa: Gpa) -> Option<(&MmapRegion, usize)> {
        let (range, region) = self.roms.iter().find(|(range, _)| range.contains(gpa))?;
        let offset = gpa.offset_from(range.start())?;
        Some((region, usize::try_from(offset).ok()?))
    }

    /// Returns where low RAM ends, and the RAM above 4 GiB.
    pub(crate) fn extent(&self) -> (Gpa, Option<GpaRange>) {
        let mut regions = self.ram.iter().map(|region| {
            GpaRange::new(Gpa::new(region.start_addr().0), region.len()).unwrap_or_default()
        });
        (regions.next().unwrap_or_default().end(), regions.next())
    }
}
