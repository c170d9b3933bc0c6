//! Posted interrupts and the virtual-APIC page: memory that hypervisor and processor share.

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A posted-interrupt descriptor: which interrupts other processors and devices have posted for a
/// virtual CPU.
///
/// | bits | meaning |
/// |---|---|
/// | 255:0 | one for each vector that is posted |
/// | 256 | ON: a notification is outstanding |
/// | 257 | SN: no notifications are to be sent |
/// | 279:272 | NV: the notification vector, for VT-d |
/// | 319:288 | NDST: where to send notifications, for VT-d |
///
/// # Source
/// Intel SDM Vol. 3C, "Posted-Interrupt Processing"; Intel VT-d, "Posted-Interrupt Descriptor".
#[repr(C, align(64))]
pub struct PostedInterruptDescriptor {
    requests: [AtomicU64; 4],
    control: AtomicU64,
    reserved: [u64; 3],
}

const _: () = assert!(size_of::<PostedInterruptDescriptor>() == 64);

const OUTSTANDING: u64 = 1 << 0;
const SUPPRESSED: u64 = 1 << 1;

impl PostedInterruptDescriptor {
    /// Makes a descriptor without interrupts.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            requests: [const { AtomicU64::new(0) }; 4],
            control: AtomicU64::new(0),
            reserved: [0; 3],
        }
    }

    /// Posts an interrupt. Returns whether the processor that runs the virtual CPU is now to be
    /// sent the notification vector.
    ///
    /// # Examples
    /// ```
    /// # use vmx::PostedInterruptDescriptor;
    /// let descriptor = PostedInterruptDescriptor::new();
    /// assert!(descriptor.post(0x30)); // the first needs a notification
    /// assert!(!descriptor.post(0x31)); // it is under way
    /// assert_eq!(descriptor.take(), [0x3_0000_0000_0000, 0, 0, 0]);
    /// ```
    #[must_use = "without the notification nobody looks"]
    pub fn post(&self, vector: u8) -> bool {
        if let Some(word) = self.requests.get(usize::from(vector / 64)) {
            word.fetch_or(1 << (vector % 64), Ordering::SeqCst);
        }
        if self.control.load(Ordering::SeqCst) & SUPPRESSED != 0 {
            return false;
        }
        self.control.fetch_or(OUTSTANDING, Ordering::SeqCst) & OUTSTANDING == 0
    }

    /// Takes all interrupts out, for a virtual CPU that does not run: bit n of word k is vector
    /// 64 k + n.
    #[must_use = "they are gone from the descriptor"]
    pub fn take(&self) -> [u64; 4] {
        self.control.fetch_and(!OUTSTANDING, Ordering::SeqCst);
        self.requests.each_ref().map(|word| word.swap(0, Ordering::SeqCst))
    }

    /// Tells whether any interrupt is posted.
    #[must_use]
    pub fn has_any(&self) -> bool {
        self.requests.iter().any(|word| word.load(Ordering::SeqCst) != 0)
    }

    /// Sets whether notifications are suppressed: while the virtual CPU does not run.
    pub fn suppress(&self, suppressed: bool) {
        if suppressed {
            self.control.fetch_or(SUPPRESSED, Ordering::SeqCst);
        } else {
            self.control.fetch_and(!SUPPRESSED, Ordering::SeqCst);
        }
    }

    /// Tells devices behind VT-d which vector to send, and to which APIC: its ID in x2APIC form, or
    /// shifted left by 8 in xAPIC form.
    pub fn set_destination(&self, vector: u8, destination: u32) {
        let fixed = u64::from(vector) << 16 | u64::from(destination) << 32;
        let _ = self.control.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| {
            Some(old & (OUTSTANDING | SUPPRESSED) | fixed)
        });
    }
}

impl Default for PostedInterruptDescriptor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PostedInterruptDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = self.requests.each_ref().map(|word| word.load(Ordering::Relaxed));
        let control = self.control.load(Ordering::Relaxed);
        write!(f, "PostedInterruptDescriptor({requests:x?}, {control:#x})")
    }
}

/// A virtual-APIC page: the registers of a local APIC as the processor virtualizes them, each at
/// its offset in the APIC's own page.
///
/// # Source
/// Intel SDM Vol. 3C, "Virtual APIC State".
#[repr(C, align(4096))]
pub struct VirtualApicPage([AtomicU32; 1024]);

const TPR: u16 = 0x80;
const ISR: u16 = 0x100;
const IRR: u16 = 0x200;

impl VirtualApicPage {
    /// Makes a page of zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; 1024])
    }

    /// Reads the register at `offset`, which is rounded down to a multiple of 4; beyond the page
    /// there is nothing but zeros.
    #[must_use]
    pub fn read(&self, offset: u16) -> u32 {
        self.0.get(usize::from(offset / 4)).map_or(0, |word| word.load(Ordering::SeqCst))
    }

    /// Writes the register at `offset`, as [`read`](Self::read) finds it.
    pub fn write(&self, offset: u16, value: u32) {
        if let Some(word) = self.0.get(usize::from(offset / 4)) {
            word.store(value, Ordering::SeqCst);
        }
    }

    /// Returns the task priority.
    #[must_use]
    pub fn task_priority(&self) -> u8 {
        let [tpr, ..] = self.read(TPR).to_le_bytes();
        tpr
    }

    /// Requests an interrupt: sets its bit in VIRR. Returns whether it was clear.
    pub fn request(&self, vector: u8) -> bool {
        self.set(IRR, vector)
    }

    /// Puts an interrupt in service: sets its bit in VISR. Returns whether it was clear.
    pub fn put_in_service(&self, vector: u8) -> bool {
        self.set(ISR, vector)
    }

    /// Returns the highest vector that is requested: what RVI is to be.
    #[must_use]
    pub fn highest_requested(&self) -> Option<u8> {
        self.highest(IRR)
    }

    /// Returns the highest vector in service: what SVI is to be.
    #[must_use]
    pub fn highest_in_service(&self) -> Option<u8> {
        self.highest(ISR)
    }

    /// Sets the bit of a vector in a register of 256 bits, which is eight words of 32 bits, each at
    /// a multiple of 16.
    fn set(&self, register: u16, vector: u8) -> bool {
        let bit = 1 << (vector % 32);
        let place = usize::from(register / 4) + 4 * usize::from(vector / 32);
        self.0.get(place).is_some_and(|word| word.fetch_or(bit, Ordering::SeqCst) & bit == 0)
    }

    fn highest(&self, register: u16) -> Option<u8> {
        (0..8_u8).rev().find_map(|word| {
            let bits = self.read(register + 16 * u16::from(word));
            let bit = u8::try_from(bits.checked_ilog2()?).ok()?;
            Some(32 * word + bit)
        })
    }
}

impl Default for VirtualApicPage {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for VirtualApicPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualApicPage")
            .field("task_priority", &self.task_priority())
            .field("highest_requested", &self.highest_requested())
            .field("highest_in_service", &self.highest_in_service())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_notification_is_enough_for_all_that_is_posted_until_it_is_taken() {
        let descriptor = PostedInterruptDescriptor::new();
        assert!(descriptor.post(0));
        assert!(!descriptor.post(255));
        assert!(descriptor.has_any());
        assert_eq!(descriptor.take(), [1, 0, 0, 1 << 63]);
        assert!(!descriptor.has_any());
        assert!(descriptor.post(0x80));
    }

    #[test]
    fn a_suppressed_notification_is_not_sent_but_the_interrupt_is_kept() {
        let descriptor = PostedInterruptDescriptor::new();
        descriptor.suppress(true);
        assert!(!descriptor.post(0x20));
        descriptor.suppress(false);
        assert!(descriptor.post(0x21));
        assert_eq!(descriptor.take(), [3 << 32, 0, 0, 0]);
    }

    #[test]
    fn the_destination_does_not_disturb_what_is_under_way() {
        let descriptor = PostedInterruptDescriptor::new();
        assert!(descriptor.post(1));
        descriptor.set_destination(0xF2, 0x0300);
        assert_eq!(descriptor.control.load(Ordering::Relaxed), 0x0300_00F2_0001);
        assert!(!descriptor.post(2));
    }

    #[test]
    fn requests_are_where_the_apic_has_them() {
        let page = VirtualApicPage::new();
        assert_eq!(page.highest_requested(), None);
        assert!(page.request(0x31));
        assert!(!page.request(0x31));
        assert!(page.request(0xEF));
        assert_eq!(page.read(0x210), 1 << 17);
        assert_eq!(page.read(0x270), 1 << 15);
        assert_eq!(page.highest_requested(), Some(0xEF));
        assert!(page.put_in_service(0x20));
        assert_eq!((page.read(0x110), page.highest_in_service()), (1, Some(0x20)));
    }

    #[test]
    fn nothing_is_beyond_the_page() {
        let page = VirtualApicPage::new();
        page.write(0xFFC, 7);
        page.write(0x1000, 8);
        assert_eq!((page.read(0xFFC), page.read(0x1000), page.read(u16::MAX)), (7, 0, 0));
        page.write(TPR, 0x1_50);
        assert_eq!(page.task_priority(), 0x50);
    }
}
