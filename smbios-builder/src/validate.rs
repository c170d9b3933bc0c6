//! What is wrong with any bytes.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use crate::spec::{Contents, fields, least_bytes};
use crate::{
    ArrayMapping, Describe, DeviceMapping, EntryPoint, Error, Handle, Structure, StructureType,
    structures_in,
};

/// A rule of the specification that bytes break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// The entry point can't be read.
    #[error("{0}")]
    EntryPoint(Error),
    /// What should be a structure can't be read; nothing after it is.
    #[error("{0}")]
    Structure(Error),
    /// The entry point says another length than the table has.
    #[error("entry point says {declared:#x} bytes, the table has {found:#x}")]
    TableLength {
        /// What the entry point says.
        declared: usize,
        /// What the table has.
        found: usize,
    },
    /// The entry point says another count than the table has.
    #[error("entry point says {declared} structures, the table has {found}")]
    StructureCount {
        /// What the entry point says.
        declared: usize,
        /// What the table has.
        found: usize,
    },
    /// The entry point says another length of the largest structure.
    #[error("entry point says {declared:#x} bytes for the largest structure, it has {found:#x}")]
    LargestStructure {
        /// What the entry point says.
        declared: usize,
        /// What the largest has.
        found: usize,
    },
    /// A structure is shorter than its type ever was.
    #[error("{kind} has {length:#x} bytes, at least {min:#x} are needed")]
    TooShort {
        /// Its type.
        kind: StructureType,
        /// Its length.
        length: usize,
        /// The least.
        min: usize,
    },
    /// Two structures have the same handle.
    #[error("a structure before has handle {handle} too")]
    DuplicateHandle {
        /// The handle.
        handle: Handle,
    },
    /// A structure has a reserved handle.
    #[error("handle {handle} is reserved")]
    ReservedHandle {
        /// The handle.
        handle: Handle,
    },
    /// A field refers to a string that the structure doesn't have.
    #[error("{field} is string {number} of {count}")]
    StringNumber {
        /// The field's name.
        field: &'static str,
        /// What it says.
        number: u8,
        /// How many there are.
        count: usize,
    },
    /// A field refers to a structure that the table doesn't have.
    #[error("{field} is {handle}, which no structure has")]
    DanglingHandle {
        /// The field's name.
        field: &'static str,
        /// What it says.
        handle: Handle,
    },
    /// A field refers to a structure of another type than it must.
    #[error("{field} is {handle}, a {found} instead of {expected}")]
    WrongReference {
        /// The field's name.
        field: &'static str,
        /// What it says.
        handle: Handle,
        /// The type that it must be.
        expected: StructureType,
        /// The type that it is.
        found: StructureType,
    },
    /// A field is zero that has no such value.
    #[error("{field} is zero, which is none of its values")]
    Zero {
        /// The field's name.
        field: &'static str,
    },
    /// A mapping ends before it starts.
    #[error("mapped range is empty or ends before it starts")]
    EmptyMapping,
    /// Nothing says where the table ends.
    #[error("the table has no structure of type 127")]
    NoEnd,
    /// Something that a machine has once is there again.
    #[error("{kind} is there again")]
    Repeated {
        /// The type.
        kind: StructureType,
    },
    /// Something that each machine has is missing.
    #[error("{kind} is missing")]
    Missing {
        /// The type.
        kind: StructureType,
    },
}

/// A broken rule, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where in the table, in bytes; 0 if it is about the table as a whole.
    pub offset: usize,
    /// What is broken.
    pub rule: Rule,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, rule } = self;
        write!(f, "SMBIOS at {offset:#x}: {rule}")
    }
}

/// Checks a table, and the entry point that leads to it.
///
/// There are at most a dozen findings more than bytes, and it takes time in proportion to the bytes
/// but for the sorting of handles.
#[must_use]
pub fn validate(entry_point: &[u8], table: &[u8]) -> Vec<Finding> {
    let mut findings = validate_table(table);
    let mut report = |rule| findings.push(Finding { offset: 0, rule });
    let whole = || structures_in(table).flatten();
    let end = whole().last().map_or(0, |last| last.offset() + last.size_bytes());
    match EntryPoint::decode(entry_point) {
        Err(error) => report(Rule::EntryPoint(error)),
        Ok(EntryPoint::Bits32(said)) => {
            let mut compare = |declared: u16, found: usize, rule: fn(usize, usize) -> Rule| {
                if usize::from(declared) != found {
                    report(rule(usize::from(declared), found));
                }
            };
            let largest = whole().map(|structure| structure.size_bytes()).max().unwrap_or(0);
            compare(said.table_bytes, end, |declared, found| Rule::TableLength { declared, found });
            compare(said.structure_count, whole().count(), |declared, found| {
                Rule::StructureCount { declared, found }
            });
            compare(said.max_structure_bytes, largest, |declared, found| Rule::LargestStructure {
                declared,
                found,
            });
        }
        Ok(EntryPoint::Bits64(said)) => {
            let declared = usize::try_from(said.max_table_bytes).unwrap_or(usize::MAX);
            if declared < end {
                report(Rule::TableLength { declared, found: end });
            }
        }
    }
    findings
}

/// Checks a table without its entry point.
#[must_use]
pub fn validate_table(table: &[u8]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut kinds = BTreeMap::new();
    for structure in structures_in(table) {
        match structure {
            Err(error) => {
                let offset = table.len();
                findings.push(Finding { offset, rule: Rule::Structure(error) });
            }
            Ok(structure) => {
                let (handle, offset) = (structure.handle(), structure.offset());
                if handle > Handle::LAST {
                    findings.push(Finding { offset, rule: Rule::ReservedHandle { handle } });
                }
                if kinds.insert(handle, structure.kind()).is_some() {
                    findings.push(Finding { offset, rule: Rule::DuplicateHandle { handle } });
                }
            }
        }
    }
    let mut counts = [0usize; 256];
    for structure in structures_in(table).flatten() {
        let count = &mut counts[usize::from(structure.kind().0)];
        *count += 1;
        check_structure(&structure, *count, &kinds, &mut findings);
    }
    if counts[usize::from(StructureType::END_OF_TABLE.0)] == 0 {
        findings.push(Finding { offset: 0, rule: Rule::NoEnd });
    }
    // "Required structures" without those that a virtual machine may have none of.
    for kind in [
        StructureType::FIRMWARE,
        StructureType::SYSTEM,
        StructureType::CHASSIS,
        StructureType::PROCESSOR,
        StructureType::MEMORY_ARRAY,
        StructureType::MEMORY_DEVICE,
        StructureType::ARRAY_MAPPING,
        StructureType::BOOT_INFORMATION,
    ] {
        if counts[usize::from(kind.0)] == 0 {
            findings.push(Finding { offset: 0, rule: Rule::Missing { kind } });
        }
    }
    findings
}

fn check_structure(
    structure: &Structure<'_>,
    count: usize,
    kinds: &BTreeMap<Handle, StructureType>,
    findings: &mut Vec<Finding>,
) {
    let (kind, length) = (structure.kind(), structure.formatted().len());
    let offset = structure.offset();
    let min = least_bytes(kind);
    if length < min {
        findings.push(Finding { offset, rule: Rule::TooShort { kind, length, min } });
        return;
    }
    let once = [StructureType::FIRMWARE, StructureType::SYSTEM, StructureType::BOOT_INFORMATION];
    if count > 1 && once.contains(&kind) {
        findings.push(Finding { offset, rule: Rule::Repeated { kind } });
    }
    let strings = structure.strings().count();
    for &(place, field, contents) in fields(kind) {
        let Some(bytes) = structure.formatted().get(place..place + contents.size_bytes()) else {
            break;
        };
        let rule = check_field(field, contents, bytes, strings, kinds);
        findings.extend(rule.map(|rule| Finding { offset: offset + place, rule }));
    }
    let range = match kind {
        StructureType::ARRAY_MAPPING => ArrayMapping::decode(structure).ok().map(|map| map.range),
        StructureType::DEVICE_MAPPING => DeviceMapping::decode(structure).ok().map(|map| map.range),
        _ => None,
    };
    if range.is_some_and(|range| range.is_empty()) {
        findings.push(Finding { offset, rule: Rule::EmptyMapping });
    }
}

fn check_field(
    field: &'static str,
    contents: Contents,
    bytes: &[u8],
    count: usize,
    kinds: &BTreeMap<Handle, StructureType>,
) -> Option<Rule> {
    let number = bytes.first().copied().unwrap_or_default();
    let handle = Handle(u16::from_le_bytes([number, bytes.get(1).copied().unwrap_or_default()]));
    let expected = match contents {
        Contents::Text if usize::from(number) > count => {
            return Some(Rule::StringNumber { field, number, count });
        }
        Contents::Named(_) if number == 0 => return Some(Rule::Zero { field }),
        Contents::Target(kind) => Some(kind),
        Contents::OptionalTarget(kind) if handle < Handle::NOT_PROVIDED => Some(kind),
        Contents::AnyTarget => None,
        _ => return None,
    };
    match (kinds.get(&handle).copied(), expected) {
        (None, _) => Some(Rule::DanglingHandle { field, handle }),
        (Some(found), Some(expected)) if found != expected => {
            Some(Rule::WrongReference { field, handle, expected, found })
        }
        _ => None,
    }
}
