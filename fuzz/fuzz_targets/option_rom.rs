//! The images of an option ROM file, from bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hvkit_fuzz::option_rom(data));
