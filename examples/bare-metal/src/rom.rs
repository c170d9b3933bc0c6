//! The ROM that a processor starts in: from the reset vector to 32-bit mode, and into what is
//! loaded.

/// The size of the ROM: it ends at 4 GiB.
pub(crate) const BYTES: usize = 0x1_0000;
/// Where it begins.
pub(crate) const ADDRESS: u32 = 0xFFFF_0000;

const RESET_VECTOR: usize = 0xFFF0;
/// Where the code stands, and the table that it loads.
const CODE16: usize = 0xFF00;
const CODE32: usize = 0xFF40;
const GDT_POINTER: usize = 0xFFC0;
const GDT: usize = 0xFFD0;

/// The size of the blocks in which Bochs allocates the guest's memory, on first use.
const BLOCK_BYTES: u32 = 0x2_0000;

/// What a ROM does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rom {
    /// Where it goes on.
    pub(crate) entry: u32,
    /// What EBX holds there.
    pub(crate) start_info: u32,
    /// Where what is loaded begins.
    pub(crate) load_start: u32,
    /// Where that ends.
    pub(crate) load_end: u32,
    /// Whether it locks `IA32_FEATURE_CONTROL` with VMXON forbidden.
    pub(crate) lock_vmx_off: bool,
}

/// Makes a ROM that enters the hypervisor in 32-bit mode without paging, as PVH wants it.
///
/// Bochs puts a file into its memory as if the blocks were one, and gives a block its place when it
/// is first used: so all of them are used in order before anything else is.
pub(crate) fn build(rom: &Rom) -> Vec<u8> {
    let Rom { entry, start_info, load_start, load_end, lock_vmx_off } = *rom;
    let mut rom = vec![0xFF; BYTES];
    let mut put = |at: usize, bytes: &[u8]| rom[at..at + bytes.len()].copy_from_slice(bytes);
    let address = |offset: usize| u32::try_from(offset).unwrap_or(0) + ADDRESS;
    let word = |offset: usize| u16::try_from(offset).unwrap_or(0).to_le_bytes();

    // jmp near CODE16
    put(RESET_VECTOR, &[0xE9]);
    put(RESET_VECTOR + 1, &word(CODE16.wrapping_sub(RESET_VECTOR + 3) & 0xFFFF));

    let [gdt_low, gdt_high] = word(GDT_POINTER);
    let code16: [&[u8]; 7] = [
        &[0xFA],                                            // cli
        &[0x2E, 0x66, 0x0F, 0x01, 0x16, gdt_low, gdt_high], // lgdt cs:[GDT_POINTER]
        &[0x0F, 0x20, 0xC0],                                // mov eax, cr0
        &[0x0C, 0x01],                                      // or al, 1
        &[0x0F, 0x22, 0xC0],                                // mov cr0, eax
        &[0x66, 0xEA],                                      // ljmp 10h:CODE32
        &address(CODE32).to_le_bytes(),
    ];
    put(CODE16, &[&code16.concat()[..], &[0x10, 0x00]].concat());

    let lock: &[u8] = &[
        0xB9, 0x3A, 0, 0, 0, // mov ecx, IA32_FEATURE_CONTROL
        0xB8, 1, 0, 0, 0, // mov eax, locked
        0x31, 0xD2, // xor edx, edx
        0x0F, 0x30, // wrmsr
    ];
    let code32: [&[u8]; 16] = [
        &[0x66, 0xB8, 0x18, 0x00],             // mov ax, 18h
        &[0x8E, 0xD8, 0x8E, 0xC0, 0x8E, 0xD0], // mov ds, es, ss
        if lock_vmx_off { lock } else { &[] },
        &[0xBE], // mov esi, load_start
        &load_start.to_le_bytes(),
        &[0x8A, 0x06], // again: mov al, [esi]
        &[0x81, 0xC6], // add esi, BLOCK_BYTES
        &BLOCK_BYTES.to_le_bytes(),
        &[0x81, 0xFE], // cmp esi, load_end
        &load_end.to_le_bytes(),
        &[0x72, 0xF0], // jb again
        &[0xBB],       // mov ebx, start_info
        &start_info.to_le_bytes(),
        &[0xB8], // mov eax, entry
        &entry.to_le_bytes(),
        &[0xFF, 0xE0], // jmp eax
    ];
    put(CODE32, &code32.concat());

    put(GDT_POINTER, &[4 * 8 - 1, 0]);
    put(GDT_POINTER + 2, &address(GDT).to_le_bytes());
    put(GDT, &[0; 16]);
    put(GDT + 0x10, &0x00CF_9B00_0000_FFFF_u64.to_le_bytes());
    put(GDT + 0x18, &0x00CF_9300_0000_FFFF_u64.to_le_bytes());
    rom
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reset_vector_leads_to_the_code() {
        let rom = build(&Rom {
            entry: 0x20_1000,
            start_info: 0x10_2000,
            load_start: 0x10_0000,
            load_end: 0x80_0000,
            lock_vmx_off: false,
        });
        assert_eq!(rom.len(), BYTES);
        assert_eq!(rom[RESET_VECTOR], 0xE9);
        let displacement = i16::from_le_bytes([rom[RESET_VECTOR + 1], rom[RESET_VECTOR + 2]]);
        let target = (0xFFF3_i32 + i32::from(displacement)) & 0xFFFF;
        assert_eq!(target, 0xFF00);
        let code = &rom[CODE32..GDT_POINTER];
        for value in [0x20_1000_u32, 0x10_2000, 0x10_0000, 0x80_0000] {
            let bytes = value.to_le_bytes();
            assert!(code.windows(4).any(|window| window == bytes), "{value:#x}");
        }
    }
}
