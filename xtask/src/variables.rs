//! UEFI variables that outlive the guest: two Linux guests, one after the other, with the same file of
//! variables. Each says which variables of ours it finds, and writes one; in between the file is read
//! here, byte by byte.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::checks::{Log, Verdict, nested_guest, vmm_arguments};
use crate::judge::{judge, new_nonce};
use crate::rig::Boot;
use crate::toolbox::Toolbox;
use crate::tools::OVMF;

/// The word on a guest's command line that asks for variables, with the name of one to write; and the
/// word by which a rig's guest gets ready for that.
pub(crate) const OPTION: &str = "hvkit.variable=";
/// See [`OPTION`].
pub(crate) const WORD: &str = "hvkit.variables";
/// What the guest's user space puts before the name and the value of each that it finds.
pub(crate) const MARK: &str = "hvkit: variable ";
/// Whose variables these are, as Linux writes it, and as it stands in memory.
pub(crate) const VENDOR: &str = "7d3f1c2a-56be-4f0e-9b1d-c0a25e8846f3";
const VENDOR_BYTES: [u8; 16] = [
    0x2A, 0x1C, 0x3F, 0x7D, 0xBE, 0x56, 0x0E, 0x4F, 0x9B, 0x1D, 0xC0, 0xA2, 0x5E, 0x88, 0x46, 0xF3,
];
/// Kept, and visible to firmware and to systems: what the guest writes with.
const ATTRIBUTES: u32 = 7;

/// The option that names the file, and the file that it begins as.
pub(crate) const FILE_OPTION: &str = "--firmware-vars";
const TEMPLATE: &str = "usr/share/OVMF/OVMF_VARS_4M.fd";
/// What each guest calls the variable that it writes.
const NAMES: [&str; 2] = ["HvkitFirst", "HvkitSecond"];

/// A variable of ours: name, attributes, value, which is text.
type Variable = (String, u32, String);

/// Runs the guests, and looks at the file behind each.
pub(crate) fn outlive(boot: &Boot, log: &mut Log) -> Result<Verdict> {
    let file = log.path.with_extension("fd");
    fs::copy(Toolbox::ensure(&[&OVMF])?.path(&OVMF, TEMPLATE), &file)?;
    ensure!(read(&fs::read(&file)?)?.is_empty(), "the template has our variables");
    let mut expected: Vec<Variable> = Vec::new();
    for name in NAMES {
        let nonce = new_nonce();
        let mut arguments = vmm_arguments(boot, &format!("{nonce} {OPTION}{name}"))?;
        arguments.extend([FILE_OPTION.into(), file.clone().into()]);
        let outcome = nested_guest(boot, &arguments, Some(FILE_OPTION), log)?;
        let console = String::from_utf8_lossy(&outcome.stdout);
        if let Some(fault) = judge(outcome.status, &outcome.stdout, &nonce, 1).first() {
            return Ok(Verdict::Failed(format!("{name}: {fault}")));
        }
        if let Some(missing) = boot.prints.iter().find(|wanted| !console.contains(**wanted)) {
            return Ok(Verdict::Failed(format!("{name}: did not print {missing:?}")));
        }
        let lines = console.lines().filter_map(|line| line.trim_end().strip_prefix(MARK));
        let told: Vec<_> = lines.map(str::to_owned).collect();
        let line = |(name, _, value): &Variable| format!("{name} {value}");
        let known: Vec<_> = expected.iter().map(line).collect();
        if told != known {
            return Ok(Verdict::Failed(format!("{name}: found {told:?}, and not {known:?}")));
        }
        expected.push((name.to_owned(), ATTRIBUTES, nonce));
        let found =
            read(&outcome.returned).with_context(|| format!("the variables behind {name}"))?;
        if found != expected {
            return Ok(Verdict::Failed(format!("the file has {found:?}, and not {expected:?}")));
        }
        fs::write(&file, outcome.returned)?;
    }
    Ok(Verdict::Passed)
}

/// Reads those of our variables in a file that count, in their order.
///
/// # Source
/// UEFI Platform Initialization Specification, Vol. 3, "Firmware Volume Header"; EDK II,
/// `MdeModulePkg/Include/Guid/VariableFormat.h`: the format of authenticated variables.
fn read(file: &[u8]) -> Result<Vec<Variable>> {
    const VOLUME_SIGNATURE: usize = 40;
    const VOLUME_HEADER_LENGTH: usize = 48;
    // AAF32C78-947B-439A-A180-2E144EC37792.
    const AUTHENTICATED: [u8; 16] = [
        0x78, 0x2C, 0xF3, 0xAA, 0x7B, 0x94, 0x9A, 0x43, 0xA1, 0x80, 0x2E, 0x14, 0x4E, 0xC3, 0x77,
        0x92,
    ];
    const STORE_HEADER_BYTES: usize = 28;
    const FORMATTED: u8 = 0x5A;
    const HEALTHY: u8 = 0xFE;
    const START: u16 = 0x55AA;
    const HEADER_BYTES: usize = 60;
    // Header and data are whole, and nothing is deleted: bits are cleared step by step.
    const ADDED: u8 = 0x3F;

    ensure!(part::<4>(file, VOLUME_SIGNATURE)? == *b"_FVH", "no firmware volume");
    let store = usize::from(u16::from_le_bytes(part(file, VOLUME_HEADER_LENGTH)?));
    ensure!(part(file, store)? == AUTHENTICATED, "no store of authenticated variables");
    let [format, state] = part(file, store + 20)?;
    ensure!((format, state) == (FORMATTED, HEALTHY), "the store is {format:#x}, {state:#x}");
    let end = store + number(file, store + 16)?;
    let mut variables = Vec::new();
    let mut at = store + STORE_HEADER_BYTES;
    while at + HEADER_BYTES <= end && u16::from_le_bytes(part(file, at)?) == START {
        let [state] = part(file, at + 2)?;
        let attributes = u32::from_le_bytes(part(file, at + 4)?);
        let (name_bytes, data_bytes) = (number(file, at + 36)?, number(file, at + 40)?);
        let vendor: [u8; 16] = part(file, at + 44)?;
        let name_at = at + HEADER_BYTES;
        let data_at = name_at + name_bytes;
        let name = file.get(name_at..data_at).context("a name is cut short")?;
        let data = file.get(data_at..data_at + data_bytes).context("data is cut short")?;
        if state == ADDED && vendor == VENDOR_BYTES {
            let (units, _) = name.as_chunks::<2>();
            let units: Vec<_> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
            let name = String::from_utf16_lossy(&units);
            let value = String::from_utf8_lossy(data).into_owned();
            variables.push((name.trim_end_matches('\0').to_owned(), attributes, value));
        }
        at = (data_at + data_bytes).next_multiple_of(4);
    }
    Ok(variables)
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let part = bytes.get(at..).and_then(|rest| rest.first_chunk());
    part.copied().with_context(|| format!("nothing at {at:#x}"))
}

fn number(bytes: &[u8], at: usize) -> Result<usize> {
    Ok(usize::try_from(u32::from_le_bytes(part(bytes, at)?))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(state: u8, vendor: &[u8; 16], name: &str, data: &[u8]) -> Vec<u8> {
        let name: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let mut bytes = vec![0xAA, 0x55, state, 0, 7, 0, 0, 0];
        bytes.extend([0; 28]);
        bytes.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        bytes.extend(vendor);
        bytes.extend(name);
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0xFF);
        bytes
    }

    fn store(variables: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; 0x48];
        bytes[40..44].copy_from_slice(b"_FVH");
        bytes[48] = 0x48;
        bytes.extend(*b"\x78\x2C\xF3\xAA\x7B\x94\x9A\x43\xA1\x80\x2E\x14\x4E\xC3\x77\x92");
        bytes.extend(0x1000_u32.to_le_bytes());
        bytes.extend([0x5A, 0xFE, 0, 0, 0, 0, 0, 0]);
        bytes.extend(variables.concat());
        bytes.resize(0x2000, 0xFF);
        bytes
    }

    #[test]
    fn our_variables_are_found_and_no_others() {
        let ours = |state, name| variable(state, &VENDOR_BYTES, name, b"12345");
        let other = variable(0x3F, &[1; 16], "Other", b"1");
        // Never finished, on the way out, gone.
        let file = store(&[
            ours(0x7F, "A"),
            other,
            ours(0x3E, "B"),
            ours(0x3F, "First"),
            ours(0x3C, "C"),
            ours(0x3F, "Second"),
        ]);
        let found = |name: &str| (name.to_owned(), 7, "12345".to_owned());
        assert_eq!(read(&file).unwrap(), [found("First"), found("Second")]);
        assert_eq!(read(&store(&[])).unwrap(), []);
    }

    #[test]
    fn what_is_no_store_is_refused() {
        let good = store(&[variable(0x3F, &VENDOR_BYTES, "First", b"1")]);
        for at in [40, 0x48, 0x48 + 20, 0x48 + 21] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(read(&bad).is_err(), "{at:#x}");
        }
        assert!(read(&good[..0x80]).is_err());
        assert!(read(&[]).is_err());
    }

    #[test]
    fn the_vendor_is_the_same_in_both_forms() {
        let digits: Vec<u8> = VENDOR
            .split('-')
            .enumerate()
            .flat_map(|(index, part)| {
                let mut bytes: Vec<u8> = (0..part.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&part[at..at + 2], 16).unwrap())
                    .collect();
                if index < 3 {
                    bytes.reverse();
                }
                bytes
            })
            .collect();
        assert_eq!(digits, VENDOR_BYTES);
    }
}
