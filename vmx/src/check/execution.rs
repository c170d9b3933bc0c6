//! Rules on the VM-execution control fields.

use super::view::{Stop, Verdict, View, each};
use super::{Outcome, rule_table};
use crate::caps::ControlSet;
use crate::encoding::{FieldAccess, FieldWidth};
use crate::{
    EntryControls, EptVpidCaps, ExitControls, PinBasedControls, PrimaryControls, SecondaryControls,
    TertiaryControls, VmcsField, field,
};

/// Bits of the EPT pointer.
const EPTP_ACCESSED_DIRTY: u64 = 1 << 6;
const EPTP_SHADOW_STACK: u64 = 1 << 7;
/// The VM-function control of EPTP switching.
const EPTP_SWITCHING: u64 = 1;

rule_table! {
    EXECUTION: Execution, "VM-Execution Control Fields", Outcome::InvalidControls;

    1 "reserved bits of the pin-based controls are as IA32_VMX_(TRUE_)PINBASED_CTLS says",
    |v| v.allowed::<PinBasedControls, _, _>(field::PIN_BASED_CONTROLS);

    2 "reserved bits of the primary controls are as IA32_VMX_(TRUE_)PROCBASED_CTLS says",
    |v| v.allowed::<PrimaryControls, _, _>(field::PRIMARY_CONTROLS);

    3 "reserved bits of the secondary controls are 0, as IA32_VMX_PROCBASED_CTLS2 says",
    |v| if v.primary(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS)? {
        v.allowed::<SecondaryControls, _, _>(field::SECONDARY_CONTROLS)
    } else {
        Ok(())
    };

    4 "reserved bits of the tertiary controls are 0, as IA32_VMX_PROCBASED_CTLS3 says",
    |v| if v.primary(PrimaryControls::ACTIVATE_TERTIARY_CONTROLS)? {
        v.allowed::<TertiaryControls, _, _>(field::TERTIARY_CONTROLS)
    } else {
        Ok(())
    };

    5 "the CR3-target count is at most what IA32_VMX_MISC says",
    |v| {
        let count = v.get(field::CR3_TARGET_COUNT)?;
        v.demand(count == 0 || count <= v.caps()?.cr3_targets(), field::CR3_TARGET_COUNT)
    };

    6 "I/O bitmap A is at a page's address",
    |v| page_if(v, v.primary(PrimaryControls::USE_IO_BITMAPS)?, field::IO_BITMAP_A);

    7 "I/O bitmap B is at a page's address",
    |v| page_if(v, v.primary(PrimaryControls::USE_IO_BITMAPS)?, field::IO_BITMAP_B);

    8 "the MSR bitmap is at a page's address",
    |v| page_if(v, v.primary(PrimaryControls::USE_MSR_BITMAPS)?, field::MSR_BITMAPS);

    9 "the virtual-APIC page is at a page's address",
    |v| page_if(v, v.primary(PrimaryControls::USE_TPR_SHADOW)?, field::VIRTUAL_APIC_ADDRESS);

    10 "bits 31:4 of the TPR threshold are 0, without virtual-interrupt delivery",
    |v| if uses_threshold(v)? { v.zero(field::TPR_THRESHOLD, !0xF) } else { Ok(()) };

    11 "the TPR threshold is at most bits 7:4 of the virtual TPR",
    |v| {
        if !uses_threshold(v)? || v.secondary(SecondaryControls::VIRTUALIZE_APIC_ACCESSES)? {
            return Ok(());
        }
        let threshold = v.get(field::TPR_THRESHOLD)? & 0xF;
        if threshold == 0 {
            return Ok(());
        }
        let tpr = v.known(v.context.virtual_tpr, "the virtual TPR in the virtual-APIC page")?;
        v.demand(threshold <= u64::from(tpr >> 4), field::TPR_THRESHOLD)
    };

    12 "virtual NMIs need NMI exiting",
    |v| if v.pin(PinBasedControls::NMI_EXITING)? {
        Ok(())
    } else {
        v.zero(field::PIN_BASED_CONTROLS, PinBasedControls::VIRTUAL_NMIS.as_u64())
    };

    13 "NMI-window exiting needs virtual NMIs",
    |v| if v.pin(PinBasedControls::VIRTUAL_NMIS)? {
        Ok(())
    } else {
        v.zero(field::PRIMARY_CONTROLS, PrimaryControls::NMI_WINDOW_EXITING.as_u64())
    };

    14 "the APIC-access page is at a page's address",
    |v| page_if(
        v,
        v.secondary(SecondaryControls::VIRTUALIZE_APIC_ACCESSES)?,
        field::APIC_ACCESS_ADDRESS,
    );

    15 "virtualize x2APIC mode needs the TPR shadow",
    |v| needs_tpr_shadow(v, SecondaryControls::VIRTUALIZE_X2APIC_MODE);

    16 "APIC-register virtualization needs the TPR shadow",
    |v| needs_tpr_shadow(v, SecondaryControls::APIC_REGISTER_VIRTUALIZATION);

    17 "virtual-interrupt delivery needs the TPR shadow",
    |v| needs_tpr_shadow(v, SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY);

    18 "x2APIC mode and APIC accesses are not both virtualized",
    |v| if v.secondary(SecondaryControls::VIRTUALIZE_X2APIC_MODE)? {
        v.zero(
            field::SECONDARY_CONTROLS,
            SecondaryControls::VIRTUALIZE_APIC_ACCESSES.as_u64(),
        )
    } else {
        Ok(())
    };

    19 "virtual-interrupt delivery needs external-interrupt exiting",
    |v| if v.secondary(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY)? {
        v.ones(
            field::PIN_BASED_CONTROLS,
            PinBasedControls::EXTERNAL_INTERRUPT_EXITING.as_u64(),
        )
    } else {
        Ok(())
    };

    20 "posted interrupts need virtual-interrupt delivery",
    |v| {
        let holds = !v.pin(PinBasedControls::PROCESS_POSTED_INTERRUPTS)?
            || v.secondary(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY)?;
        v.demand(holds, field::PIN_BASED_CONTROLS)
    };

    21 "posted interrupts need acknowledge interrupt on exit",
    |v| if v.pin(PinBasedControls::PROCESS_POSTED_INTERRUPTS)? {
        v.ones(field::EXIT_CONTROLS, ExitControls::ACKNOWLEDGE_INTERRUPT.as_u64())
    } else {
        Ok(())
    };

    22 "bits 15:8 of the posted-interrupt notification vector are 0",
    |v| if v.pin(PinBasedControls::PROCESS_POSTED_INTERRUPTS)? {
        v.zero(field::POSTED_INTERRUPT_VECTOR, 0xFF00)
    } else {
        Ok(())
    };

    23 "the posted-interrupt descriptor is 64-byte aligned",
    |v| if v.pin(PinBasedControls::PROCESS_POSTED_INTERRUPTS)? {
        v.zero(field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, 0x3F)
    } else {
        Ok(())
    };

    24 "the posted-interrupt descriptor is within the physical addresses",
    |v| if v.pin(PinBasedControls::PROCESS_POSTED_INTERRUPTS)? {
        v.physical(field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS)
    } else {
        Ok(())
    };

    25 "the VPID is not 0",
    |v| if v.secondary(SecondaryControls::ENABLE_VPID)? {
        v.demand(v.get(field::VPID)? != 0, field::VPID)
    } else {
        Ok(())
    };

    26 "the EPT pointer's memory type is one that IA32_VMX_EPT_VPID_CAP lists (0 or 6)",
    |v| ept(v, |v, pointer| {
        let supported = match pointer & 7 {
            0 => v.caps()?.ept_vpid.contains(EptVpidCaps::STRUCTURES_UNCACHEABLE),
            6 => v.caps()?.ept_vpid.contains(EptVpidCaps::STRUCTURES_WRITE_BACK),
            _ => false,
        };
        v.demand(supported, field::EPT_POINTER)
    });

    27 "the EPT pointer's page-walk length is one that IA32_VMX_EPT_VPID_CAP lists (3 or 4)",
    |v| ept(v, |v, pointer| {
        let supported = match pointer >> 3 & 7 {
            3 => v.caps()?.ept_vpid.contains(EptVpidCaps::WALK_4_LEVELS),
            4 => v.caps()?.ept_vpid.contains(EptVpidCaps::WALK_5_LEVELS),
            _ => false,
        };
        v.demand(supported, field::EPT_POINTER)
    });

    28 "the EPT pointer's bit 6 (accessed and dirty flags) is 0 where the processor lacks them",
    |v| ept(v, |v, pointer| feature(v, pointer, EPTP_ACCESSED_DIRTY, EptVpidCaps::ACCESSED_DIRTY));

    29 "the EPT pointer's bit 7 (shadow-stack pages) is 0 where the processor lacks them",
    |v| ept(v, |v, pointer| {
        feature(v, pointer, EPTP_SHADOW_STACK, EptVpidCaps::SUPERVISOR_SHADOW_STACK)
    });

    30 "the EPT pointer's bits 11:8 are 0 and its address is within the physical addresses",
    |v| ept(v, |v, _| {
        v.zero(field::EPT_POINTER, 0xF00)?;
        v.physical(field::EPT_POINTER)
    });

    31 "page-modification logging needs EPT",
    |v| needs_ept(v, SecondaryControls::ENABLE_PML);

    32 "the page-modification log is at a page's address",
    |v| page_if(v, v.secondary(SecondaryControls::ENABLE_PML)?, field::PML_ADDRESS);

    33 "an unrestricted guest needs EPT",
    |v| needs_ept(v, SecondaryControls::UNRESTRICTED_GUEST);

    34 "mode-based execute control needs EPT",
    |v| needs_ept(v, SecondaryControls::MODE_BASED_EXECUTE_CONTROL);

    35 "sub-page write permissions need EPT",
    |v| needs_ept(v, SecondaryControls::SUB_PAGE_WRITE_PERMISSIONS);

    36 "the sub-page-permission table is at a page's address",
    |v| page_if(
        v,
        v.secondary(SecondaryControls::SUB_PAGE_WRITE_PERMISSIONS)?,
        field::SPP_TABLE_POINTER,
    );

    37 "the VM-function controls are among those of IA32_VMX_VMFUNC",
    |v| {
        if !v.secondary(SecondaryControls::ENABLE_VM_FUNCTIONS)?
            || v.get(field::VM_FUNCTION_CONTROLS)? == 0
        {
            return Ok(());
        }
        v.zero(field::VM_FUNCTION_CONTROLS, !v.caps()?.vmfunc)
    };

    38 "EPTP switching needs EPT",
    |v| {
        let holds = !switches_eptp(v)? || v.secondary(SecondaryControls::ENABLE_EPT)?;
        v.demand(holds, field::VM_FUNCTION_CONTROLS)
    };

    39 "the EPTP list is at a page's address",
    |v| page_if(v, switches_eptp(v)?, field::EPTP_LIST_ADDRESS);

    40 "the VMREAD bitmap is at a page's address",
    |v| page_if(
        v,
        v.secondary(SecondaryControls::VMCS_SHADOWING)?,
        field::VMREAD_BITMAP_ADDRESS,
    );

    41 "the VMWRITE bitmap is at a page's address",
    |v| page_if(
        v,
        v.secondary(SecondaryControls::VMCS_SHADOWING)?,
        field::VMWRITE_BITMAP_ADDRESS,
    );

    42 "the virtualization-exception information is at a page's address",
    |v| page_if(
        v,
        v.secondary(SecondaryControls::EPT_VIOLATION_VE)?,
        field::VE_INFORMATION_ADDRESS,
    );

    43 "Intel PT with guest-physical addresses needs EPT",
    |v| needs_ept(v, SecondaryControls::PT_USES_GUEST_PHYSICAL);

    44 "Intel PT with guest-physical addresses needs load IA32_RTIT_CTL and clear IA32_RTIT_CTL",
    |v| if v.secondary(SecondaryControls::PT_USES_GUEST_PHYSICAL)? {
        each([
            v.ones(field::ENTRY_CONTROLS, EntryControls::LOAD_RTIT_CTL.as_u64()),
            v.ones(field::EXIT_CONTROLS, ExitControls::CLEAR_RTIT_CTL.as_u64()),
        ])
    } else {
        Ok(())
    };

    45 "the TSC multiplier is not 0",
    |v| if v.secondary(SecondaryControls::USE_TSC_SCALING)? {
        v.demand(v.get(field::TSC_MULTIPLIER)? != 0, field::TSC_MULTIPLIER)
    } else {
        Ok(())
    };

    46 "HLAT needs EPT",
    |v| tertiary_needs_ept(v, TertiaryControls::ENABLE_HLAT);

    47 "the HLAT pointer's bits 2:0 and 11:5 are 0 and its address is within the physical addresses",
    |v| if v.tertiary(TertiaryControls::ENABLE_HLAT)? {
        v.zero(field::HLAT_POINTER, 0xFE7)?;
        v.physical(field::HLAT_POINTER)
    } else {
        Ok(())
    };

    48 "EPT paging-write control needs EPT",
    |v| tertiary_needs_ept(v, TertiaryControls::EPT_PAGING_WRITE);

    49 "guest-paging verification needs EPT",
    |v| tertiary_needs_ept(v, TertiaryControls::GUEST_PAGING_VERIFICATION);

    50 "IPI virtualization needs the TPR shadow and a PID-pointer table, 8-byte aligned and \
        within the physical addresses",
    |v| {
        if !v.tertiary(TertiaryControls::IPI_VIRTUALIZATION)? {
            return Ok(());
        }
        let table = || {
            let address = v.get(field::PID_POINTER_TABLE_ADDRESS)?;
            let last = v.get(field::LAST_PID_POINTER_INDEX)?;
            v.zero(field::PID_POINTER_TABLE_ADDRESS, 7)?;
            let last = u128::from(address) + 8 * u128::from(last);
            v.physical_value(field::PID_POINTER_TABLE_ADDRESS, last)
        };
        each([
            v.ones(field::PRIMARY_CONTROLS, PrimaryControls::USE_TPR_SHADOW.as_u64()),
            table(),
        ])
    };

    51 "the PASID directories are at pages' addresses",
    |v| if v.secondary(SecondaryControls::PASID_TRANSLATION)? {
        each([
            v.page(field::LOW_PASID_DIRECTORY_ADDRESS),
            v.page(field::HIGH_PASID_DIRECTORY_ADDRESS),
        ])
    } else {
        Ok(())
    };
}

fn page_if<W: FieldWidth, A: FieldAccess>(
    v: &View<'_>,
    condition: bool,
    field: VmcsField<W, A>,
) -> Verdict {
    if condition { v.page(field) } else { Ok(()) }
}

/// Tells whether the TPR threshold counts.
fn uses_threshold(v: &View<'_>) -> Result<bool, Stop> {
    Ok(v.primary(PrimaryControls::USE_TPR_SHADOW)?
        && !v.secondary(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY)?)
}

fn needs_tpr_shadow(v: &View<'_>, control: SecondaryControls) -> Verdict {
    if v.secondary(control)? && !v.primary(PrimaryControls::USE_TPR_SHADOW)? {
        return v.broken(field::SECONDARY_CONTROLS, control.as_u64());
    }
    Ok(())
}

fn needs_ept(v: &View<'_>, control: SecondaryControls) -> Verdict {
    if v.secondary(control)? && !v.secondary(SecondaryControls::ENABLE_EPT)? {
        return v.broken(field::SECONDARY_CONTROLS, control.as_u64());
    }
    Ok(())
}

fn tertiary_needs_ept(v: &View<'_>, control: TertiaryControls) -> Verdict {
    if v.tertiary(control)? && !v.secondary(SecondaryControls::ENABLE_EPT)? {
        return v.broken(field::TERTIARY_CONTROLS, control.as_u64());
    }
    Ok(())
}

fn switches_eptp(v: &View<'_>) -> Result<bool, Stop> {
    Ok(v.secondary(SecondaryControls::ENABLE_VM_FUNCTIONS)?
        && v.get(field::VM_FUNCTION_CONTROLS)? & EPTP_SWITCHING != 0)
}

/// Applies a rule on the EPT pointer, if it counts.
fn ept(v: &View<'_>, rule: impl Fn(&View<'_>, u64) -> Verdict) -> Verdict {
    if v.secondary(SecondaryControls::ENABLE_EPT)? {
        rule(v, v.get(field::EPT_POINTER)?)
    } else {
        Ok(())
    }
}

/// Demands that a bit of the EPT pointer is set only where the processor has the feature.
fn feature(v: &View<'_>, pointer: u64, bit: u64, feature: EptVpidCaps) -> Verdict {
    if pointer & bit != 0 && !v.caps()?.ept_vpid.contains(feature) {
        return v.broken(field::EPT_POINTER, bit);
    }
    Ok(())
}
