//! PCI and MTRR plans, from bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hvkit_fuzz::hvmloader_plans(data));
