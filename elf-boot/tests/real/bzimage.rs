//! One bzImage, read by two: goblin knows none.

use elf_boot::{Error, Format, Identified, Protocol};
use linux_loader::loader::bzimage::BzImage;

use super::recorder::{Load, Memory};
use super::variant;

/// Names what linux-loader sees otherwise.
pub(crate) fn beside_linux_loader(
    memory: &Memory,
    file: &[u8],
    found: &Identified<'_>,
) -> Vec<String> {
    let theirs = memory.load::<BzImage>(file);
    let ours = match &found.format {
        Ok(Format::BzImage(image)) => Ok(image),
        Ok(_) => Err(&Error::NotElf),
        Err(error) => Err(error),
    };
    // What linux-loader has no entry for, but loads, needs the 32-bit one.
    let refused = found.refused.iter().find(|one| one.protocol == Protocol::Linux32);
    let (loaded, ours) = match (&theirs.result, ours, refused) {
        (Err(_), Err(_), _) | (Err(_), Ok(_), Some(_)) => return vec!["both refuse".into()],
        (Ok(_), Err(error), _) => return vec![format!("they load: {}", variant(error))],
        (Err(error), Ok(_), None) => return vec![format!("they refuse: {error}")],
        (Ok(_), Ok(_), Some(refused)) => {
            return vec![format!("they load: {}", variant(&refused.reason))];
        }
        (Ok(loaded), Ok(ours), None) => (loaded, ours),
    };
    let header = loaded.setup_header.unwrap();
    let mut names: Vec<String> = Vec::new();
    // Before the version that brought a field, it is none; ours is then what the protocol says.
    let numbers: [(&str, u16, u64, u64); 9] = [
        ("version", 0x0200, header.version.into(), ours.version.into()),
        ("loadflags", 0x0200, header.loadflags.into(), ours.load_flags.into()),
        ("initrd_addr_max", 0x0203, header.initrd_addr_max.into(), ours.last_initrd_address.into()),
        ("kernel_alignment", 0x0205, header.kernel_alignment.into(), ours.alignment.into()),
        (
            "relocatable_kernel",
            0x0205,
            (header.relocatable_kernel != 0).into(),
            ours.is_relocatable.into(),
        ),
        ("cmdline_size", 0x0206, header.cmdline_size.into(), ours.command_line_bytes.into()),
        ("pref_address", 0x020A, header.pref_address, ours.preferred_address),
        ("init_size", 0x020A, header.init_size.into(), ours.init_bytes),
        ("xloadflags", 0x020C, header.xloadflags.into(), ours.extended_load_flags.into()),
    ];
    for (name, since, theirs, ours_says) in numbers {
        if theirs != ours_says {
            let kind = if ours.version < since { "field before its version" } else { "field" };
            names.push(format!("{kind}: {name}"));
        }
    }
    let [load] = theirs.loads[..] else {
        names.push("loads: not one".into());
        return names;
    };
    if load.address != ours.preferred_address {
        names.push("place".into());
    }
    if (load.offset, load.bytes) != (ours.setup_bytes, ours.kernel_bytes) {
        let whole = Load { bytes: file.len() as u64 - load.offset, ..load };
        names.push(match load.offset == ours.setup_bytes && load == whole {
            true => "kernel: they load all that the file has".into(),
            false => "kernel: other bytes".into(),
        });
    }
    names
}
