//! LZ4 in its legacy frame, which Linux has.

use alloc::vec;

use super::{Bounded, LZ4_LEGACY};

/// What a block unpacks to at most.
const BLOCK_BYTES: usize = 8 << 20;

/// Unpacks all blocks: each is its length in four bytes, then LZ4's block format. No checksum
/// follows.
///
/// # Source
/// LZ4 Frame Format Description, "Legacy frame".
pub(super) fn unpack(bytes: &[u8], out: &mut Bounded) -> Option<()> {
    let mut rest = bytes.strip_prefix(LZ4_LEGACY)?;
    let mut block = vec![0; BLOCK_BYTES];
    while let Some((size, behind)) = rest.split_first_chunk() {
        // Frames may follow each other.
        if size == LZ4_LEGACY {
            rest = behind;
            continue;
        }
        let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
        let unpacked = lz4_flex::block::decompress_into(behind.get(..size)?, &mut block).ok()?;
        out.push(block.get(..unpacked)?)?;
        rest = behind.get(size..)?;
    }
    rest.is_empty().then_some(())
}
