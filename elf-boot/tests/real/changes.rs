//! Changes of a file in place, always the same ones: a file of 60 MiB is read once.

use std::collections::BTreeSet;
use std::ops::Range;

/// What of a file is changed.
#[derive(Debug, Default)]
pub(crate) struct Spots {
    /// Every byte of these, and pairs of them.
    pub(crate) bytes: Vec<Range<usize>>,
    /// Numbers as a whole: offset and width in bytes.
    pub(crate) fields: Vec<(usize, usize)>,
    /// Parts of one length that take each other's place.
    pub(crate) records: Vec<Range<usize>>,
    /// Where the file is cut off.
    pub(crate) lengths: BTreeSet<usize>,
}

/// How many pairs of bytes are changed.
const PAIRS: usize = 2000;

impl Spots {
    /// What every ELF has, by its own headers: file header, program headers, notes.
    pub(crate) fn of_elf(file: &[u8]) -> Self {
        let wide = file[4] == 2;
        let word = |at: usize| number(file, at, if wide { 8 } else { 4 });
        let (header_bytes, table, count) = match wide {
            true => (0x40, word(0x20), number(file, 0x38, 2)),
            false => (0x34, word(0x1C), number(file, 0x2C, 2)),
        };
        let entry_bytes = if wide { 56 } else { 32 };
        let mut fields: Vec<_> = (4..8).map(|at| (at, 1)).collect();
        fields.extend([(0x10, 2), (0x12, 2), (0x14, 4)]);
        let (words, halves) = if wide { (0x18, 0x34) } else { (0x18, 0x28) };
        let width = if wide { 8 } else { 4 };
        fields.extend((0..3).map(|index| (words + index * width, width)));
        fields.extend((0..6).map(|index| (halves + index * 2, 2)));
        let mut spots = Self {
            bytes: vec![0..header_bytes, table..table + count * entry_bytes],
            fields,
            ..Self::default()
        };
        spots.lengths.extend(0..table + count * entry_bytes + 0x40);
        for index in 0..count {
            let at = table + index * entry_bytes;
            spots.records.push(at..at + entry_bytes);
            let (offset, size) = match wide {
                true => {
                    spots.fields.extend([(at, 4), (at + 4, 4)]);
                    spots.fields.extend((1..7).map(|index| (at + index * 8, 8)));
                    (word(at + 8), word(at + 32))
                }
                false => {
                    spots.fields.extend((0..8).map(|index| (at + index * 4, 4)));
                    (word(at + 4), word(at + 16))
                }
            };
            spots.cut(offset);
            spots.cut(offset + size);
            if number(file, at, 4) == 4 {
                // The whole of a kernel's notes, and the front of others.
                spots.bytes.push(offset..offset + size.min(0x240));
                spots.fields.extend((0..size.min(0x240) / 4).map(|index| (offset + index * 4, 4)));
            }
        }
        spots.cut(file.len());
        spots
    }

    /// The setup header.
    pub(crate) fn of_bzimage(file: &[u8]) -> Self {
        let fields = [
            (0x1F1, 1),
            (0x1F2, 2),
            (0x1F4, 4),
            (0x1F8, 2),
            (0x1FA, 2),
            (0x1FC, 2),
            (0x1FE, 2),
            (0x201, 1),
            (0x206, 2),
            (0x208, 4),
            (0x20C, 2),
            (0x20E, 2),
            (0x210, 1),
            (0x211, 1),
            (0x212, 2),
            (0x214, 4),
            (0x218, 4),
            (0x21C, 4),
            (0x220, 4),
            (0x224, 2),
            (0x226, 2),
            (0x228, 4),
            (0x22C, 4),
            (0x230, 4),
            (0x234, 1),
            (0x235, 1),
            (0x236, 2),
            (0x238, 4),
            (0x23C, 4),
            (0x240, 8),
            (0x248, 4),
            (0x24C, 4),
            (0x250, 8),
            (0x258, 8),
            (0x260, 4),
            (0x264, 4),
            (0x268, 4),
        ];
        let sectors = number(file, 0x1F1, 1);
        let kernel = (if sectors == 0 { 4 } else { sectors } + 1) * 512;
        let mut spots = Self { fields: fields.to_vec(), ..Self::default() };
        spots.bytes.push(0x1F0..0x270);
        spots.lengths.extend(0x1C0..0x2C0);
        for length in [0, 0x200, kernel, kernel + 0x200, kernel + number(file, 0x1F4, 4) * 16] {
            spots.cut(length);
        }
        spots.cut(file.len());
        spots
    }

    /// Cuts the file off around `length`.
    fn cut(&mut self, length: usize) {
        self.lengths.extend([-17_isize, -16, -1, 0, 1].map(|by| length.saturating_add_signed(by)));
    }

    /// Calls `each` for the file as it is and for each change of it, and leaves it as it was.
    pub(crate) fn each(&self, file: &mut [u8], each: &mut dyn FnMut(&[u8])) {
        each(file);
        for at in self.bytes.iter().flat_map(Clone::clone) {
            let byte = file[at];
            let mut values: BTreeSet<u8> = (0..8).map(|bit| byte ^ (1 << bit)).collect();
            values.extend([0, 0xFF, byte.wrapping_add(1), byte.wrapping_sub(1)]);
            values.remove(&byte);
            for value in values {
                file[at] = value;
                each(file);
            }
            file[at] = byte;
        }
        for &(at, width) in &self.fields {
            let length = file.len();
            let was = number(file, at, width);
            let mut values =
                BTreeSet::from([0, 1, 2, 3, 0xFFF, 0x1000, usize::MAX, usize::MAX >> 1]);
            values.extend([
                1 << 31,
                1 << 32,
                1 << 63,
                (1 << 32) - 1,
                length,
                length - 1,
                length + 1,
            ]);
            values.extend([was + 1, was.wrapping_sub(1), was << 1, was >> 1, was + 0x1000, !was]);
            values.extend([was.wrapping_sub(0x1000), length.wrapping_sub(was), was.wrapping_neg()]);
            for value in values {
                put(file, at, width, value);
                each(file);
            }
            put(file, at, width, was);
        }
        for from in &self.records {
            for to in &self.records {
                let (one, other) = (file[from.clone()].to_vec(), file[to.clone()].to_vec());
                file[to.clone()].copy_from_slice(&one);
                each(file);
                file[from.clone()].copy_from_slice(&other);
                each(file);
                file[from.clone()].copy_from_slice(&one);
                file[to.clone()].copy_from_slice(&other);
            }
        }
        let places: Vec<usize> = self.bytes.iter().flat_map(Clone::clone).collect();
        let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
        for _ in 0..PAIRS {
            let spots = [0; 2].map(|_| places[numbers.next(places.len())]);
            let was = spots.map(|at| file[at]);
            for at in spots {
                file[at] = u8::try_from(numbers.next(256)).unwrap();
            }
            each(file);
            spots.into_iter().zip(was).for_each(|(at, byte)| file[at] = byte);
        }
        for &length in self.lengths.range(..file.len()) {
            each(&file[..length]);
        }
    }
}

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % below
    }
}

fn number(file: &[u8], at: usize, width: usize) -> usize {
    let mut bytes = [0; 8];
    bytes[..width].copy_from_slice(&file[at..at + width]);
    usize::from_le_bytes(bytes)
}

fn put(file: &mut [u8], at: usize, width: usize, value: usize) {
    file[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
}
