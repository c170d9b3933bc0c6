//! A GDT in memory, for protocols that promise one.

use guest_state::{DescriptorTable, Segment, VcpuState};
use zerocopy::IntoBytes;
use zerocopy::little_endian::U64;

use crate::Error;
use crate::draft::Draft;

/// Six entries: two that are null, CS at 10h, the data segments at 18h, TR at 20h with 16 bytes.
const GDT_BYTES: u16 = 6 * 8;

/// Places a GDT from which loading the selectors of `vcpu` again gives the same segments.
pub(crate) fn with_gdt(mut vcpu: VcpuState, draft: &mut Draft<'_>) -> Result<VcpuState, Error> {
    let gdt = draft.claim_pages("GDT", GDT_BYTES.into())?;
    vcpu.gdtr = DescriptorTable { base: gdt.as_u64(), limit: GDT_BYTES - 1 };
    let [code, data, task] = [vcpu.cs, vcpu.ds, vcpu.tr].map(Segment::to_descriptor);
    let descriptors = [0, 0, code, data, task, 0].map(U64::new);
    draft.put("GDT", gdt, descriptors.as_bytes().to_vec());
    Ok(vcpu)
}
