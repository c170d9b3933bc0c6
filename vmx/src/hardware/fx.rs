//! The x87 and SSE state in FXSAVE64's format.

use guest_state::FpuState;

use super::context::FxState;

/// Offsets within the area.
///
/// # Source
/// Intel SDM Vol. 1, "FXSAVE Area", the table "Layout of the 64-Bit Mode FXSAVE64 Map".
const FCW: usize = 0;
const FSW: usize = 2;
const FTW: usize = 4;
const FOP: usize = 6;
const FIP: usize = 8;
const FDP: usize = 16;
const MXCSR: usize = 24;
const ST: usize = 32;
const XMM: usize = 160;

impl FxState {
    /// Makes the area that FXRSTOR64 takes.
    ///
    /// Bits of MXCSR above the lowest sixteen are dropped: the processor would fault on them.
    #[must_use]
    pub fn new(fpu: &FpuState) -> Self {
        let mut area = [0; 512];
        let mut put = |offset: usize, bytes: &[u8]| {
            for (slot, byte) in area.iter_mut().skip(offset).zip(bytes) {
                *slot = *byte;
            }
        };
        put(FCW, &fpu.fcw.to_le_bytes());
        put(FSW, &fpu.fsw.to_le_bytes());
        put(FTW, &[fpu.abridged_tag_word()]);
        put(FOP, &fpu.fop.to_le_bytes());
        put(FIP, &fpu.fip.to_le_bytes());
        put(FDP, &fpu.fdp.to_le_bytes());
        put(MXCSR, &(fpu.mxcsr & 0xFFFF).to_le_bytes());
        for (index, value) in fpu.st.iter().enumerate() {
            let [lower @ .., _, _, _, _, _, _] = value.to_le_bytes();
            put(ST + 16 * index, &lower);
        }
        for (index, value) in fpu.xmm.iter().enumerate() {
            put(XMM + 16 * index, &value.to_le_bytes());
        }
        Self(area)
    }

    /// Reads an area that FXSAVE64 wrote.
    ///
    /// The full tag word is not in it: each register that is not empty counts as valid, zero or
    /// special by its value, as FSAVE would find it.
    #[must_use]
    pub fn fpu(&self) -> FpuState {
        let fsw = u16::from_le_bytes(self.get(FSW));
        let st: [u128; 8] = core::array::from_fn(|i| u128::from_le_bytes(self.get(ST + 16 * i)));
        let [abridged] = self.get(FTW);
        let top = usize::from(fsw >> 11 & 7);
        let ftw = (0..8).fold(0, |tags, register| {
            let value = st.get((register + 8 - top) % 8).copied().unwrap_or_default();
            let tag = if abridged >> register & 1 == 0 { 3 } else { tag_of(value) };
            tags | tag << (2 * register)
        });
        FpuState {
            fcw: u16::from_le_bytes(self.get(FCW)),
            fsw,
            ftw,
            fop: u16::from_le_bytes(self.get(FOP)),
            fip: u64::from_le_bytes(self.get(FIP)),
            fdp: u64::from_le_bytes(self.get(FDP)),
            st,
            xmm: core::array::from_fn(|i| u128::from_le_bytes(self.get(XMM + 16 * i))),
            mxcsr: u32::from_le_bytes(self.get(MXCSR)),
        }
    }

    fn get<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut bytes = [0; N];
        for (slot, byte) in bytes.iter_mut().zip(self.0.iter().skip(offset)) {
            *slot = *byte;
        }
        bytes
    }
}

/// Returns the two-bit tag of a register that is not empty: 0 valid, 1 zero, 2 special.
///
/// # Source
/// Intel SDM Vol. 1, "x87 FPU Tag Word".
fn tag_of(value: u128) -> u16 {
    let significand = value & u128::from(u64::MAX);
    let exponent = value >> 64 & 0x7FFF;
    match (exponent, significand) {
        (0, 0) => 1,
        (0 | 0x7FFF, _) => 2,
        (_, significand) if significand >> 63 == 0 => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_state::VcpuState;

    /// What this processor itself makes of its state is the oracle.
    #[test]
    fn an_area_that_the_processor_wrote_reads_as_what_was_loaded() {
        let mut area = FxState([0; 512]);
        let one_and_zero = 1.5_f64;
        // SAFETY: FXSAVE64 writes 512 bytes at a 16-byte aligned address; the x87 registers are
        // empty again afterwards, as the ABI wants them.
        unsafe {
            core::arch::asm!(
                "fninit",
                "fldz",
                "fld qword ptr [{value}]",
                "fxsave64 [{area}]",
                "fninit",
                value = in(reg) &raw const one_and_zero,
                area = in(reg) &raw mut area,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                out("mm0") _, out("mm1") _, out("mm2") _, out("mm3") _,
                out("mm4") _, out("mm5") _, out("mm6") _, out("mm7") _,
            );
        }
        let fpu = area.fpu();
        assert_eq!(fpu.fcw, 0x37F);
        assert_eq!(fpu.fsw >> 11 & 7, 6);
        // 1.5 = 1.1b * 2^0, in the register that is now the top.
        assert_eq!(fpu.st[0], 0x3FFF << 64 | 0xC000_0000_0000_0000);
        assert_eq!(fpu.st[1], 0);
        // Register 7 is zero, 6 valid, the rest empty.
        assert_eq!(fpu.ftw, 0b01_00_11_11_11_11_11_11);
    }

    #[test]
    fn the_state_after_a_reset_survives_the_round_trip() {
        let mut fpu = VcpuState::reset(0).fpu;
        fpu.xmm[15] = 0x0123_4567_89AB_CDEF_0011_2233_4455_6677;
        fpu.st[7] = 0xFFFF_8000_0000_0000_0000;
        fpu.ftw = 0b10_01_01_01_01_01_01_01;
        assert_eq!(FxState::new(&fpu).fpu(), fpu);
    }
}
