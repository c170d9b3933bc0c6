//! Files that are mapped instead of read.
//!
//! A large kernel is in the host's page cache already. Mapped copy-on-write, its pages become the
//! guest's without being copied; but then nobody may change the file behind the guest's back, or cut
//! it short, which would kill whoever touches what is gone. So the file is leased: whoever wants to
//! write to it waits, until all that was mapped has been replaced by copies.
//!
//! Where the system grants no lease, the file is not mapped: it is open for writing already, another
//! user's, or on a file system that has no leases.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use guest_state::Gpa;
use signal_hook::consts::SIGIO;

const PAGE: usize = 4096;
/// Less than this is copied sooner than mapped.
const LEAST_BYTES: usize = 128 << 10;

/// A file that is mapped, and does not change meanwhile.
#[derive(Debug)]
pub(crate) struct MappedFile {
    file: File,
    start: *const u8,
    size: usize,
    /// Whether somebody waits to write to the file.
    is_wanted: Arc<AtomicBool>,
    /// Whether the mapping's pages are those of the file.
    is_leased: AtomicBool,
}

// SAFETY: the mapping is not bound to a thread, and read-only to this program.
unsafe impl Send for MappedFile {}
// SAFETY: as above.
unsafe impl Sync for MappedFile {}

impl MappedFile {
    /// Maps the first `size` bytes of a file, as many as it has; returns it if that can't be done.
    pub(crate) fn new(file: File, size: usize) -> Result<Self, File> {
        let is_wanted = Arc::new(AtomicBool::new(false));
        // The kernel tells by a signal that somebody waits. It must not end the program.
        if size < LEAST_BYTES || signal_hook::flag::register(SIGIO, Arc::clone(&is_wanted)).is_err()
        {
            return Err(file);
        }
        // The lease comes before the mapping, so that what is mapped can't be cut short.
        if lease(&file, libc::F_RDLCK).is_err() {
            return Err(file);
        }
        match map_all(&file, size) {
            Some(start) => {
                Ok(Self { file, start, size, is_wanted, is_leased: AtomicBool::new(true) })
            }
            None => {
                let _ = lease(&file, libc::F_UNLCK);
                Err(file)
            }
        }
    }

    /// Returns the bytes of the file, as they were when it was mapped.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY:
        // 1. The mapping is of that size, and stays as long as `self`.
        // 2. Its bytes do not change: while the pages are the file's, the lease keeps writers out, and
        //    before it ends `release` replaces them by copies. Nothing here writes to it.
        unsafe { slice::from_raw_parts(self.start, self.size) }
    }

    /// Tells whether somebody waits to write to the file: then [`release`](Self::release) it soon.
    /// After 45 seconds the kernel lets them, whatever has become of it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire) && self.is_leased()
    }

    /// Tells whether pages of the file may be mapped anew.
    pub(crate) fn is_leased(&self) -> bool {
        self.is_leased.load(Ordering::Acquire)
    }

    /// Lets others write to the file. Before, whoever mapped parts of it must have replaced them.
    pub(crate) fn release(&self) -> io::Result<()> {
        // SAFETY: the mapping is `self`'s, and nothing writes to it.
        unsafe { replace_by_copy(self.start.cast_mut(), self.size) }?;
        self.is_leased.store(false, Ordering::Release);
        lease(&self.file, libc::F_UNLCK)
    }

    /// Maps a part of the file to `address`, copy-on-write.
    ///
    /// # Safety
    /// 1. `size` bytes from `address` on, both multiples of the page size, are a mapping or a part of
    ///    one that the caller may replace.
    /// 2. Nobody holds Rust references into it.
    pub(crate) unsafe fn map_at(
        &self,
        address: *mut u8,
        size: usize,
        offset: u64,
    ) -> io::Result<()> {
        if !self.is_leased() {
            return Err(io::Error::other("the file may have changed"));
        }
        // SAFETY: the caller's promise.
        unsafe { map(address.cast(), size, &self.file, offset, libc::MAP_FIXED) }.map(|_| ())
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // SAFETY: the mapping is `self`'s, and the borrows of its bytes have ended with it.
        unsafe { libc::munmap(self.start.cast_mut().cast(), self.size) };
        // Closing the file ends the lease.
    }
}

/// Maps a whole file of `size` bytes.
fn map_all(file: &File, size: usize) -> Option<*const u8> {
    if file.metadata().ok()?.len() != size as u64 {
        return None;
    }
    // SAFETY: the kernel finds an address where nothing is.
    let start = unsafe { map(ptr::null_mut(), size, file, 0, 0) }.ok()?;
    Some(start.cast())
}

/// Maps a part of a file, copy-on-write.
///
/// # Safety
/// With `MAP_FIXED` in `flags`, `address` and `size` name memory that may be replaced.
unsafe fn map(
    address: *mut libc::c_void,
    size: usize,
    file: &File,
    offset: u64,
    flags: i32,
) -> io::Result<*mut libc::c_void> {
    let offset = offset.try_into().map_err(io::Error::other)?;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_NORESERVE;
    // SAFETY: the caller's promise; without MAP_FIXED a new mapping touches no other.
    match unsafe { libc::mmap(address, size, protection, flags, file.as_raw_fd(), offset) } {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        address => Ok(address),
    }
}

/// Asks for a lease, or ends it.
fn lease(file: &File, kind: i32) -> io::Result<()> {
    // SAFETY: the call takes a number, and the descriptor is open.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Replaces mapped pages by anonymous ones with the same bytes.
///
/// Copies that the kernel made when the pages were written to do not stay when the file is cut short:
/// so it takes more than to write to all of them.
///
/// # Safety
/// `start`, a multiple of the page size, and `size` name a mapping or a part of one, which the caller
/// may replace. Nobody writes to it meanwhile.
pub(super) unsafe fn replace_by_copy(start: *mut u8, size: usize) -> io::Result<()> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the kernel finds an address where nothing is.
    let copy = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
    if copy == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both are mapped, of that size and apart; by the caller's promise nobody writes to the
    // one, and nobody knows the other.
    unsafe { ptr::copy_nonoverlapping(start, copy.cast(), size) };
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: the caller's promise; the same bytes stand at every address before and afterwards.
    if unsafe { libc::mremap(copy, size, size, flags, start) } == libc::MAP_FAILED {
        let error = io::Error::last_os_error();
        // SAFETY: nobody knows of it.
        unsafe { libc::munmap(copy, size) };
        return Err(error);
    }
    Ok(())
}

/// Returns which of `size` bytes, that lie at `gpa` and come from a file at `offset`, are whole pages
/// of both; `None` if these are not worth a mapping.
pub(super) fn whole_pages(gpa: Gpa, size: usize, offset: u64) -> Option<Range<usize>> {
    let page = PAGE as u64;
    if gpa.as_u64() % page != offset % page {
        return None;
    }
    let start = offset.checked_next_multiple_of(page)?;
    let end = offset.checked_add(size as u64)? / page * page;
    let within = |at: u64| usize::try_from(at.checked_sub(offset)?).ok();
    let bytes = within(start)?..within(end)?;
    (bytes.len() >= LEAST_BYTES).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_pages_of_both_file_and_memory_are_mapped() {
        let gpa = Gpa::new(0x10_0800);
        let all = LEAST_BYTES + 2 * PAGE;
        assert_eq!(whole_pages(gpa, all, 0x1800), Some(0x800..all - 0x800));
        assert_eq!(whole_pages(gpa, all, 0x1000), None);
        assert_eq!(whole_pages(Gpa::new(0x10_0000), LEAST_BYTES, 0), Some(0..LEAST_BYTES));
        assert_eq!(whole_pages(Gpa::new(0x10_0000), LEAST_BYTES - 1, 0), None);
        assert_eq!(whole_pages(gpa, 0x100, 0x1800), None);
        assert_eq!(whole_pages(gpa, all, u64::MAX - 0x7FF), None);
    }
}
