//! Texts that may hold a VMCS, from bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hvkit_fuzz::dumps(data));
