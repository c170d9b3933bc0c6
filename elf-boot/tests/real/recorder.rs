//! A file for linux-loader that tells what was loaded, without loading it.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use linux_loader::loader::{KernelLoader, KernelLoaderResult};
use vm_memory::bitmap::BitmapSlice;
use vm_memory::{
    GuestAddress, GuestMemoryBackend, GuestMemoryMmap, ReadVolatile, VolatileMemoryError,
    VolatileSlice,
};

/// More than any image has an honest address for. It is reserved, and never touched.
pub(crate) const MEMORY_BYTES: u64 = 64 << 30;

/// A part of a file, and where it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Load {
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// What linux-loader makes of a file.
pub(crate) struct Loaded {
    /// What it returns, or what it says, without by whom.
    pub(crate) result: Result<KernelLoaderResult, String>,
    /// What it loads, lowest address first.
    pub(crate) loads: Vec<Load>,
}

/// Guest memory.
pub(crate) struct Memory {
    memory: GuestMemoryMmap,
    host: u64,
}

impl Memory {
    pub(crate) fn new() -> Self {
        let size = usize::try_from(MEMORY_BYTES).unwrap();
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), size)]).unwrap();
        let host = host_address(&memory.get_slice(GuestAddress(0), 1).unwrap());
        Self { memory, host }
    }

    pub(crate) fn load<L: KernelLoader>(&self, file: &[u8]) -> Loaded {
        let mut recorder = Recorder { file: Cursor::new(file), host: self.host, loads: Vec::new() };
        let result = L::load(&self.memory, None, &mut recorder, None);
        let last = |error: String| error.rsplit(": ").next().unwrap_or_default().to_owned();
        let mut loads = recorder.loads;
        loads.sort_unstable();
        Loaded { result: result.map_err(|error| last(error.to_string())), loads }
    }
}

struct Recorder<'a> {
    file: Cursor<&'a [u8]>,
    /// Where guest memory begins in this process.
    host: u64,
    loads: Vec<Load>,
}

impl ReadVolatile for Recorder<'_> {
    fn read_volatile<B: BitmapSlice>(
        &mut self,
        to: &mut VolatileSlice<'_, B>,
    ) -> Result<usize, VolatileMemoryError> {
        let guest = host_address(to).checked_sub(self.host).filter(|&at| at < MEMORY_BYTES);
        let Some(address) = guest else {
            // A structure of linux-loader's own.
            return self.file.read_volatile(to);
        };
        let offset = self.file.position();
        let rest = (self.file.get_ref().len() as u64).saturating_sub(offset);
        let bytes = rest.min(to.len() as u64);
        self.loads.push(Load { address, offset, bytes });
        self.file.set_position(offset + bytes);
        Ok(usize::try_from(bytes).unwrap())
    }
}

impl Read for Recorder<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.file.read(to)
    }
}

impl Seek for Recorder<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

fn host_address<B: BitmapSlice>(slice: &VolatileSlice<'_, B>) -> u64 {
    slice.ptr_guard().as_ptr().addr() as u64
}
