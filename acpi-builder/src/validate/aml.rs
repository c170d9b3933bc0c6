//! What a definition block declares: names, devices, and what they say of themselves.
//!
//! Only declarations are read. What a method computes, and what stands below a condition, is not;
//! where a block has something else in it, the rest of that block is left out.
//!
//! # Source
//! ACPI 6.5, "ACPI Machine Language (AML) Specification".

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::encoding::{Code, Name, Path, Segment, Stop, Value};
use super::fields::Fields;
use super::madt::repeated;
use super::{Found, HEADER_BYTES, Report, Rule};

/// How deep blocks may be nested, and how long paths may be.
const MAX_DEPTH: usize = 64;

/// The encoded form of `EisaId ("PNP0000")` without its number.
const PNP: u32 = 0x0000_D041;

/// A hardware id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HardwareId<'a> {
    Eisa(u32),
    Text(&'a [u8]),
}

impl HardwareId<'_> {
    /// Tells whether it is `PNP` with this number.
    pub(super) fn is_pnp(self, number: u16) -> bool {
        self == Self::Eisa(PNP | u32::from(number.swap_bytes()) << 16)
    }
}

/// A processor that AML declares.
#[derive(Clone, Copy, Debug)]
pub(super) struct AmlProcessor<'a> {
    pub(super) table: Found<'a>,
    pub(super) offset: usize,
    pub(super) uid: Option<u64>,
}

/// A `_CRS` whose resources stand there as they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resources<'a> {
    pub(super) table: Found<'a>,
    /// Where the first resource is.
    pub(super) offset: usize,
    pub(super) bytes: &'a [u8],
    pub(super) hid: Option<HardwareId<'a>>,
}

/// What all definition blocks declare.
#[derive(Default)]
pub(super) struct Namespace<'a> {
    names: BTreeSet<Path>,
    pub(super) processors: Vec<AmlProcessor<'a>>,
    pub(super) resources: Vec<Resources<'a>>,
    /// Whether all declarations were read.
    pub(super) is_complete: bool,
}

/// Reads all definition blocks.
pub(super) fn read<'a>(tables: &[Found<'a>], report: &mut Report) -> Namespace<'a> {
    let mut namespace = Namespace { is_complete: true, ..Namespace::default() };
    for &table in tables.iter().filter(|table| table.is_aml()) {
        let code = Code(table.bytes);
        let mut reader = Reader { table, code, report, namespace: &mut namespace };
        let mut device = Device::default();
        reader.block(HEADER_BYTES, table.bytes.len(), &[], &mut device, 0);
    }
    namespace.is_complete &= namespace.processors.iter().all(|processor| processor.uid.is_some());
    let uids = namespace.processors.iter().enumerate();
    let uids = uids.filter_map(|(index, processor)| Some((processor.uid?, index)));
    for (uid, index) in repeated(uids) {
        let AmlProcessor { table, offset, .. } = namespace.processors[index];
        report.add(&table, offset, Rule::AmlRepeatedUid, uid);
    }
    namespace
}

/// The device that a block belongs to.
#[derive(Default)]
struct Device<'a> {
    hid: Option<HardwareId<'a>>,
    uid: Option<u64>,
    crs: Option<(usize, &'a [u8])>,
}

struct Reader<'a, 'b> {
    table: Found<'a>,
    code: Code<'a>,
    report: &'b mut Report,
    namespace: &'b mut Namespace<'a>,
}

impl<'a> Reader<'a, '_> {
    /// Reads declarations from `at` to `end`.
    fn block(
        &mut self,
        mut at: usize,
        end: usize,
        scope: &[Segment],
        device: &mut Device<'a>,
        depth: usize,
    ) {
        while at < end {
            match self.term(at, end, scope, device, depth) {
                Ok(next) => at = next,
                Err(stop) => {
                    self.namespace.is_complete = false;
                    if let Stop::Broken(rule, offset) = stop {
                        let value = self.table.bytes.byte(offset).unwrap_or_default();
                        self.report.add(&self.table, offset, rule, value.into());
                    }
                    return;
                }
            }
        }
    }

    /// Reads one declaration and returns where the next one is.
    fn term(
        &mut self,
        at: usize,
        end: usize,
        scope: &[Segment],
        device: &mut Device<'a>,
        depth: usize,
    ) -> Result<usize, Stop> {
        let extended = self.code.byte(at, end)? == 0x5B;
        let opcode_end = at + 1 + usize::from(extended);
        let opcode = if extended {
            0x5B00 | u16::from(self.code.byte(at + 1, end)?)
        } else {
            self.code.byte(at, end)?.into()
        };
        match opcode {
            // Noop
            0xA3 => Ok(opcode_end),
            // Alias: the target, then the new name.
            0x06 => {
                let (_, next) = self.code.name(opcode_end, end)?;
                self.declaration(next, end, scope).map(|(_, next)| next)
            }
            // Name
            0x08 => {
                let (path, next) = self.declaration(opcode_end, end, scope)?;
                let (value, next) = self.code.value(next, end)?;
                if let Some((last, parents)) = path.split_last()
                    && parents == scope
                {
                    device.set(*last, &value);
                }
                Ok(next)
            }
            // Scope
            0x10 => {
                let (start, block_end) = self.code.package_length(opcode_end, end)?;
                let (name, start) = self.code.name(start, block_end)?;
                let path = path(scope, name, at)?;
                self.nested(start, block_end, &path, &mut Device::default(), depth);
                Ok(block_end)
            }
            // External: a name, its type, its number of arguments.
            0x15 => {
                let (_, next) = self.code.name(opcode_end, end)?;
                self.code.byte(next + 1, end)?;
                Ok(next + 2)
            }
            // Method
            0x14 => {
                let (start, block_end) = self.code.package_length(opcode_end, end)?;
                self.declaration(start, block_end, scope)?;
                Ok(block_end)
            }
            // If, Else, While: what they declare depends on what is computed.
            0xA0..=0xA2 => {
                self.namespace.is_complete = false;
                self.code.package_length(opcode_end, end).map(|(_, block_end)| block_end)
            }
            // Mutex, with its level; Event.
            0x5B01 | 0x5B02 => {
                let (_, next) = self.declaration(opcode_end, end, scope)?;
                if opcode == 0x5B02 {
                    return Ok(next);
                }
                self.code.byte(next, end).map(|_| next + 1)
            }
            // OperationRegion: the space, then where it is and how long.
            0x5B80 => {
                let (_, next) = self.declaration(opcode_end, end, scope)?;
                self.code.byte(next, end)?;
                let (_, next) = self.code.value(next + 1, end)?;
                self.code.value(next, end).map(|(_, next)| next)
            }
            // Field, IndexField, BankField
            0x5B81 | 0x5B86 | 0x5B87 => {
                let (start, block_end) = self.code.package_length(opcode_end, end)?;
                let (_, start) = self.code.name(start, block_end)?;
                if opcode == 0x5B81 {
                    self.code.byte(start, block_end)?;
                    self.fields(start + 1, block_end, scope)?;
                }
                Ok(block_end)
            }
            // Device, Processor, PowerResource, ThermalZone
            0x5B82..=0x5B85 => {
                let (start, block_end) = self.code.package_length(opcode_end, end)?;
                let (path, start) = self.declaration(start, block_end, scope)?;
                // What stands between the name and the terms.
                let more = [0, 6, 3, 0][usize::from(opcode - 0x5B82)];
                let mut inner = Device::default();
                if opcode == 0x5B83 {
                    inner.uid = Some(self.code.byte(start, block_end)?.into());
                }
                if block_end - start < more {
                    return Err(Stop::Broken(Rule::AmlTruncated, at));
                }
                self.nested(start + more, block_end, &path, &mut inner, depth);
                self.finish(at, opcode == 0x5B83, &inner);
                Ok(block_end)
            }
            _ => Err(Stop::Unknown),
        }
    }

    fn nested(
        &mut self,
        start: usize,
        end: usize,
        path: &[Segment],
        device: &mut Device<'a>,
        depth: usize,
    ) {
        if depth >= MAX_DEPTH {
            self.namespace.is_complete = false;
            self.report.add(&self.table, start, Rule::AmlDepth, MAX_DEPTH as u64);
            return;
        }
        self.block(start, end, path, device, depth + 1);
    }

    /// Takes note of a device that is read to its end.
    fn finish(&mut self, offset: usize, is_processor: bool, device: &Device<'a>) {
        let table = self.table;
        if is_processor || device.hid == Some(HardwareId::Text(b"ACPI0007")) {
            self.namespace.processors.push(AmlProcessor { table, offset, uid: device.uid });
        }
        if let Some((offset, bytes)) = device.crs {
            self.namespace.resources.push(Resources { table, offset, bytes, hid: device.hid });
        }
    }

    /// Reads a name that is declared here.
    fn declaration(
        &mut self,
        at: usize,
        end: usize,
        scope: &[Segment],
    ) -> Result<(Path, usize), Stop> {
        let (name, next) = self.code.name(at, end)?;
        let path = path(scope, name, at)?;
        if !self.namespace.names.insert(path.clone()) {
            let last = path.last().copied().unwrap_or_default();
            let value = u32::from_le_bytes(last).into();
            self.report.add(&self.table, at, Rule::AmlRepeatedName, value);
        }
        Ok((path, next))
    }

    /// Reads the names in a field.
    fn fields(&mut self, mut at: usize, end: usize, scope: &[Segment]) -> Result<(), Stop> {
        while at < end {
            at = match self.code.byte(at, end)? {
                // ReservedField
                0x00 => self.code.bits(at + 1, end)?,
                // AccessField, ExtendedAccessField
                0x01 => at + 3,
                0x03 => at + 4,
                // ConnectField
                0x02 => return Err(Stop::Unknown),
                _ => {
                    let (_, next) = self.declaration(at, end, scope)?;
                    self.code.bits(next, end)?
                }
            };
        }
        Ok(())
    }
}

impl<'a> Device<'a> {
    /// Takes note of an object of the device's own.
    fn set(&mut self, name: Segment, value: &Value<'a>) {
        match (&name, value) {
            (b"_HID", Value::Integer(id)) => {
                self.hid = u32::try_from(*id).ok().map(HardwareId::Eisa);
            }
            (b"_HID", Value::Text(id)) => self.hid = Some(HardwareId::Text(id)),
            (b"_UID", Value::Integer(uid)) => self.uid = Some(*uid),
            (b"_CRS", Value::Buffer(offset, bytes)) => self.crs = Some((*offset, bytes)),
            _ => {}
        }
    }
}

/// Returns the path of a name in a scope.
fn path(scope: &[Segment], name: Name, at: usize) -> Result<Path, Stop> {
    let kept = if name.is_absolute { 0 } else { scope.len().saturating_sub(name.parents) };
    let mut path = scope[..kept].to_vec();
    path.extend(name.segments);
    if path.len() > MAX_DEPTH {
        return Err(Stop::Broken(Rule::AmlDepth, at));
    }
    Ok(path)
}
