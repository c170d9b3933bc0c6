//! What a chip says of itself: the query structure and the identifier codes.

use super::geometry::FlashGeometry;

/// The write buffer of all chips together, in bytes.
pub(super) const BUFFER_BYTES: u32 = 256;

/// Where the query structure's parts are, in units of a chip's width.
mod at {
    pub(super) const BLOCK_STATUS: u32 = 0x02;
    pub(super) const IDENTIFICATION: u32 = 0x10;
    pub(super) const EXTENDED: u8 = 0x31;
}

/// The vendor command set that the chips follow.
const INTEL_EXTENDED: u8 = 0x01;
/// No manufacturer has this number, nor this chip.
const NO_MANUFACTURER: u8 = 0;
const NO_CHIP: u8 = 0;

/// The identifier code at an address of a chip, counted in its width from the start of a block.
pub(super) const fn identifier(address: u32, is_locked: bool) -> u8 {
    match address & 0xFF {
        0 => NO_MANUFACTURER,
        1 => NO_CHIP,
        at::BLOCK_STATUS => is_locked as u8,
        _ => 0,
    }
}

/// The query structure at an address of a chip, counted in its width; `block_address` is the same
/// from the start of a block.
///
/// # Source
/// JEDEC JESD68.01, "Common Flash Interface (CFI)"; JEP137, command set 0001h; Intel 290667, "Common
/// Flash Interface", for the primary extended table.
pub(super) fn query(
    geometry: FlashGeometry,
    address: u32,
    block_address: u32,
    is_locked: bool,
) -> u8 {
    match block_address {
        0 | 1 => return identifier(block_address, is_locked),
        at::BLOCK_STATUS => return is_locked.into(),
        _ => {}
    }
    let table = table(geometry);
    let index =
        address.checked_sub(at::IDENTIFICATION).and_then(|index| usize::try_from(index).ok());
    index.and_then(|index| table.get(index)).copied().unwrap_or(0)
}

/// The structure from "QRY" on, of one chip.
fn table(geometry: FlashGeometry) -> [u8; 0x30] {
    let chips = geometry.bus().chips();
    let size = geometry.size_bytes() / chips;
    // What is no power of two is told exactly by the erase regions.
    let size_log2 = size.next_power_of_two().trailing_zeros().to_le_bytes()[0];
    let buffer_log2 = (BUFFER_BYTES / chips).trailing_zeros().to_le_bytes()[0];
    let [last_block, last_block_high, ..] = (geometry.blocks() - 1).to_le_bytes();
    let [block, block_high, ..] = (geometry.block_bytes() / chips / 256).to_le_bytes();
    // Asynchronous interfaces of 8 bits alone, and of 16 alone.
    let interface = if geometry.bus().chip_bytes() == 1 { 0 } else { 1 };
    #[rustfmt::skip]
    let table = [
        // 10h: identification, and where the extended table is. There is no other command set.
        b'Q', b'R', b'Y', INTEL_EXTENDED, 0, at::EXTENDED, 0, 0, 0, 0, 0,
        // 1Bh: 2.7 to 3.6 V, and no programming voltage.
        0x27, 0x36, 0, 0,
        // 1Fh: typical times as powers of two: 2^0 us to program and for a buffer, 2^0 ms to erase
        // a block, no erasing of all. Then what the longest are in terms of these.
        0, 0, 0, 0, 0, 0, 0, 0,
        // 27h: size, interface, write buffer, one region of equal blocks.
        size_log2, interface, 0, buffer_log2, 0, 1, last_block, last_block_high, block, block_high,
        // 31h: version 1.0, with locks for each block at any time, nothing to suspend, a lock bit in
        // the block status, 3.3 V.
        b'P', b'R', b'I', b'1', b'0', 1 << 5, 0, 0, 0, 0, 1, 0, 0x33, 0, 0,
    ];
    table
}
