//! The device by its ports, as QEMU's `docs/specs/fw_cfg.rst` says it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use fw_cfg::{Error, FwCfg, Key};
use guest_state::E820Entry;
use proptest::prelude::*;

fn select(device: &mut FwCfg<'_>, key: u16) {
    assert!(device.write(0x510, &key.to_le_bytes()).is_none());
}

/// Reads `count` bytes of an item, one access each.
fn bytes_of(device: &mut FwCfg<'_>, key: u16, count: usize) -> Vec<u8> {
    select(device, key);
    (0..count).map(|_| data(device)).collect()
}

fn data(device: &mut FwCfg<'_>) -> u8 {
    let mut byte = [0x55];
    device.read(0x511, &mut byte);
    byte[0]
}

#[test]
fn device_is_recognised_by_its_signature_and_features() {
    let mut device = FwCfg::builder().build();
    assert_eq!(bytes_of(&mut device, 0, 4), *b"QEMU");
    assert_eq!(bytes_of(&mut device, 1, 4), [0b11, 0, 0, 0]);
}

#[test]
fn dma_register_reads_as_its_own_signature_in_any_width() {
    let mut device = FwCfg::builder().build();
    let mut read = |port, width| {
        let mut buffer = vec![0; width];
        device.read(port, &mut buffer);
        buffer
    };
    assert_eq!(read(0x514, 4), *b"QEMU");
    assert_eq!(read(0x518, 4), *b" CFG");
    assert_eq!(read(0x514, 8), *b"QEMU CFG");
    assert_eq!(read(0x517, 2), *b"U ");
    assert_eq!(read(0x51B, 1), *b"G");
    assert_eq!(read(0x51B, 2), [0xFF; 2]);
    assert_eq!(read(0x51C, 1), [0xFF]);
    assert_eq!(read(0xFFFF, 4), [0xFF; 4]);
}

#[test]
fn reads_go_on_where_the_last_one_ended_until_the_next_selection() {
    let mut device = FwCfg::builder().item(Key::UUID, b"abcd").unwrap().build();
    assert_eq!(bytes_of(&mut device, 2, 2), *b"ab");
    assert_eq!(data(&mut device), b'c');
    // The two ports overlap.
    let mut byte = [0];
    device.read(0x510, &mut byte);
    assert_eq!(byte, *b"d");
    assert_eq!(bytes_of(&mut device, 2, 1), *b"a");
}

#[test]
fn reads_past_the_end_and_of_unknown_items_are_zero() {
    let mut device = FwCfg::builder().item(Key::UUID, b"ab").unwrap().build();
    assert_eq!(bytes_of(&mut device, 2, 5), *b"ab\0\0\0");
    assert_eq!(bytes_of(&mut device, 3, 3), [0; 3]);
    assert_eq!(bytes_of(&mut device, 0xBFFF, 3), [0; 3]);
}

#[test]
fn a_string_instruction_reads_what_as_many_single_reads_would() {
    let mut device = FwCfg::builder().file("f", b"0123456789").unwrap().build();
    let expected = bytes_of(&mut device, 0x20, 12);
    select(&mut device, 0x20);
    let (mut first, mut rest) = ([0; 3], [0x55; 9]);
    device.read_data(&mut first);
    device.read_data(&mut rest);
    assert_eq!([&first[..], &rest].concat(), expected);
}

#[test]
fn the_write_channel_bit_is_ignored_and_the_architecture_bit_is_not() {
    let builder = FwCfg::builder().item(Key(0x8004), b"x86").unwrap();
    let mut device = builder.item(Key(0x0004), b"any").unwrap().build();
    assert_eq!(bytes_of(&mut device, 0x0004, 3), *b"any");
    assert_eq!(bytes_of(&mut device, 0x4004, 3), *b"any");
    assert_eq!(bytes_of(&mut device, 0x8004, 3), *b"x86");
    assert_eq!(bytes_of(&mut device, 0xC004, 3), *b"x86");
}

#[test]
fn directory_lists_files_by_name_with_keys_from_0x20() {
    let mut device = FwCfg::builder()
        .file("etc/system-states", vec![1; 6])
        .unwrap()
        .file("bootorder", b"x\0")
        .unwrap()
        .writable_file("etc/e820", vec![2; 0x1_2345])
        .unwrap()
        .build();
    let directory = bytes_of(&mut device, 0x19, 4 + 3 * 64 + 1);
    assert_eq!(directory[..4], [0, 0, 0, 3]);
    let entry = |size: [u8; 4], key: u8, name: &[u8]| {
        let name = [name, &vec![0; 56 - name.len()]].concat();
        [&size[..], &[0, key, 0, 0], &name].concat()
    };
    let expected = [
        entry([0, 0, 0, 2], 0x20, b"bootorder"),
        entry([0, 1, 0x23, 0x45], 0x21, b"etc/e820"),
        entry([0, 0, 0, 6], 0x22, b"etc/system-states"),
        vec![0],
    ];
    assert_eq!(directory[4..], expected.concat());
    assert_eq!(bytes_of(&mut device, 0x20, 2), *b"x\0");
    assert_eq!(bytes_of(&mut device, 0x22, 7), [1, 1, 1, 1, 1, 1, 0]);
    let names: Vec<_> = device.file_names().collect();
    assert_eq!(names, ["bootorder", "etc/e820", "etc/system-states"]);
    assert_eq!(device.file("bootorder"), Some(&b"x\0"[..]));
    assert_eq!(device.file("bootorde"), None);
}

#[test]
fn a_device_without_files_has_an_empty_directory() {
    let mut device = FwCfg::builder().build();
    assert_eq!(bytes_of(&mut device, 0x19, 8), [0; 8]);
}

#[test]
fn numbers_are_little_endian() {
    let mut device = FwCfg::builder()
        .number_u16(Key::NB_CPUS, 0x0102)
        .unwrap()
        .number_u32(Key::KERNEL_SIZE, 0x0102_0304)
        .unwrap()
        .number_u64(Key::RAM_SIZE, 0x0102_0304_0506_0708)
        .unwrap()
        .build();
    assert_eq!(bytes_of(&mut device, 0x05, 3), [2, 1, 0]);
    assert_eq!(bytes_of(&mut device, 0x08, 5), [4, 3, 2, 1, 0]);
    assert_eq!(bytes_of(&mut device, 0x03, 9), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
}

#[test]
fn memory_map_has_twenty_bytes_an_entry() {
    let entry = |address: u64, size: u64, kind: u32| E820Entry {
        address: address.into(),
        size_bytes: size.into(),
        kind: kind.into(),
    };
    let map = [entry(0, 0x9_FC00, 1), entry(0x1_0000_0000, 0x2000, 2)];
    let device = FwCfg::builder().e820(map).unwrap().build();
    let expected: [&[u8]; 2] = [
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFC, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0],
        &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0],
    ];
    assert_eq!(device.file("etc/e820"), Some(&expected.concat()[..]));
}

#[test]
fn the_data_port_can_not_be_written() {
    let mut device = FwCfg::builder().writable_file("f", b"ab".to_vec()).unwrap().build();
    select(&mut device, 0x4020);
    for port in [0x510, 0x511] {
        assert!(device.write(port, b"X").is_none());
    }
    assert!(device.write(0x511, b"XX").is_none());
    // Nor did the writes move on.
    assert_eq!([data(&mut device), data(&mut device)], *b"ab");
}

#[test]
fn reset_selects_the_signature_and_keeps_what_was_written() {
    let mut device = FwCfg::builder().file("f", b"ab").unwrap().build();
    let fresh = device.clone();
    select(&mut device, 0x20);
    data(&mut device);
    assert!(device.write(0x514, &[0, 0, 0, 1]).is_none());
    device.reset();
    assert_eq!(device, fresh);
    assert_eq!(data(&mut device), b'Q');
}

#[test]
fn contents_that_the_device_cannot_hold_are_refused() {
    let with = |name: &str| FwCfg::builder().file(name, b"").err();
    assert_eq!(with(""), Some(Error::FileNameLength { length: 0 }));
    assert_eq!(with(&"n".repeat(55)), None);
    assert_eq!(with(&"n".repeat(56)), Some(Error::FileNameLength { length: 56 }));
    assert_eq!(with("a\0b"), Some(Error::FileNameByte { byte: 0 }));
    assert_eq!(with("ä"), Some(Error::FileNameByte { byte: 0xC3 }));
    let twice = FwCfg::builder().file("f", b"").unwrap().file("f", b"");
    let name = fw_cfg::FileName::new("f").unwrap();
    assert_eq!(twice.err(), Some(Error::DuplicateFile { name }));

    let with = |key| FwCfg::builder().item(Key(key), b"").err();
    for key in [0x00, 0x01, 0x19, 0x20, 0x3FFF, 0x4002, 0xC002] {
        assert_eq!(with(key), Some(Error::ReservedKey { key: Key(key) }), "{key:#x}");
    }
    for key in [0x02, 0x1F, 0x8000, 0x8019, 0xBFFF] {
        assert_eq!(with(key), None, "{key:#x}");
    }
    let twice = FwCfg::builder().item(Key::UUID, b"").unwrap().item(Key::UUID, b"");
    assert_eq!(twice.err(), Some(Error::DuplicateKey { key: Key::UUID }));
}

#[test]
fn there_are_files_up_to_the_last_key() {
    let mut builder = FwCfg::builder();
    for number in 0..0x3FE0 {
        builder = builder.file(&format!("{number:05}"), b"").unwrap();
    }
    let full = builder.clone().file("one more", b"");
    assert_eq!(full.err(), Some(Error::TooManyFiles { max: 0x3FE0 }));
    let last = builder.file("00000", b"");
    assert!(last.is_err());
}

proptest! {
    #[test]
    fn no_access_panics_or_reads_outside_the_device(
        accesses in prop::collection::vec(
            (0x50C_u16..0x520, prop::collection::vec(any::<u8>(), 0..10), any::<bool>()),
            0..40,
        ),
    ) {
        let mut device = FwCfg::builder().file("f", b"abc").unwrap().build();
        for (port, mut bytes, is_write) in accesses {
            if is_write {
                let started = device.write(port, &bytes).is_some();
                prop_assert_eq!(started, port == 0x518 && bytes.len() == 4);
            } else {
                device.read(port, &mut bytes);
            }
        }
    }
}
