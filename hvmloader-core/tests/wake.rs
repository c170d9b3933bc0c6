//! What other CPUs execute, carried out by hand.

#![allow(clippy::unwrap_used)]

use guest_state::Gpa;
use hvmloader_core::{Error, WakePage};

/// A CPU of few instructions, which begins at the page's first byte, in real mode.
#[derive(Default)]
struct Cpu {
    ip: usize,
    eax: u32,
    ecx: u32,
    edx: u32,
    bp: u16,
    si: u16,
    zero: bool,
    written: Vec<(u32, u64)>,
}

impl Cpu {
    /// Runs until HLT.
    fn run(mut self, page: &mut [u8]) -> Self {
        let word = |page: &[u8], at: usize| u16::from_le_bytes([page[at], page[at + 1]]);
        let double =
            |page: &[u8], at: usize| u32::from_le_bytes(page[at..at + 4].try_into().unwrap());
        for _ in 0..100_000 {
            let code = page[self.ip..].to_vec();
            let si = usize::from(self.si);
            let target = |ip: usize, by: u8| ip.wrapping_add_signed(by.cast_signed().into());
            let length = match code[..] {
                [0xF4, ..] => return self,
                [0xFA | 0x90, ..] => 1,
                [0x2E, 0x8B, 0x2E, a, b, ..] => {
                    self.bp = word(page, u16::from_le_bytes([a, b]).into());
                    5
                }
                [0xBE, a, b, ..] => {
                    self.si = u16::from_le_bytes([a, b]);
                    3
                }
                [0x85, 0xED, ..] => {
                    self.zero = self.bp == 0;
                    2
                }
                [0x74, by, ..] => {
                    self.ip = if self.zero { target(self.ip, by) } else { self.ip };
                    2
                }
                [0x66, 0x2E, 0x8B, 0x0C, ..] => {
                    self.ecx = double(page, si);
                    4
                }
                [0x66, 0x2E, 0x8B, 0x44, by, ..] => {
                    self.eax = double(page, si + usize::from(by));
                    5
                }
                [0x66, 0x2E, 0x8B, 0x54, by, ..] => {
                    self.edx = double(page, si + usize::from(by));
                    5
                }
                [0x0F, 0x30, ..] => {
                    self.written.push((self.ecx, u64::from(self.edx) << 32 | u64::from(self.eax)));
                    2
                }
                [0x83, 0xC6, by, ..] => {
                    self.si += u16::from(by);
                    3
                }
                [0x4D, ..] => {
                    self.bp -= 1;
                    1
                }
                [0xEB, by, ..] => {
                    self.ip = target(self.ip, by);
                    2
                }
                [0xF0, 0x2E, 0xFF, 0x06, a, b, ..] => {
                    let at = usize::from(u16::from_le_bytes([a, b]));
                    let done = word(page, at) + 1;
                    page[at..at + 2].copy_from_slice(&done.to_le_bytes());
                    6
                }
                _ => unreachable!("{:x?} at {:#x}", &code[..8], self.ip),
            };
            self.ip += length;
        }
        unreachable!("it does not stop")
    }
}

#[test]
fn each_cpu_writes_all_and_is_counted() {
    let writes: Vec<_> =
        (0..30).map(|at| (0x200 + at, 0x1_2345_6789_ABCD_u64 << (at % 3))).collect();
    let page = WakePage::new(Gpa::new(0x9000)).unwrap();
    for writes in [&writes[..], &[]] {
        let mut bytes = page.build(writes).unwrap();
        let done = usize::try_from(page.done().as_u64() - 0x9000).unwrap();
        for count in 1..=3 {
            assert_eq!(Cpu::default().run(&mut bytes).written, writes);
            assert_eq!(bytes[done..done + 2], [count, 0]);
        }
    }
}

#[test]
fn a_start_names_its_page() {
    for (gpa, vector) in [(0x9000, 0x09), (0x0, 0), (0x9_F000, 0x9F), (0x1_0000, 0x10)] {
        assert_eq!(WakePage::new(Gpa::new(gpa)).unwrap().start(), 0x000C_4600 | vector);
    }
    for gpa in [0x9001, 0xA_0000, 0x10_0000, u64::MAX] {
        assert_eq!(WakePage::new(Gpa::new(gpa)), None);
    }
}

#[test]
fn more_than_a_page_is_refused() {
    let page = WakePage::new(Gpa::new(0x9000)).unwrap();
    assert!(page.build(&[(0, 0); 335]).unwrap().len() <= 0x1000);
    assert!(matches!(page.build(&[(0, 0); 336]), Err(Error::TableSize { .. })));
    assert!(matches!(page.build(&vec![(0, 0); 100_000]), Err(Error::TableSize { .. })));
}
