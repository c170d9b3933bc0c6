//! Where firmware goes and what it needs: expected addresses are those of EDK II's build files and
//! of a PC's memory map.

#![allow(clippy::unwrap_used)]

use boot_plan::{BootPlan, MemoryMap, Protection};
use guest_state::{Gpa, GpaRange, VcpuState};
use hvmloader_core::{Error, FirmwareKind, Needs, OvmfFlash, XenBios, XenMap};

#[test]
fn ovmf_ends_at_4_gib_and_its_variables_where_it_begins() {
    // The builds of 2 and 4 MiB.
    for (code, variables, code_at, variables_at) in [
        (0x1E_0000, 0x2_0000, 0xFFE2_0000, 0xFFE0_0000),
        (0x37_C000, 0x8_4000, 0xFFC8_4000, 0xFFC0_0000),
    ] {
        let (code, variables) = (vec![0x90; code], vec![0xFF; variables]);
        let flash = OvmfFlash::new(&code, &variables).unwrap();
        let placements = flash.placements();
        let at: Vec<_> = placements.iter().map(|placement| placement.gpa.as_u64()).collect();
        assert_eq!(at, [code_at, variables_at]);
        assert_eq!(placements[0].range().unwrap().end(), Gpa::new(1 << 32));
        assert_eq!(flash.variables(), placements[1].range());
        assert!(placements.iter().all(|at| at.protection == Protection::ReadOnly));
        let image = [variables.clone(), code.clone()].concat();
        assert_eq!(OvmfFlash::combined(&image, variables.len()), Ok(flash));

        let mut plan = BootPlan::new(MemoryMap::pc(64 << 20).unwrap());
        plan.placements.extend(placements);
        plan.vcpus.push(flash.reset_state(0));
        plan.check().unwrap();
    }
    let code = [0x90; 0x1000];
    let code_alone = OvmfFlash::new(&code, &[]).unwrap();
    assert_eq!((code_alone.placements().len(), code_alone.variables()), (1, None));
}

#[test]
fn flash_of_no_size_that_there_is_is_refused() {
    let bytes = vec![0; 0x80_1000];
    for (code, variables) in [(0, 0x1000), (0x1001, 0), (0x1000, 1), (0x80_0000, 0x1000)] {
        let refused = OvmfFlash::new(&bytes[..code], &bytes[..variables]);
        let expected = Error::FlashSize { code_bytes: code, variables_bytes: variables };
        assert_eq!(refused, Err(expected));
    }
    assert!(OvmfFlash::combined(&bytes[..0x1000], 0x2000).is_err());
    assert!(OvmfFlash::new(&bytes[..0x7F_F000], &bytes[..0x1000]).is_ok());
}

#[test]
fn hvmloaders_bios_is_ram_below_1_mib_and_starts_there() {
    for (size, at) in [(0x1_0000, 0xF_0000), (0x2_0000, 0xE_0000), (0x4_0000, 0xC_0000)] {
        let image = vec![0x90; size];
        let bios = XenBios::new(&image).unwrap();
        let placement = bios.placement();
        assert_eq!((placement.gpa, placement.protection), (Gpa::new(at), Protection::ReadWrite));
        let cpu = bios.start_state(0x0006_06A3);
        assert_eq!((cpu.cs.base, cpu.cs.selector, cpu.rip), (0xF_0000, 0xF000, 0xFFF0));
        let mut reset = VcpuState::reset(0x0006_06A3);
        reset.cs.base = 0xF_0000;
        assert_eq!(cpu, reset, "all else is as after a reset");

        let map = XenMap {
            bios: bios.range().start(),
            low_ram_end: Gpa::new(64 << 20),
            acpi_end: XenMap::RESERVED_START,
            op_region: None,
            high_ram_end: Gpa::ZERO,
        };
        let mut plan = BootPlan::new(map.build().unwrap());
        plan.placements.push(placement);
        plan.vcpus.push(cpu);
        plan.check().unwrap();
    }
    for size in [0, 0x8000, 0x5_0000] {
        assert!(XenBios::new(&vec![0; size]).is_err(), "{size:#x}");
    }
    let whole = GpaRange::new(Gpa::new(0xC_0000), 0x4_0000);
    assert_eq!(XenBios::new(&[0; 0x4_0000]).map(|bios| bios.range()).ok(), whole);
}

#[test]
fn a_machine_without_what_its_firmware_needs_is_refused_with_all_that_is_missing() {
    let bare = Needs::PCI_CONFIGURATION | Needs::PIC | Needs::PIT;
    let missing = Needs::SHADOW | Needs::CMOS;
    let refused = FirmwareKind::SeaBios.check(bare).unwrap_err();
    assert_eq!(refused, Error::Lacking { kind: FirmwareKind::SeaBios, missing });
    assert_eq!(refused.to_string(), "SeaBios needs what the machine lacks: SHADOW | CMOS");
    assert_eq!(FirmwareKind::SeaBios.check(bare | missing), Ok(()));
    // hvmloader's BIOS is RAM from the start; it needs Xen's CPUID leaves instead.
    assert_eq!(FirmwareKind::SeaBiosXen.check(bare | Needs::CMOS | Needs::XEN), Ok(()));
    let qboot = FirmwareKind::Qboot.check(bare | Needs::SHADOW);
    let missing = Needs::FW_CFG;
    assert_eq!(qboot, Err(Error::Lacking { kind: FirmwareKind::Qboot, missing }));
    let ovmf = FirmwareKind::Ovmf.check(bare | Needs::CMOS | Needs::FLASH);
    let missing = Needs::PM_TIMER | Needs::LOCAL_APIC_TIMER;
    assert_eq!(ovmf, Err(Error::Lacking { kind: FirmwareKind::Ovmf, missing }));
    // Cloud Hypervisor has no CMOS.
    let cloud =
        Needs::PCI_CONFIGURATION | Needs::PM_TIMER | Needs::LOCAL_APIC_TIMER | Needs::START_INFO;
    assert_eq!(FirmwareKind::CloudHv.check(cloud), Ok(()));
    for kind in FirmwareKind::ALL {
        assert_eq!(kind.check(Needs::all()), Ok(()));
        assert!(kind.check(Needs::empty()).is_err());
        assert!(!kind.needs().intersects(kind.uses()), "{kind:?} uses what it needs");
    }
}
