//! OVMF's GUID table and what it leads to, from bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hvkit_fuzz::guid_table(data));
