//! The x87 and SSE state to KVM and back.
//!
//! By XSAVE alone: `KVM_SET_FPU` leaves MXCSR as it is and what it loads marked as initial, so that
//! KVM itself may forget it.

use guest_state::FpuState;
use kvm_bindings::kvm_xsave;
use kvm_ioctls::VcpuFd;

use crate::failure::Failure;
use crate::sys;

/// The legacy region of an XSAVE area, which FXSAVE writes too.
///
/// # Source
/// Intel SDM Vol. 1, "FXSAVE Area".
const LEGACY_BYTES: usize = 512;
/// Where the registers are in it, each 16 bytes apart.
const ST: usize = 32;
const XMM: usize = 160;
/// The word that says which components are not in their initial state: bit 0 x87, bit 1 SSE.
const XSTATE_BV_WORD: usize = LEGACY_BYTES / 4;
const X87_AND_SSE: u32 = 0b11;

/// Loads the state; whatever else XSAVE knows stays as it is.
pub(crate) fn load(vcpu: &VcpuFd, fpu: &FpuState) -> Result<(), Failure> {
    let mut area = vcpu.get_xsave().map_err(Failure::kvm("get extended state"))?;
    let mut legacy = legacy_region(&area);
    let mut put = |at: usize, bytes: &[u8]| legacy[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &fpu.fcw.to_le_bytes());
    put(2, &fpu.fsw.to_le_bytes());
    put(4, &[fpu.abridged_tag_word()]);
    put(6, &fpu.fop.to_le_bytes());
    put(8, &fpu.fip.to_le_bytes());
    put(16, &fpu.fdp.to_le_bytes());
    put(24, &fpu.mxcsr.to_le_bytes());
    for (index, value) in fpu.st.iter().enumerate() {
        put(ST + 16 * index, &value.to_le_bytes());
    }
    for (index, value) in fpu.xmm.iter().enumerate() {
        put(XMM + 16 * index, &value.to_le_bytes());
    }
    let (words, _) = legacy.as_chunks();
    for (word, bytes) in area.region.iter_mut().zip(words) {
        *word = u32::from_le_bytes(*bytes);
    }
    area.region[XSTATE_BV_WORD] |= X87_AND_SSE;
    sys::set_xsave(vcpu, &area).map_err(Failure::kvm("set extended state"))
}

/// Reads the state. The tag word comes abridged: a register that is not empty is said to be a valid
/// one, unless its bits are all zero, as a full tag word would tell.
pub(crate) fn read(vcpu: &VcpuFd) -> Result<FpuState, Failure> {
    let area = vcpu.get_xsave().map_err(Failure::kvm("get extended state"))?;
    let legacy = legacy_region(&area);
    let register =
        |base: usize, index: usize| u128::from_le_bytes(bytes_at(&legacy, base + 16 * index));
    let st = std::array::from_fn(|index| register(ST, index));
    let tag = |index: usize| match (legacy[4] >> index & 1, st[index]) {
        (0, _) => 3,
        (_, 0) => 1,
        _ => 0,
    };
    Ok(FpuState {
        fcw: u16::from_le_bytes(bytes_at(&legacy, 0)),
        fsw: u16::from_le_bytes(bytes_at(&legacy, 2)),
        ftw: (0..8).fold(0, |word, index| word | tag(index) << (2 * index)),
        fop: u16::from_le_bytes(bytes_at(&legacy, 6)),
        fip: u64::from_le_bytes(bytes_at(&legacy, 8)),
        fdp: u64::from_le_bytes(bytes_at(&legacy, 16)),
        st,
        xmm: std::array::from_fn(|index| register(XMM, index)),
        mxcsr: u32::from_le_bytes(bytes_at(&legacy, 24)),
    })
}

fn legacy_region(area: &kvm_xsave) -> [u8; LEGACY_BYTES] {
    let mut bytes = [0; LEGACY_BYTES];
    for (bytes, word) in bytes.chunks_exact_mut(4).zip(area.region) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn bytes_at<const N: usize>(region: &[u8; LEGACY_BYTES], at: usize) -> [u8; N] {
    std::array::from_fn(|index| region[at + index])
}
