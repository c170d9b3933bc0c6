//! A disk of one sector on a PCI bus of its own: a driver of a few lines reads it.

use std::sync::atomic::{AtomicU64, Ordering};

use guest_state::{Gpa, GuestMemory, WordMemory};
use virtio::{Blk, BlkConfig, BlockBackend, BlockError, Effect, VirtioPci};

/// The contents of the disk.
struct Contents(Vec<u8>);

impl BlockBackend for Contents {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), BlockError> {
        let start = usize::try_from(offset).map_err(|_| BlockError)?;
        let there = self.0.get(start..start + buffer.len()).ok_or(BlockError)?;
        buffer.copy_from_slice(there);
        Ok(())
    }

    fn write_at(&mut self, _: u64, _: &[u8]) -> Result<(), BlockError> {
        Err(BlockError)
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<AtomicU64> = (0..0x800).map(|_| AtomicU64::new(0)).collect();
    let memory = WordMemory::new(Gpa::ZERO, &words);
    let mut sector = b"a sector by virtio".to_vec();
    sector.resize(512, 0);
    let mut contents = Contents(sector);
    let mut disk = VirtioPci::new(Blk::new(BlkConfig { sectors: 1, readonly: true, id: [0; 20] }));

    // Memory and bus master; VERSION_1; the queue's size, and where its three parts are.
    let _ = disk.config_write(0x04, &[6, 0]);
    let registers: [(u32, &[u8]); 11] = [
        (0x14, &[3]),
        (0x08, &[1, 0, 0, 0]),
        (0x0C, &[1, 0, 0, 0]),
        (0x14, &[0x0B]),
        (0x16, &[0, 0]),
        (0x18, &[4, 0]),
        (0x20, &0x1000_u32.to_le_bytes()),
        (0x28, &0x1100_u32.to_le_bytes()),
        (0x30, &0x1200_u32.to_le_bytes()),
        (0x1C, &[1, 0]),
        (0x14, &[0x0F]),
    ];
    for (register, value) in registers {
        let _ = disk.bar_write(register, value);
    }
    // A request for sector 0: its header at 2000h is zero; the data goes to 3000h.
    let chain: [(u64, u32, u16, u16); 3] =
        [(0x2000, 16, 1, 1), (0x3000, 512, 3, 2), (0x3200, 1, 2, 0)];
    for (at, (gpa, size, flags, next)) in (0x1000..).step_by(16).zip(chain) {
        memory.write(Gpa::new(at), &gpa.to_le_bytes())?;
        memory.write(Gpa::new(at + 8), &size.to_le_bytes())?;
        memory.write(Gpa::new(at + 12), &flags.to_le_bytes())?;
        memory.write(Gpa::new(at + 14), &next.to_le_bytes())?;
    }
    memory.store_u16(Gpa::new(0x1102), 1, Ordering::Release)?;
    assert_eq!(disk.bar_write(0x3000, &[0, 0]), Effect::Requests);

    while let Some(request) = disk.take_request(&memory) {
        let ended = request.carry_out(&memory, &mut contents);
        disk.complete(request, ended, &memory);
    }
    assert!(disk.interrupt() && disk.error().is_none());
    assert_eq!(memory.load_u16(Gpa::new(0x1202), Ordering::Acquire)?, 1);
    let mut read = [0; 18];
    memory.read(Gpa::new(0x3000), &mut read)?;
    assert_eq!(&read, b"a sector by virtio");
    println!("{}", String::from_utf8_lossy(&read));
    Ok(())
}
