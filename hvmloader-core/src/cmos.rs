//! What the CMOS says of memory and CPUs: how a BIOS learns their sizes without fw_cfg.

use boot_plan::MemoryMap;
use guest_state::{Gpa, MemoryKind};

/// Returns the CMOS registers that tell a BIOS how much RAM `memory` has, and how many CPUs to
/// wait for: pairs of index and value.
///
/// | index | value |
/// |---|---|
/// | 15h, 16h | conventional memory in KiB: 640 |
/// | 17h, 18h and 30h, 31h | memory above 1 MiB in KiB, at most 64 MiB less one |
/// | 34h, 35h | memory from 16 MiB to 4 GiB in units of 64 KiB |
/// | 5Bh to 5Dh | memory above 4 GiB in units of 64 KiB |
/// | 5Fh | CPUs less one, at most 255 |
///
/// # Source
/// The registers that SeaBIOS, OVMF and Bochs' BIOS read.
#[must_use]
pub fn cmos_registers(memory: &MemoryMap, cpus: u32) -> [(u8, u8); 12] {
    let ram_between = |start: u64, end: u64| -> u64 {
        let end = Gpa::new(end);
        let part = |range: guest_state::GpaRange| {
            range.end().min(end).offset_from(range.start().max(Gpa::new(start)))
        };
        memory.ranges(MemoryKind::RAM).filter_map(part).sum()
    };
    let extended = (ram_between(1 << 20, 1 << 32) >> 10).min(0xFFFF);
    let above_16m = (ram_between(16 << 20, 1 << 32) >> 16).min(0xFFFF);
    let above_4g = (ram_between(1 << 32, u64::MAX) >> 16).min(0xFF_FFFF);
    let [extended_low, extended_high, ..] = extended.to_le_bytes();
    let [above_16m_low, above_16m_high, ..] = above_16m.to_le_bytes();
    let [high_0, high_1, high_2, ..] = above_4g.to_le_bytes();
    let [others, ..] = cpus.saturating_sub(1).min(255).to_le_bytes();
    [
        (0x15, 0x80),
        (0x16, 0x02),
        (0x17, extended_low),
        (0x18, extended_high),
        (0x30, extended_low),
        (0x31, extended_high),
        (0x34, above_16m_low),
        (0x35, above_16m_high),
        (0x5B, high_0),
        (0x5C, high_1),
        (0x5D, high_2),
        (0x5F, others),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(registers: &[(u8, u8)], wanted: u8) -> u8 {
        registers.iter().find(|(index, _)| *index == wanted).unwrap().1
    }

    #[test]
    fn five_gib_are_told_in_three_parts() {
        let cmos = cmos_registers(&MemoryMap::pc(5 << 30).unwrap(), 4);
        let word = |low, high| u16::from_le_bytes([register(&cmos, low), register(&cmos, high)]);
        assert_eq!(word(0x15, 0x16), 640);
        assert_eq!(word(0x30, 0x31), 0xFFFF);
        // 3 GiB - 16 MiB, and the 2 GiB that lie above 4 GiB.
        assert_eq!(word(0x34, 0x35), 0xBF00);
        assert_eq!(word(0x5B, 0x5C), 0x8000);
        assert_eq!(register(&cmos, 0x5F), 3);
    }

    #[test]
    fn eight_mib_are_all_extended_memory() {
        let cmos = cmos_registers(&MemoryMap::pc(8 << 20).unwrap(), 1000);
        let word = |low, high| u16::from_le_bytes([register(&cmos, low), register(&cmos, high)]);
        assert_eq!(word(0x17, 0x18), 7 * 1024);
        assert_eq!(word(0x34, 0x35), 0);
        assert_eq!(register(&cmos, 0x5F), 255);
    }
}
