//! What is printed for programs.

use elf_boot::{Format, Note, Way, identify};
use firmware_blobs::{Firmware, Release};
use guest_state::GpaRange;
use hvmloader_core::Needs;
use serde_json::{Value, json};

use crate::image::{Image, Inside, kind};

/// Describes an image. Addresses are hexadecimal strings: 64 bits are past what JSON readers keep.
pub(crate) fn describe(image: &Image) -> Value {
    let identified = identify(&image.bytes);
    let refused = identified.refused.iter().map(|refusal| {
        json!({ "protocol": refusal.protocol.name(), "reason": refusal.reason.to_string() })
    });
    json!({
        "size_bytes": image.bytes.len(),
        "format": identified.format.as_ref().map_or(Value::Null, format),
        "ways": identified.ways.iter().map(way).collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "firmware": image.firmware().map(firmware),
        "inside": image.inside.as_ref().map_or(Value::Null, inside),
    })
}

fn format(format: &Format<'_>) -> Value {
    match format {
        Format::Elf(elf) => {
            let segments = elf.segments.iter().map(|segment| {
                let mut value = range(segment.range);
                value["file_bytes"] = segment.file_bytes.into();
                value
            });
            json!({
                "name": "elf",
                "bits": elf.bits,
                "entry": hex(elf.entry),
                "segments": segments.collect::<Vec<_>>(),
                "notes": elf.notes.iter().map(note).collect::<Vec<_>>(),
            })
        }
        Format::BzImage(linux) => json!({
            "name": "bzimage",
            "boot_protocol": format!("{}.{:02}", linux.version >> 8, linux.version & 0xFF),
            "kernel_version": linux.kernel_version.map(|name| name.escape_ascii().to_string()),
            "setup_bytes": linux.setup_bytes,
            "kernel_bytes": linux.kernel_bytes,
            "load_flags": linux.load_flags,
            "extended_load_flags": linux.extended_load_flags,
            "preferred_address": hex(linux.preferred_address),
            "init_bytes": linux.init_bytes,
            "alignment": linux.alignment,
            "least_alignment": linux.least_alignment,
            "is_relocatable": linux.is_relocatable,
            "last_initrd_address": hex(linux.last_initrd_address.into()),
            "command_line_bytes": linux.command_line_bytes,
            "setup_type_max": linux.setup_type_max,
        }),
        _ => Value::Null,
    }
}

fn firmware((firmware, release): (Firmware<'_>, Option<&'static Release>)) -> Value {
    let release = release.map(|Release { suite, package, version, file, licence, .. }| {
        json!({
            "suite": suite,
            "package": package,
            "version": version,
            "file": file,
            "licence": licence,
        })
    });
    let names = |needs: Needs| -> Value {
        needs.iter_names().map(|(name, _)| name.to_lowercase()).collect::<Vec<_>>().into()
    };
    let kind = kind(firmware);
    json!({
        "kind": firmware.to_string(),
        "release": release,
        "needs": kind.map(|kind| names(kind.needs())),
        "uses": kind.map(|kind| names(kind.uses())),
    })
}

fn note(note: &Note<'_>) -> Value {
    let name = note.name.strip_suffix(b"\0").unwrap_or(note.name);
    json!({
        "name": name.escape_ascii().to_string(),
        "type": note.kind,
        "meaning": note.xen_name(),
        "number": note.number().map(hex),
        "text": note.text(),
        "descriptor_bytes": note.descriptor.len(),
    })
}

fn way(way: &Way) -> Value {
    let relocation = way.relocation.map(|relocation| {
        let mut value = range(relocation.within);
        value["alignment"] = relocation.alignment.into();
        value
    });
    json!({
        "protocol": way.protocol.name(),
        "entry": hex(way.entry.as_u64()),
        "ranges": way.ranges.iter().copied().map(range).collect::<Vec<_>>(),
        "relocation": relocation,
    })
}

fn inside(inside: &Inside) -> Value {
    let mut value = match &inside.unpacked {
        Ok(image) => describe(image),
        Err(error) => json!({ "error": error.to_string() }),
    };
    value["compression"] = inside.compression.name().into();
    value
}

fn range(range: GpaRange) -> Value {
    json!({ "start": hex(range.start().as_u64()), "end": hex(range.end().as_u64()) })
}

fn hex(value: u64) -> Value {
    format!("{value:#x}").into()
}
