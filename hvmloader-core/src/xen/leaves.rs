//! How a program in a guest knows that it runs on Xen.

/// Xen's leaves of CPUID, as a guest finds them.
///
/// # Source
/// Xen `public/arch-x86/cpuid.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XenLeaves {
    /// The first of them.
    pub base: u32,
    /// Major and minor version.
    pub version: (u16, u16),
}

impl XenLeaves {
    /// EBX, ECX and EDX of the first leaf.
    pub const SIGNATURE: [u8; 12] = *b"XenVMMXenVMM";

    /// Looks for the leaves where they can be: 4000_0000h, and every 100h from there on.
    ///
    /// `cpuid` returns EAX, EBX, ECX and EDX of a leaf.
    pub fn find(mut cpuid: impl FnMut(u32) -> [u32; 4]) -> Option<Self> {
        let is_xens = |base: &u32| {
            let [most, ebx, ecx, edx] = cpuid(*base);
            let signature = [ebx, ecx, edx].map(u32::to_le_bytes);
            signature.as_flattened() == Self::SIGNATURE && most.wrapping_sub(*base) >= 2
        };
        let base = (0x4000_0000..0x4001_0000).step_by(0x100).find(is_xens)?;
        let [version, ..] = cpuid(base + 1);
        let [a, b, c, d] = version.to_be_bytes();
        let version = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        Some(Self { base, version })
    }
}
