//! OVMF's GUID table, from bytes: its entries are those that a plain walk from the end finds, each
//! inside the image, and the metadata that it leads to says what the bytes there say.

use firmware_blobs::{Firmware, Guid, GuidTable, Volumes, identify};

use crate::Bytes;

/// GUIDs that an entry may have by a small number.
const KNOWN: [Guid; 6] = [
    GuidTable::TDX_METADATA,
    GuidTable::SEV_METADATA,
    GuidTable::SEV_SECRET,
    GuidTable::SEV_ES_RESET,
    GuidTable::IGVM_PARAMETERS,
    GuidTable::FOOTER,
];
/// What stands before the descriptor of TDX.
const TDX_GUID: Guid = Guid::new(0xE9EA_F9F3_168E_44D5_A8EB_7F4D_8738_F6AE);
/// Where [`image`] puts the two descriptors.
const TDX_AT: usize = 16;
const SEV_AT: usize = 0x80;

/// Reads an image: if the first byte is even, one that is made of the bytes; else the bytes are it.
///
/// # Panics
/// If the reader is wrong.
pub fn guid_table(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    let image = if how % 2 == 0 { image(*how, rest) } else { rest.to_vec() };
    let plain = plain(&image);
    match (GuidTable::find(&image), &plain) {
        (Ok(Some(table)), Some(Ok((entries, is_full)))) => {
            let found: Vec<_> =
                table.entries().map(|entry| (entry.guid.0, place(&image, entry.data))).collect();
            assert_eq!(&found, entries);
            assert_eq!(table.check().is_ok(), *is_full, "{:?}", table.check());
            for (guid, _) in entries {
                let first = entries.iter().find(|(other, _)| other == guid);
                let found = table.get(Guid(*guid)).map(|data| place(&image, data));
                assert_eq!(found.as_ref(), first.map(|(_, place)| place));
            }
            tdx(&image, &table);
            sev(&image, &table);
        }
        (Ok(None), None) | (Err(_), Some(Err(()))) => {}
        (found, _) => panic!("{found:?} and {plain:?}"),
    }
    if let Ok(Firmware::Ovmf(flash)) = identify(&image) {
        assert!(flash.table.is_none() || flash.table == GuidTable::find(&image).unwrap_or(None));
    }
    for volume in Volumes::new(&image) {
        let files: usize = volume.files().map(|file| place(&image, file.contents).1).sum();
        assert!(place(&image, volume.bytes).1 >= files);
    }
}

/// An image with room for descriptors, entries and a footer, whose length the first byte may spoil.
fn image(how: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = Bytes::new(data);
    let mut tail = Vec::new();
    for _ in 0..bytes.byte() % 8 {
        let kind = bytes.byte();
        let guid = KNOWN.get(usize::from(kind)).map_or([kind; 16], |guid| guid.0);
        let length = usize::from(bytes.byte() % 24);
        tail.extend((0..length).map(|_| bytes.byte()));
        // Mostly what it is.
        let spoilt = if kind % 8 == 7 { bytes.byte().into() } else { 0 };
        tail.extend((u16::try_from(length).unwrap_or(0) + 18 + spoilt).to_le_bytes());
        tail.extend(guid);
    }
    let spoilt = if how & 2 != 0 { u16::from(bytes.byte()) << 2 } else { 0 };
    let length = u16::try_from(tail.len()).unwrap_or(0) + 18;
    tail.extend((length ^ spoilt).to_le_bytes());
    tail.extend(GuidTable::FOOTER.0);
    tail.extend([0x90; 32]);

    let mut image: Vec<u8> = (0..0x100).map(|_| bytes.byte()).collect();
    if how & 4 != 0 {
        image[..16].copy_from_slice(&TDX_GUID.0);
        image[TDX_AT..TDX_AT + 4].copy_from_slice(b"TDVF");
        image[TDX_AT + 8..TDX_AT + 12].copy_from_slice(&[1, 0, 0, 0]);
    }
    if how & 8 != 0 {
        image[SEV_AT..SEV_AT + 4].copy_from_slice(b"ASEV");
        image[SEV_AT + 8..SEV_AT + 12].copy_from_slice(&[1, 0, 0, 0]);
    }
    // What points to them, as a distance from the end.
    let size_bytes = image.len() + tail.len();
    if how & 16 != 0 {
        for (guid, at) in [(GuidTable::TDX_METADATA, TDX_AT), (GuidTable::SEV_METADATA, SEV_AT)] {
            let distance = u32::try_from(size_bytes - at).unwrap_or(0).to_le_bytes();
            let entry = (22..tail.len()).find(|end| tail[*end - 16..*end] == guid.0);
            if let Some(end) = entry {
                tail[end - 22..end - 18].copy_from_slice(&distance);
            }
        }
    }
    image.extend(tail);
    image
}

type Entries = Vec<([u8; 16], (usize, usize))>;

/// The entries from the end, with where their data begins and how long it is, and whether they fill
/// the table; an error if its length can't be, nothing if there is no footer.
fn plain(image: &[u8]) -> Option<Result<(Entries, bool), ()>> {
    let size_bytes = image.len();
    if size_bytes < 50 || image[size_bytes - 48..size_bytes - 32] != GuidTable::FOOTER.0 {
        return None;
    }
    let length = word(image, size_bytes - 50);
    if length < 18 || length > size_bytes - 32 {
        return Some(Err(()));
    }
    let (start, mut end) = (size_bytes - 32 - length, size_bytes - 50);
    let mut entries = Vec::new();
    while end - start >= 18 {
        let length = word(image, end - 18);
        if length < 18 || length > end - start {
            break;
        }
        let guid: [u8; 16] = std::array::from_fn(|at| image[end - 16 + at]);
        entries.push((guid, (end - length, length - 18)));
        end -= length;
    }
    Some(Ok((entries, start == end)))
}

/// Where a part of the image begins, and how long it is.
fn place(image: &[u8], part: &[u8]) -> (usize, usize) {
    let offset = (part.as_ptr() as usize).checked_sub(image.as_ptr() as usize);
    let offset = offset.expect("it begins before the image");
    assert!(offset + part.len() <= image.len(), "it ends behind the image");
    (offset, part.len())
}

/// Where the descriptor of an entry's metadata is, if that is in the image.
fn descriptor<'a>(image: &'a [u8], table: &GuidTable<'_>, guid: Guid) -> Option<(usize, &'a [u8])> {
    let data = table.get(guid)?;
    let distance = u32::from_le_bytes(*data.first_chunk()?) as usize;
    let at = image.len().checked_sub(distance)?;
    Some((at, &image[at..]))
}

fn tdx(image: &[u8], table: &GuidTable<'_>) {
    let Ok(Some(sections)) = table.tdx() else { return };
    let (at, bytes) = descriptor(image, table, GuidTable::TDX_METADATA).expect("it was read");
    assert_eq!((&image[at - 16..at], &bytes[..4]), (&TDX_GUID.0[..], &b"TDVF"[..]));
    let mut count = 0;
    for (section, plain) in sections.zip(bytes[16..].chunks(32)) {
        assert_eq!(u64::from(section.data_offset), long(plain, 0, 4));
        assert_eq!(u64::from(section.data_size_bytes), long(plain, 4, 4));
        assert_eq!(section.gpa.as_u64(), long(plain, 8, 8));
        assert_eq!(section.memory_size_bytes, long(plain, 16, 8));
        assert_eq!(section.attributes.is_measured(), plain[28] % 2 == 1);
        count += 1;
    }
    assert_eq!((long(bytes, 8, 4), long(bytes, 12, 4)), (1, count));
}

fn sev(image: &[u8], table: &GuidTable<'_>) {
    let Ok(Some(sections)) = table.sev() else { return };
    let (_, bytes) = descriptor(image, table, GuidTable::SEV_METADATA).expect("it was read");
    assert_eq!(&bytes[..4], b"ASEV");
    let mut count = 0;
    for (section, plain) in sections.zip(bytes[16..].chunks(12)) {
        assert_eq!(section.gpa.as_u64(), long(plain, 0, 4));
        assert_eq!(u64::from(section.size_bytes), long(plain, 4, 4));
        count += 1;
    }
    assert_eq!((long(bytes, 8, 4), long(bytes, 12, 4)), (1, count));
}

fn word(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) + usize::from(bytes[at + 1]) * 256
}

fn long(bytes: &[u8], at: usize, width: usize) -> u64 {
    bytes[at..at + width].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
