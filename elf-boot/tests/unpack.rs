//! Kernels that are compressed, unpacked: what the programs made that Linux is packed with.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod common;

use common::BzFile;
use elf_boot::{Compression, Error, Format, Identified, Packed, Protocol, identify};

const SAMPLES: [(Compression, &[u8]); 4] = [
    (Compression::Gzip, include_bytes!("data/sample.gz")),
    (Compression::Xz, include_bytes!("data/sample.xz")),
    (Compression::Zstd, include_bytes!("data/sample.zst")),
    (Compression::Lz4, include_bytes!("data/sample.lz4")),
];
const LENGTH: usize = 80_000;

/// What `data/README.md` says that they were made of.
fn sample() -> Vec<u8> {
    let eight = |n: u32| {
        let [a, b, c, d] = (n / 8 * 16).to_le_bytes();
        [0xE8, a, b, c, d, 0x90, b'k', n.to_le_bytes()[0]]
    };
    (0..10_000).flat_map(eight).collect()
}

/// A bzImage with this inside, and the length that it says of it.
fn bzimage(payload: &[u8], appended: Option<u32>) -> Vec<u8> {
    let mut payload = payload.to_vec();
    payload.extend(appended.into_iter().flat_map(u32::to_le_bytes));
    let mut image = BzFile::new();
    let offset = image.kernel.len();
    let length = u32::try_from(payload.len()).unwrap();
    image.kernel.extend(payload);
    image.kernel.resize(image.kernel.len().next_multiple_of(16), 0);
    let paragraphs = u32::try_from(image.kernel.len() / 16).unwrap();
    let image = image.u32(0x1F4, paragraphs).u32(0x248, u32::try_from(offset).unwrap());
    image.u32(0x24C, length).build()
}

fn packed(file: &[u8]) -> Packed<'_> {
    identify(file).packed(file).unwrap()
}

#[test]
fn what_each_program_packed_comes_out_again() {
    for (compression, bytes) in SAMPLES {
        let file = Packed::file(bytes).unwrap();
        assert_eq!((file.compression(), file.size_bytes()), (compression, None));
        assert!(file.unpack(LENGTH).unwrap() == sample(), "{compression}");
        assert!(packed(bytes).unpack(1 << 20).unwrap() == sample(), "{compression}");
    }
}

#[test]
fn the_kernel_inside_a_bzimage_comes_out() {
    for (compression, bytes) in SAMPLES {
        // gzip has the length as its own last field.
        let appended = (compression != Compression::Gzip).then_some(80_000);
        let file = bzimage(bytes, appended);
        let packed = packed(&file);
        assert_eq!((packed.compression(), packed.size_bytes()), (compression, Some(80_000)));
        assert!(packed.unpack(LENGTH).unwrap() == sample(), "{compression}");
        let Identified { refused, .. } = identify(&file);
        let pvh = refused.into_iter().find(|one| one.protocol == Protocol::Pvh).unwrap();
        assert_eq!(pvh.reason, Error::Packed { by: compression });
    }
}

#[test]
fn nothing_grows_beyond_the_bound() {
    for (compression, bytes) in SAMPLES {
        let most_bytes = LENGTH as u64 - 1;
        let large = Error::UnpackedTooLarge { size_bytes: LENGTH as u64, most_bytes };
        let file = Packed::file(bytes).unwrap();
        assert_eq!(file.unpack(LENGTH - 1), Err(large.clone()), "{compression}");
        assert!(matches!(file.unpack(0), Err(Error::UnpackedTooLarge { .. })));
        // What a bzImage says of itself is compared first.
        let appended = (compression != Compression::Gzip).then_some(80_000);
        assert_eq!(packed(&bzimage(bytes, appended)).unpack(LENGTH - 1), Err(large));
    }
}

/// XSA-25, CVE-2012-4544: 16 MiB of zeros in a few bytes, by the format descriptions: a literal, and matches without end;
/// blocks of one repeated byte.
#[test]
fn a_bomb_is_stopped_at_the_bound() {
    let mut lz4 = b"\x02\x21\x4C\x18".to_vec();
    let mut block = vec![0x1F, 0, 1, 0];
    // Each FFh is 255 bytes more of the match: about 8 MiB.
    block.extend(vec![0xFF; 32_000]);
    block.extend([0, 0x50, 0, 0, 0, 0, 0]);
    for _ in 0..4 {
        lz4.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
        lz4.extend(&block);
    }
    // Window of 128 KiB; 1000 blocks of type RLE and 128 KiB, the last one marked.
    let mut zstd = b"\x28\xB5\x2F\xFD\x00\x38".to_vec();
    for index in 0..1000_u32 {
        let header = (128 << 10) << 3 | 1 << 1 | u32::from(index == 999);
        zstd.extend(&header.to_le_bytes()[..3]);
        zstd.push(0);
    }
    for bomb in [lz4, zstd] {
        let file = Packed::file(&bomb).unwrap();
        let most_bytes = 1 << 20;
        let error = Error::UnpackedTooLarge { size_bytes: most_bytes + 1, most_bytes };
        assert_eq!(file.unpack(1 << 20), Err(error), "{}", file.compression());
        assert!(file.unpack(200 << 20).unwrap().iter().all(|&byte| byte == 0));
    }
}

/// CVE-2011-1583: lengths of what is packed, taken from the image.
#[test]
fn a_length_that_is_not_true_is_refused() {
    for (compression, bytes) in SAMPLES.into_iter().skip(1) {
        for declared in [0, 79_999, 80_001] {
            let error = packed(&bzimage(bytes, Some(declared))).unpack(1 << 20).unwrap_err();
            let expected = Error::UnpackedSize { size_bytes: 80_000, declared: declared.into() };
            assert_eq!(error, expected, "{compression}");
        }
        // More than is wanted is not looked at.
        let error = packed(&bzimage(bytes, Some(u32::MAX))).unpack(1 << 20).unwrap_err();
        let (size_bytes, most_bytes) = (u32::MAX.into(), 1 << 20);
        assert_eq!(error, Error::UnpackedTooLarge { size_bytes, most_bytes }, "{compression}");
    }
}

#[test]
fn damaged_data_is_an_error_and_never_a_panic() {
    for (compression, bytes) in SAMPLES {
        for cut in (0..bytes.len()).step_by(97) {
            if let Some(file) = Packed::file(&bytes[..cut]) {
                assert!(file.unpack(1 << 20).is_err(), "{compression}, {cut} bytes");
            }
        }
        let mut noticed = 0;
        // gzip has what says nothing of the data before that.
        let places: Vec<_> = (10..bytes.len()).step_by(61).collect();
        for &at in &places {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x10;
            noticed += usize::from(Packed::file(&damaged).unwrap().unpack(1 << 20).is_err());
        }
        // LZ4's legacy frame has no checksum, and zstd's is not compared.
        let checked = matches!(compression, Compression::Gzip | Compression::Xz);
        assert!(
            !checked || noticed == places.len(),
            "{compression}: {noticed} of {}",
            places.len()
        );
    }
}

#[test]
fn all_that_gzip_may_say_in_its_header_is_skipped() {
    let (header, rest) = SAMPLES[0].1.split_at(10);
    let named = |flags: u8| {
        let mut file = header.to_vec();
        file[3] = flags;
        for (flag, field) in [(4, &b"\x03\0abc"[..]), (8, b"name\0"), (16, b"\0"), (2, b"\x12\x34")]
        {
            if flags & flag != 0 {
                file.extend(field);
            }
        }
        file.extend(rest);
        Packed::file(&file).unwrap().unpack(LENGTH)
    };
    for flags in (0..0x20).step_by(2) {
        assert!(named(flags).unwrap() == sample(), "{flags:#x}");
    }
    let broken = Error::BrokenPacking { by: Compression::Gzip };
    assert_eq!(named(0x20).unwrap_err(), broken, "a flag that is reserved");
}

#[test]
fn what_is_left_behind_lz4_blocks_is_an_error() {
    let file = [SAMPLES[3].1, &[1, 2]].concat();
    let broken = Error::BrokenPacking { by: Compression::Lz4 };
    assert_eq!(Packed::file(&file).unwrap().unpack(LENGTH).unwrap_err(), broken);
}

#[test]
fn what_can_not_be_unpacked_is_named() {
    for (bytes, compression) in [
        (&b"BZh91AY&SY"[..], Compression::Bzip2),
        (b"\x5D\0\0\x80\0", Compression::Lzma),
        (b"\x89LZO\0\r\n", Compression::Lzo),
        (b"\x04\x22\x4D\x18\x64", Compression::Lz4),
    ] {
        let Err(format) = identify(bytes).format else { panic!("{compression}") };
        assert_eq!(format, Error::Compressed { by: compression });
        let error = Packed::file(bytes).unwrap().unpack(1 << 20).unwrap_err();
        assert_eq!(error, Error::CantUnpack { by: compression });
    }
    assert_eq!(Error::CantUnpack { by: Compression::Lzma }.to_string(), "can't unpack lzma here");
}

/// CVE-2011-1583: where it lies, too.
#[test]
fn a_payload_outside_of_the_kernel_is_none() {
    let bytes = SAMPLES[0].1;
    for (offset, length) in [(u32::MAX, 8), (0, u32::MAX), (0xFFFF_FFF0, 0x20), (0, 0), (0, 3)] {
        let file = bzimage(bytes, None);
        let mut file = file;
        file[0x248..0x24C].copy_from_slice(&offset.to_le_bytes());
        file[0x24C..0x250].copy_from_slice(&length.to_le_bytes());
        let Ok(Format::BzImage(image)) = identify(&file).format else { panic!("no bzImage") };
        assert_eq!(image.packed, None);
    }
}
