//! zstd.

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::Bounded;

/// Unpacks the first frame, block by block, so that it is stopped where it gets too long. A window
/// of more than 128 MiB is refused. The checksum is not compared.
pub(super) fn unpack(bytes: &[u8], out: &mut Bounded) -> Option<()> {
    let mut rest = bytes;
    let mut decoder = FrameDecoder::new();
    decoder.init(&mut rest).ok()?;
    while !decoder.is_finished() {
        decoder.decode_blocks(&mut rest, BlockDecodingStrategy::UptoBlocks(1)).ok()?;
        // What the window holds comes out at the end.
        if let Some(part) = decoder.collect() {
            out.push(&part)?;
        }
    }
    Some(())
}
