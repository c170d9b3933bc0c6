//! gzip.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush, MZStatus};

use alloc::vec;

use super::Bounded;

/// Flags of a member's header.
const HAS_CHECKSUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0xE0;

/// Unpacks the first member, and checks its checksum and length.
///
/// # Source
/// RFC 1952, "Member format".
pub(super) fn unpack(bytes: &[u8], out: &mut Bounded) -> Option<()> {
    let mut rest = skip_header(bytes)?;
    let mut state = InflateState::new_boxed(DataFormat::Raw);
    let mut window = vec![0; 0x1_0000];
    loop {
        let step = inflate(&mut state, rest, &mut window, MZFlush::None);
        rest = rest.get(step.bytes_consumed..)?;
        out.push(window.get(..step.bytes_written)?)?;
        match step.status.ok()? {
            MZStatus::StreamEnd => break,
            _ if step.bytes_consumed == 0 && step.bytes_written == 0 => return None,
            _ => {}
        }
    }
    let (checksum, rest) = rest.split_first_chunk()?;
    let size = rest.first_chunk()?;
    let is_whole = u32::from_le_bytes(*checksum) == crc32fast::hash(&out.bytes)
        && u64::from(u32::from_le_bytes(*size)) == out.bytes.len() as u64 & 0xFFFF_FFFF;
    is_whole.then_some(())
}

fn skip_header(bytes: &[u8]) -> Option<&[u8]> {
    let (&[_, _, method, flags, ..], mut rest) = bytes.split_first_chunk::<10>()?;
    if method != 8 || flags & RESERVED != 0 {
        return None;
    }
    if flags & HAS_EXTRA != 0 {
        let (size, behind) = rest.split_first_chunk()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*size))..)?;
    }
    for flag in [HAS_NAME, HAS_COMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|&byte| byte == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & HAS_CHECKSUM != 0 { rest.get(2..) } else { Some(rest) }
}
