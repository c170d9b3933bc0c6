//! xz.

use alloc::vec;

use lzma_rust2::{Action, Status, XzStream};

use super::Bounded;

/// What the decompressor may take, in KiB: xz' largest preset has a window of 64 MiB, Linux' build
/// one of 128.
const MOST_KIB: u32 = 129 << 10;

/// Unpacks the first stream; its checksums are checked.
pub(super) fn unpack(bytes: &[u8], out: &mut Bounded) -> Option<()> {
    let mut stream = XzStream::new_mem_limit(false, MOST_KIB);
    let mut window = vec![0; 0x1_0000];
    let mut rest = bytes;
    loop {
        let step = stream.process(rest, &mut window, Action::Finish).ok()?;
        rest = rest.get(step.bytes_consumed..)?;
        out.push(window.get(..step.bytes_produced)?)?;
        if step.status == Status::StreamEnd {
            return Some(());
        }
        if step.bytes_consumed == 0 && step.bytes_produced == 0 {
            return None;
        }
    }
}
