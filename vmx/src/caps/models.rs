//! Capabilities of known processors.

use super::{AddressWidths, EptVpidCaps, VmxCaps};

impl VmxCaps {
    /// Returns the capabilities of a known processor by its name in [`MODELS`](Self::MODELS).
    #[must_use]
    pub fn model(name: &str) -> Option<&'static Self> {
        Self::MODELS.iter().find(|(known, _)| *known == name).map(|(_, caps)| caps)
    }

    /// Known processors. The first six are those of the Bochs emulator 3.0, under the names of its
    /// configuration, as it reports them to RDMSR and CPUID; the others are real parts, from public
    /// dumps.
    pub const MODELS: &'static [(&'static str, Self)] = &[
        ("corei5_arrandale_m520", ARRANDALE),
        ("corei7_sandy_bridge_2600k", SANDY_BRIDGE),
        ("corei7_haswell_4770", HASWELL),
        ("corei7_skylake_x", SKYLAKE_X),
        ("corei7_icelake_u", ICELAKE_U),
        ("tigerlake", TIGERLAKE),
        ("xeon_x5482", XEON_X5482),
        ("core_i7_5600u", CORE_I7_5600U),
        ("coffee_lake_906ea", COFFEE_LAKE_906EA),
        ("xeon_e5_2630_v3", XEON_E5_2630_V3),
        ("xeon_silver_4108", XEON_SILVER_4108),
    ];
}

/// The first with unrestricted guests: no VM functions, no accessed and dirty flags.
const ARRANDALE: VmxCaps = VmxCaps {
    basic: 0x00d8_1000_0000_002b,
    pin_based: 0x0000_007f_0000_0016,
    primary: 0xfff9_fffe_0401_e172,
    exit: 0x407f_ffff_0003_6dff,
    entry: 0x0000_ffff_0000_11ff,
    misc: 0x0004_01e0,
    cr0_fixed0: 0x8000_0021,
    cr0_fixed1: 0xffff_ffff,
    cr4_fixed0: 0x2000,
    cr4_fixed1: 0x67ff,
    vmcs_enum: 0x50,
    secondary: 0x0000_00ff_0000_0000,
    ept_vpid: EptVpidCaps::from_bits_retain(0x0000_0f01_0611_4141),
    true_pin_based: 0x0000_007f_0000_0016,
    true_primary: 0xfff9_fffe_0400_6172,
    true_exit: 0x407f_ffff_0003_6dfb,
    true_entry: 0x0000_ffff_0000_11fb,
    vmfunc: 0,
    tertiary: 0,
    secondary_exit: 0,
    widths: AddressWidths { physical: 40, linear: 48 },
};

/// RDTSCP and INVPCID apart as Arrandale, with PCIDs.
const SANDY_BRIDGE: VmxCaps =
    VmxCaps { cr4_fixed1: 0x6_27ff, secondary: 0x0000_00ef_0000_0000, ..ARRANDALE };

/// VM functions, VMCS shadowing, accessed and dirty flags, 1 GiB pages.
const HASWELL: VmxCaps = VmxCaps {
    misc: 0x2004_01e0,
    cr4_fixed1: 0x17_27ff,
    secondary: 0x0004_7fff_0000_0000,
    ept_vpid: EptVpidCaps::from_bits_retain(0x0000_0f01_0633_4141),
    vmfunc: 1,
    ..ARRANDALE
};

/// Posted interrupts, PML, TSC scaling, mode-based execute control.
const SKYLAKE_X: VmxCaps = VmxCaps {
    pin_based: 0x0000_00ff_0000_0016,
    misc: 0x6004_01e0,
    cr4_fixed1: 0x37_27ff,
    secondary: 0x0257_7fff_0000_0000,
    ept_vpid: EptVpidCaps::from_bits_retain(0x0000_0f01_0673_4141),
    true_pin_based: 0x0000_00ff_0000_0016,
    ..HASWELL
};

/// Sub-page write permissions.
const ICELAKE_U: VmxCaps = VmxCaps {
    basic: 0x00d8_1000_0000_0004,
    cr4_fixed1: 0x77_2fff,
    secondary: 0x02d7_7fff_0000_0000,
    ..SKYLAKE_X
};

/// Control-flow enforcement and secondary exit controls.
const TIGERLAKE: VmxCaps = VmxCaps {
    basic: 0x01d8_1000_0000_0004,
    exit: 0xd07f_ffff_0003_6dff,
    entry: 0x0010_ffff_0000_11ff,
    cr4_fixed1: 0xf7_2fff,
    ept_vpid: EptVpidCaps::from_bits_retain(0x0000_0f01_06f3_4141),
    true_exit: 0xd07f_ffff_0003_6dfb,
    true_entry: 0x0010_ffff_0000_11fb,
    secondary_exit: 0x8,
    ..ICELAKE_U
};

/// Intel Xeon X5482, as VirtualBox's database of processors has it.
const XEON_X5482: VmxCaps = VmxCaps {
    basic: 0x5a_0800_0000_000d,
    pin_based: 0x3f_0000_0016,
    primary: 0xf7f9_fffe_0401_e172,
    exit: 0x3_ffff_0003_6dff,
    entry: 0x3fff_0000_11ff,
    misc: 0x4_03c0,
    cr0_fixed0: 0x8000_0021,
    cr0_fixed1: 0xffff_ffff,
    cr4_fixed0: 0x2000,
    cr4_fixed1: 0x27ff,
    vmcs_enum: 0x2c,
    secondary: 0x41_0000_0000,
    widths: AddressWidths { physical: 38, linear: 48 },
    ..VmxCaps::NONE
};

/// Intel Core i7-5600U, as VirtualBox's database of processors has it.
const CORE_I7_5600U: VmxCaps = VmxCaps {
    basic: 0xda_0400_0000_0012,
    pin_based: 0x7f_0000_0016,
    primary: 0xfff9_fffe_0401_e172,
    exit: 0x7f_ffff_0003_6dff,
    entry: 0xffff_0000_11ff,
    misc: 0x3004_81e5,
    cr0_fixed0: 0x8000_0021,
    cr0_fixed1: 0xffff_ffff,
    cr4_fixed0: 0x2000,
    cr4_fixed1: 0x37_67ff,
    vmcs_enum: 0x2a,
    secondary: 0x5_7cff_0000_0000,
    ept_vpid: EptVpidCaps::from_bits_retain(0xf01_0633_4141),
    true_pin_based: 0x7f_0000_0016,
    true_primary: 0xfff9_fffe_0400_6172,
    true_exit: 0x7f_ffff_0003_6dfb,
    true_entry: 0xffff_0000_11fb,
    vmfunc: 0x1,
    widths: AddressWidths { physical: 39, linear: 48 },
    ..VmxCaps::NONE
};

/// An Intel processor of signature 906EAh, as a log of VirtualBox has it.
const COFFEE_LAKE_906EA: VmxCaps = VmxCaps {
    basic: 0xda_0400_0000_0004,
    pin_based: 0x7f_0000_0016,
    primary: 0xfff9_fffe_0401_e172,
    exit: 0x1ff_ffff_0003_6dff,
    entry: 0x3_ffff_0000_11ff,
    misc: 0x7004_c1e7,
    cr0_fixed0: 0x8000_0021,
    cr0_fixed1: 0xffff_ffff,
    cr4_fixed0: 0x2000,
    cr4_fixed1: 0x37_27ff,
    vmcs_enum: 0x2e,
    secondary: 0x5f_bcff_0000_0000,
    ept_vpid: EptVpidCaps::from_bits_retain(0xf01_0673_4141),
    true_pin_based: 0x7f_0000_0016,
    true_primary: 0xfff9_fffe_0400_6172,
    true_exit: 0x1ff_ffff_0003_6dfb,
    true_entry: 0x3_ffff_0000_11fb,
    vmfunc: 0x1,
    widths: AddressWidths { physical: 39, linear: 48 },
    ..VmxCaps::NONE
};

/// Intel Xeon E5-2630 v3, as the collection InstLatx64 has it. The dump ends before 491h: the VM
/// functions, which the processor has, are not known, and count as none.
const XEON_E5_2630_V3: VmxCaps = VmxCaps {
    basic: 0xda_0400_0000_0012,
    pin_based: 0xff_0000_0016,
    primary: 0xfff9_fffe_0401_e172,
    exit: 0x7f_ffff_0003_6dff,
    entry: 0xffff_0000_11ff,
    misc: 0x3004_81e5,
    cr0_fixed0: 0x8000_0021,
    cr0_fixed1: 0xffff_ffff,
    cr4_fixed0: 0x2000,
    cr4_fixed1: 0x17_67ff,
    vmcs_enum: 0x2a,
    secondary: 0x7fff_0000_0000,
    ept_vpid: EptVpidCaps::from_bits_retain(0xf01_0633_4141),
    true_pin_based: 0xff_0000_0016,
    true_primary: 0xfff9_fffe_0400_6172,
    true_exit: 0x7f_ffff_0003_6dfb,
    true_entry: 0xffff_0000_11fb,
    widths: AddressWidths { physical: 46, linear: 48 },
    ..VmxCaps::NONE
};

/// Intel Xeon Silver 4108, from the same collection; its VM functions are not known either.
const XEON_SILVER_4108: VmxCaps = VmxCaps {
    basic: 0xda_0400_0000_0004,
    exit: 0x1ff_ffff_0003_6dff,
    entry: 0x3_ffff_0000_11ff,
    misc: 0x7004_c1e7,
    cr4_fixed1: 0x77_67ff,
    vmcs_enum: 0x2e,
    secondary: 0x25f_7fff_0000_0000,
    ept_vpid: EptVpidCaps::from_bits_retain(0xf01_0673_4141),
    true_exit: 0x1ff_ffff_0003_6dfb,
    true_entry: 0x3_ffff_0000_11fb,
    ..XEON_E5_2630_V3
};
