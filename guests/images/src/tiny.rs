//! Kernels of a few instructions, for tests.

/// One segment of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    address: u64,
    memory_bytes: u64,
    bytes: &'a [u8],
}

impl<'a> Segment<'a> {
    /// Makes a segment for physical `address` of `memory_bytes`, which begin with `bytes`. Nothing is
    /// checked: loaders are to be tested with it.
    #[must_use]
    pub const fn new(address: u64, memory_bytes: u64, bytes: &'a [u8]) -> Self {
        Self { address, memory_bytes, bytes }
    }
}

const HEADER_BYTES: usize = 0x1000;
const NOTE_OFFSET: usize = 0x800;
const NOTE_BYTES: u64 = 20;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;

/// Makes an ELF64 with a PVH note of segments, of which the first one's start is the entry.
///
/// # Source
/// System V ABI, "Object Files"; Xen `public/elfnote.h`, `XEN_ELFNOTE_PHYS32_ENTRY`.
#[must_use]
pub fn pvh_kernel(segments: &[Segment<'_>]) -> Vec<u8> {
    let entry = segments.first().map_or(0, |segment| segment.address);
    let mut file = vec![0; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    // Class, byte order, version; an executable for x86-64; headers of 64 and 56 bytes.
    put(0, b"\x7FELF\x02\x01\x01");
    put(16, &[2, 0, 62, 0, 1]);
    put(24, &entry.to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(52, &[64, 0, 56, 0]);
    put(56, &u16::try_from(segments.len() + 1).unwrap_or(0).to_le_bytes());

    let mut offset = HEADER_BYTES as u64;
    let note = (PT_NOTE, NOTE_OFFSET as u64, 0, NOTE_BYTES, NOTE_BYTES);
    let loads = segments.iter().map(|segment| {
        let size = segment.bytes.len() as u64;
        let header = (PT_LOAD, offset, segment.address, size, segment.memory_bytes);
        offset += size;
        header
    });
    for (index, (kind, offset, address, file_bytes, memory_bytes)) in
        loads.chain([note]).enumerate()
    {
        let at = 64 + 56 * index;
        put(at, &kind.to_le_bytes());
        let words = [offset, address, address, file_bytes, memory_bytes, 4];
        for (field, word) in (at + 8..).step_by(8).zip(words) {
            put(field, &word.to_le_bytes());
        }
    }
    // A note of a PVH kernel holds 32 bits.
    let [a, b, c, d, ..] = entry.to_le_bytes();
    let words = [4, 4, 18, u32::from_le_bytes(*b"Xen\0"), u32::from_le_bytes([a, b, c, d])];
    for (at, word) in (NOTE_OFFSET..).step_by(4).zip(words) {
        put(at, &word.to_le_bytes());
    }
    segments.iter().for_each(|segment| file.extend_from_slice(segment.bytes));
    file
}
