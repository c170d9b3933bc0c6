//! What is printed for people.

use std::fmt::Write as _;

use elf_boot::{ElfImage, Format, LinuxImage, Way, identify};
use firmware_blobs::Release;
use hvmloader_core::Needs;

use crate::image::{Image, Inside, kind};

/// Describes an image; `indent` is how far all but its first line are moved in.
pub(crate) fn describe(name: &str, image: &Image, indent: usize) -> String {
    let identified = identify(&image.bytes);
    let title = match &identified.format {
        Ok(Format::Elf(elf)) => format!("ELF{}, entry {:#x}", elf.bits, elf.entry),
        Ok(Format::BzImage(linux)) => {
            let (major, minor) = (linux.version >> 8, linux.version & 0xFF);
            let name = linux
                .kernel_version
                .map_or_else(String::new, |name| format!(", \"{}\"", name.escape_ascii()));
            format!("bzImage, boot protocol {major}.{minor:02}{name}")
        }
        Ok(_) => "of a format that this program does not know".to_owned(),
        Err(error) => match image.firmware() {
            Some((firmware, _)) => firmware.to_string(),
            None => error.to_string(),
        },
    };
    let mut lines = Vec::new();
    if let Some((_, Some(release))) = image.firmware() {
        let Release { suite, package, version, file, licence, .. } = release;
        lines.push(("release".to_owned(), format!("{suite}, {package} {version}, /{file}")));
        lines.push(("licence".to_owned(), (*licence).to_owned()));
    }
    if let Some(kind) = image.firmware().and_then(|(firmware, _)| kind(firmware)) {
        lines.push(("needs".to_owned(), in_words(kind.needs())));
        lines.push(("uses".to_owned(), in_words(kind.uses())));
    }
    match &identified.format {
        Ok(Format::Elf(elf)) => describe_elf(elf, &mut lines),
        Ok(Format::BzImage(linux)) => describe_linux(linux, &mut lines),
        _ => {}
    }
    for way in &identified.ways {
        lines.push((way.protocol.name().to_owned(), describe_way(way)));
    }
    // A file that is nothing has the same reason for each.
    let reasons = identified.refused.iter().filter(|refusal| {
        identified.format.as_ref().err().is_none_or(|error| *error != refusal.reason)
    });
    for refusal in reasons {
        lines.push((format!("not {}", refusal.protocol), refusal.reason.to_string()));
    }
    let mut text = format!("{name}: {title}\n");
    for (label, line) in lines {
        let _ = writeln!(text, "{:indent$}  {label:<22} {line}", "");
    }
    if let Some(Inside { compression, unpacked }) = &image.inside {
        let _ = match unpacked {
            Ok(inside) => {
                let name = format!("inside ({compression}, {:#x} bytes)", inside.bytes.len());
                let told = describe(&name, inside, indent + 2);
                write!(text, "{:indent$}  {told}", "")
            }
            Err(error) => writeln!(text, "{:indent$}  inside ({compression}): {error}", ""),
        };
    }
    text
}

/// The names of devices, with commas.
fn in_words(needs: Needs) -> String {
    let names: Vec<_> = needs.iter_names().map(|(name, _)| name.to_lowercase()).collect();
    names.join(", ").replace('_', " ")
}

fn describe_elf(elf: &ElfImage<'_>, lines: &mut Vec<(String, String)>) {
    let file_bytes: u64 = elf.segments.iter().map(|one| one.file_bytes).sum();
    let (count, zeros) = (elf.segments.len(), elf.zero_bytes());
    lines.push((
        "segments".to_owned(),
        format!("{count}, of {file_bytes:#x} bytes and {zeros:#x} zeros"),
    ));
    let mut told = Vec::new();
    for note in elf.notes.iter().filter(|note| note.is_xen()) {
        let kind = note.xen_name().map_or_else(|| note.kind.to_string(), str::to_owned);
        let value = match (note.text(), note.number()) {
            (Some(text), _) => format!("\"{text}\""),
            (None, Some(number)) => format!("{number:#x}"),
            (None, None) => format!("{} bytes", note.descriptor.len()),
        };
        // Segments and sections may have the same ones.
        let line = (format!("xen {}", kind.to_lowercase()), value);
        if !told.contains(&line) {
            told.push(line);
        }
    }
    lines.append(&mut told);
}

fn describe_linux(linux: &LinuxImage<'_>, lines: &mut Vec<(String, String)>) {
    let mut line = |label: &str, text: String| lines.push((label.to_owned(), text));
    line(
        "setup",
        format!(
            "{:#x} bytes, then the kernel of {:#x}; 16-bit entry at X+20h:0",
            linux.setup_bytes, linux.kernel_bytes
        ),
    );
    let mut memory = format!("{:#x} bytes from {:#x}", linux.init_bytes, linux.preferred_address);
    if linux.is_relocatable {
        let _ = write!(memory, ", movable by {:#x}", linux.alignment);
        if linux.least_alignment < linux.alignment {
            let _ = write!(memory, ", {:#x} at least", linux.least_alignment);
        }
    }
    line("memory", memory);
    let mut limits = format!(
        "initrd to {:#x}, command line {} bytes",
        linux.last_initrd_address, linux.command_line_bytes
    );
    if let Some(most) = linux.setup_type_max {
        let _ = write!(limits, ", setup data to type {most:#x}");
    }
    line("limits", limits);
    line(
        "flags",
        format!("loadflags {:#x}, xloadflags {:#x}", linux.load_flags, linux.extended_load_flags),
    );
}

fn describe_way(way: &Way) -> String {
    let mut text = format!("entry {}, ", way.entry);
    let _ = match way.ranges.as_slice() {
        [only] => write!(text, "{only}"),
        [first, .., last] => {
            write!(text, "{} ranges in {}..{}", way.ranges.len(), first.start(), last.end())
        }
        [] => write!(text, "no memory"),
    };
    if let Some(relocation) = way.relocation {
        let _ = write!(text, "; may lie in {} by {:#x}", relocation.within, relocation.alignment);
    }
    text
}
