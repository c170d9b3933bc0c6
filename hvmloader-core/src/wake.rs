//! Waking the other CPUs: what they execute to become like the first one.

use alloc::vec::Vec;

use guest_state::Gpa;

use crate::Error;

const PAGE_BYTES: usize = 0x1000;
/// Where the page has the number of its entries, how many CPUs are done, and its entries.
const COUNT: u8 = 0x40;
const DONE: u8 = 0x42;
const LIST: u8 = 0x44;
const ENTRY_BYTES: usize = 12;

/// The instructions, for real mode, where a start-up IPI begins: CS at the page, IP zero. Caches are
/// off then, as registers that say what is cached want it.
#[rustfmt::skip]
const CODE: [u8; 41] = [
    0xFA,                               // cli
    0x2E, 0x8B, 0x2E, COUNT, 0,         // mov bp, cs:[COUNT]
    0xBE, LIST, 0,                      // mov si, LIST
    0x85, 0xED,                         // next: test bp, bp
    0x74, 0x16,                         // jz done
    0x66, 0x2E, 0x8B, 0x0C,             // mov ecx, cs:[si]
    0x66, 0x2E, 0x8B, 0x44, 4,          // mov eax, cs:[si + 4]
    0x66, 0x2E, 0x8B, 0x54, 8,          // mov edx, cs:[si + 8]
    0x0F, 0x30,                         // wrmsr
    0x83, 0xC6, 12,                     // add si, 12
    0x4D,                               // dec bp
    0xEB, 0xE6,                         // jmp next
    0xF0, 0x2E, 0xFF, 0x06, DONE, 0,    // done: lock inc word ptr cs:[DONE]
];
/// Behind them.
const STOP: [u8; 3] = [
    0xF4, // stop: hlt
    0xEB, 0xFD, // jmp stop
];
const _: () = assert!(CODE.len() + STOP.len() <= COUNT as usize);

/// A page below 1 MiB from which other CPUs load MSRs.
///
/// The first CPU writes it, sends [`STOP_OTHERS`](Self::STOP_OTHERS) and [`start`](Self::start), and
/// waits until the word at [`done`](Self::done) is the number of the others. By `STOP_OTHERS` they
/// then wait for their next start, and keep what they loaded; the page is free again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakePage {
    gpa: Gpa,
}

impl WakePage {
    /// For the low half of the interrupt command register: INIT, to all others.
    ///
    /// # Source
    /// Intel SDM Vol. 3A, "Interrupt Command Register (ICR)".
    pub const STOP_OTHERS: u32 = 0x000C_4500;
    /// The same for a start-up IPI, but for its vector.
    const START_OTHERS: u32 = 0x000C_4600;

    /// Takes the page at `gpa`; `None` for what is no page that a CPU can start in.
    #[must_use]
    pub const fn new(gpa: Gpa) -> Option<Self> {
        let is_page = gpa.as_u64().is_multiple_of(PAGE_BYTES as u64);
        // Vectors A0h to BFh are reserved.
        if is_page && gpa.as_u64() < 0xA_0000 { Some(Self { gpa }) } else { None }
    }

    /// Where it is.
    #[must_use]
    pub const fn gpa(self) -> Gpa {
        self.gpa
    }

    /// Returns what the interrupt command register takes to start all others.
    #[must_use]
    pub fn start(self) -> u32 {
        let [_, page, rest, ..] = self.gpa.as_u64().to_le_bytes();
        Self::START_OTHERS | u32::from(page >> 4) | u32::from(rest) << 4
    }

    /// Returns where the word is that counts the CPUs which are done.
    #[must_use]
    pub fn done(self) -> Gpa {
        Gpa::new(self.gpa.as_u64() + u64::from(DONE))
    }

    /// Returns the contents of the page by which CPUs write `writes`, MSR and value, in order.
    ///
    /// # Errors
    /// [`Error::TableSize`] for more than a page holds, 335.
    pub fn build(self, writes: &[(u32, u64)]) -> Result<Vec<u8>, Error> {
        let size_bytes = usize::from(LIST) + writes.len().saturating_mul(ENTRY_BYTES);
        let count = u16::try_from(writes.len()).map_err(|_| Error::TableSize { size_bytes })?;
        if size_bytes > PAGE_BYTES {
            return Err(Error::TableSize { size_bytes });
        }
        let mut page = [&CODE[..], &STOP].concat();
        page.resize(COUNT.into(), 0);
        page.extend(count.to_le_bytes());
        page.extend([0, 0]);
        for (msr, value) in writes {
            page.extend(msr.to_le_bytes());
            page.extend(value.to_le_bytes());
        }
        Ok(page)
    }
}
