//! Loader scripts of any bytes, run against an interpreter of its own that knows only bytes.

use std::collections::BTreeMap;

use fw_cfg::{FwCfg, Script};
use guest_state::Gpa;

/// The files of the device.
const FILES: [(&str, usize); 4] =
    [("a", 24), ("b", 4), ("etc/acpi/rsdp", 36), ("etc/acpi/tables", 0x800)];
/// Where files go, one after the other, from a place that the bytes choose.
const PLACES: [u64; 6] = [0x10_0000, 0xF_5000, 0xFFF0, 0xFFFF_FFF0, u64::MAX - 0x7FF, 8];

fn contents(length: usize) -> Vec<u8> {
    // Small numbers far apart: pointers that lead somewhere.
    (0..length).map(|at| if at % 8 == 0 { at.to_le_bytes()[0] / 8 } else { 0 }).collect()
}

/// What a script leaves: files with their places, and addresses for the host.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    files: BTreeMap<String, (u64, Vec<u8>)>,
    writes: Vec<(String, u64, u64, u64)>,
}

/// Runs the script that `data` describes.
///
/// The first byte says how, and where files go: the rest is a script, or commands of twelve bytes.
pub fn table_loader(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let script = if mode % 2 == 0 { rest.to_vec() } else { commands(rest) };
    let first = usize::from(mode / 2);
    let mut device = FwCfg::builder();
    for (name, length) in FILES {
        let file = device.file(name, contents(length));
        device = file.expect("these files can be");
    }
    let device = device.build();
    let decoded = Script::decode(&script);
    if let Ok(decoded) = &decoded {
        assert_eq!(decoded.commands().len(), script.len() / 128);
        assert_eq!(Script::decode(&decoded.encode()).as_ref(), Ok(decoded));
    }
    let mut next = first;
    let loaded = decoded.and_then(|decoded| {
        decoded.run(&device, |_, _| {
            next += 1;
            Some(Gpa::new(PLACES[(next - 1) % PLACES.len()]))
        })
    });
    let expected = interpret(&script, first);
    let left = loaded.as_ref().ok().map(|loaded| {
        let file = |file: &fw_cfg::LoadedFile| {
            (file.name.as_str().to_owned(), (file.gpa.as_u64(), file.bytes.clone()))
        };
        let write = |write: &fw_cfg::PointerWrite| {
            let width = u64::from(write.width.bytes());
            (write.file.as_str().to_owned(), write.offset.into(), width, write.gpa.as_u64())
        };
        Left {
            files: loaded.files.iter().map(file).collect(),
            writes: loaded.writes.iter().map(write).collect(),
        }
    });
    if let Err(error) = &loaded {
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(left, expected, "{:?}", loaded.err());
}

/// Makes commands of twelve bytes each: number, two files, a number of 16 bits for each place in the
/// command that may have one, width.
fn commands(bytes: &[u8]) -> Vec<u8> {
    let mut script = Vec::new();
    for short in bytes.chunks_exact(12) {
        let mut command = [0; 128];
        command[0] = short[0] % 6;
        let name = |index: u8| FILES.get(usize::from(index % 5)).map_or("c", |(name, _)| *name);
        let mut put =
            |at: usize, bytes: &[u8]| command[at..at + bytes.len()].copy_from_slice(bytes);
        put(4, name(short[1]).as_bytes());
        let numbers = [[short[3], short[4]], [short[5], short[6]], [short[7], short[8]]];
        match short[0] % 6 {
            1 => {
                // A power of two, mostly.
                let alignment = 1 << (short[3] % 16) | u32::from(short[4] == 0xFF);
                put(60, &alignment.to_le_bytes());
                put(64, &[short[11] % 4]);
            }
            3 => numbers.iter().zip([60, 64, 68]).for_each(|(number, at)| put(at, number)),
            _ => {
                put(60, name(short[2]).as_bytes());
                put(116, &numbers[0]);
                let width = 1 << (short[11] % 5);
                match short[0] % 6 {
                    2 => put(120, &[width]),
                    _ => {
                        put(120, &numbers[1]);
                        put(124, &[width]);
                    }
                }
            }
        }
        script.extend(command);
    }
    script
}

/// Does what SeaBIOS' `romfile_loader.h` and QEMU's `bios-linker-loader.c` say of each command;
/// `None` where one can't be done.
fn interpret(script: &[u8], first: usize) -> Option<Left> {
    let mut left = Left::default();
    if !script.len().is_multiple_of(128) {
        return None;
    }
    let commands: Vec<_> = script.chunks(128).collect();
    // All are read before the first is run.
    for command in &commands {
        if matches!(word(command, 0), 1..=4) {
            name(command, 4)?;
        }
        if let number @ (2 | 4) = word(command, 0) {
            name(command, 60)?;
            let width = command[if number == 2 { 120 } else { 124 }];
            [1, 2, 4, 8].contains(&width).then_some(())?;
        }
    }
    for command in commands {
        step(command, &mut left, first)?;
    }
    Some(left)
}

fn step(command: &[u8], left: &mut Left, first: usize) -> Option<()> {
    match word(command, 0) {
        1 => {
            let file = name(command, 4)?;
            let (_, length) = FILES.into_iter().find(|(name, _)| *name == file)?;
            let place = PLACES[(first + left.files.len()) % PLACES.len()];
            let alignment = word(command, 60);
            let fits = alignment.count_ones() == 1
                && place.is_multiple_of(alignment)
                && u128::from(place) + length as u128 <= u128::from(u64::MAX)
                && [1, 2].contains(&command[64]);
            let new = left.files.insert(file, (place, contents(length))).is_none();
            (fits && new).then_some(())
        }
        2 => {
            let (at, width) = (size(command, 116), usize::from(command[120]));
            let (_, bytes) = left.files.get(&name(command, 4)?)?;
            let field = bytes.get(at..at + width)?;
            let offset = field.iter().rev().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
            let address = address(left, &name(command, 60)?, offset, width)?;
            let (_, bytes) = left.files.get_mut(&name(command, 4)?)?;
            for (index, byte) in bytes[at..at + width].iter_mut().enumerate() {
                *byte = (address >> (8 * index)).to_le_bytes()[0];
            }
            Some(())
        }
        3 => {
            let (_, bytes) = left.files.get_mut(&name(command, 4)?)?;
            let (at, start) = (size(command, 60), size(command, 64));
            let summed = bytes.get(start..start + size(command, 68))?;
            let sum: u64 = summed.iter().map(|byte| u64::from(*byte)).sum();
            let byte = bytes.get_mut(at)?;
            *byte = ((u64::from(*byte) + 256 - sum % 256) % 256).to_le_bytes()[0];
            Some(())
        }
        4 => {
            let file = name(command, 4)?;
            let (_, length) = FILES.into_iter().find(|(name, _)| *name == file)?;
            let (at, width) = (word(command, 116), u64::from(command[124]));
            (at + width <= length as u64).then_some(())?;
            let target = name(command, 60)?;
            let address = address(left, &target, word(command, 120), usize::from(command[124]))?;
            left.writes.push((file, at, width, address));
            Some(())
        }
        _ => Some(()),
    }
}

/// The address of a place in a loaded file, if it fits so many bytes.
fn address(left: &Left, file: &str, offset: u64, width: usize) -> Option<u64> {
    let (place, bytes) = left.files.get(file)?;
    let address = place + Some(offset).filter(|offset| *offset < bytes.len() as u64)?;
    (u128::from(address) < 1 << (8 * width)).then_some(address)
}

fn word(command: &[u8], at: usize) -> u64 {
    command[at..at + 4].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn size(command: &[u8], at: usize) -> usize {
    usize::try_from(word(command, at)).unwrap_or(usize::MAX / 2)
}

fn name(command: &[u8], at: usize) -> Option<String> {
    let end = command[at..at + 56].iter().position(|byte| *byte == 0)?;
    let name = &command[at..at + end];
    let is_name = !name.is_empty() && name.iter().all(|byte| (0x20..0x7F).contains(byte));
    is_name.then(|| String::from_utf8_lossy(name).into_owned())
}
