//! What a guest needs of Xen to take what an hvmloader left: CPUID leaves, a hypercall page, and
//! the one hypercall that SeaBIOS makes.
//!
//! A hypercall here is a call into the page, whose code passes number and arguments through a port
//! of ours and reads the result back. So it needs no exit that a hypervisor would not have anyway.

use guest_state::{AccessError, Gpa, GuestMemory};
use hvmloader_core::XenLeaves;

use crate::ports;

/// How many hypercalls a page has room for, at 32 bytes each.
const CALLS: u32 = 128;
const CALL_BYTES: usize = 32;
const PAGE_BYTES: usize = 0x1000;
/// `__HYPERVISOR_xen_version`.
const XEN_VERSION: u32 = 17;
/// Its commands: the version as a number, and what follows it as text.
const GET_VERSION: u32 = 0;
const GET_EXTRA_VERSION: u32 = 1;
const EXTRA_VERSION: [u8; 16] = *b"-hvkit\0\0\0\0\0\0\0\0\0\0";
/// The version, 4.17: the one whose public headers describe what is served here.
const VERSION: u32 = 4 << 16 | 17;
/// Minus ENOSYS.
const NOT_SERVED: u32 = 0xFFFF_FFDA;
/// Minus EFAULT.
const BAD_ADDRESS: u32 = 0xFFFF_FFF2;

/// What a guest sees of Xen, if it is to see Xen.
///
/// # Source
/// Xen `public/arch-x86/cpuid.h`, `public/version.h` and `public/xen.h`, read for facts.
#[derive(Clone, Copy, Debug)]
pub struct Xen;

impl Xen {
    /// The MSR that a guest writes the address of its hypercall page to.
    ///
    /// A hypervisor has to pass writes to it on to [`Devices::write_hypercall_page`].
    ///
    /// [`Devices::write_hypercall_page`]: crate::Devices::write_hypercall_page
    pub const HYPERCALL_MSR: u32 = 0x4000_0000;

    /// The leaves of CPUID from 4000_0000h on, each with EAX, EBX, ECX and EDX: who it is, which
    /// version, and where hypercalls are to be had.
    #[must_use]
    pub const fn leaves() -> [(u32, [u32; 4]); 3] {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = XenLeaves::SIGNATURE;
        let signature = [
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
            u32::from_le_bytes([i, j, k, l]),
        ];
        [
            (0x4000_0000, [0x4000_0002, signature[0], signature[1], signature[2]]),
            (0x4000_0001, [VERSION, 0, 0, 0]),
            // One page, by this MSR.
            (0x4000_0002, [1, Self::HYPERCALL_MSR, 0, 0]),
        ]
    }
}

/// The hypercalls, as a device behind a port.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hypercalls {
    /// Number and arguments, as far as they have come.
    words: [u32; 3],
    count: usize,
    result: u32,
}

impl Hypercalls {
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Fills the page that the guest named; its low bits are the number of the page, of which there
    /// is one. False for what is no such page.
    pub(crate) fn fill(value: u64, memory: &impl GuestMemory) -> bool {
        if value & (PAGE_BYTES as u64 - 1) != 0 {
            return false;
        }
        let mut page = [0xC3; PAGE_BYTES];
        for (number, code) in (0..CALLS).zip(page.chunks_exact_mut(CALL_BYTES)) {
            let stub = stub(number);
            code[..stub.len()].copy_from_slice(&stub);
        }
        memory.write(Gpa::new(value), &page).is_ok()
    }

    /// Takes the next word of a call; the third one, the last argument, makes the call.
    pub(crate) fn write(&mut self, word: u32, memory: &impl GuestMemory) {
        self.words[self.count] = word;
        self.count += 1;
        if self.count == self.words.len() {
            self.count = 0;
            let [number, command, argument] = self.words;
            self.result = match (number, command) {
                (XEN_VERSION, GET_VERSION) => VERSION,
                (XEN_VERSION, GET_EXTRA_VERSION) => {
                    // Paging is off where a BIOS calls: what it says is a physical address.
                    let written: Result<(), AccessError> =
                        memory.write(Gpa::new(argument.into()), &EXTRA_VERSION);
                    if written.is_ok() { 0 } else { BAD_ADDRESS }
                }
                _ => NOT_SERVED,
            };
        }
    }

    /// Returns the result of the last call.
    pub(crate) const fn read(&mut self) -> u32 {
        self.count = 0;
        self.result
    }
}

/// The code of a hypercall, for 32 bits. Number in EAX, arguments in EBX and ECX, the result comes
/// back in EAX; all other registers stay.
const fn stub(number: u32) -> [u8; 24] {
    let [port_low, port_high] = ports::XEN_HYPERCALL.to_le_bytes();
    let [number, ..] = number.to_le_bytes();
    [
        0x52, // push edx
        0x66, 0xBA, port_low, port_high, // mov dx, PORT
        0xB8, number, 0, 0, 0,    // mov eax, NUMBER
        0xEF, // out dx, eax
        0x89, 0xD8, 0xEF, // mov eax, ebx; out dx, eax
        0x89, 0xC8, 0xEF, // mov eax, ecx; out dx, eax
        0xED, // in eax, dx
        0x5A, // pop edx
        0xC3, // ret
        0xCC, 0xCC, 0xCC, 0xCC, // never reached
    ]
}
