//! What servers' tables can't say is refused; some of what they say, byte by byte.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use acpi_builder::{
    AerSource, CacheKind, CxlRegisters, DeviceScope, Error, ErrorSource, ErrorSourceFlags,
    IvhdDevices, MachineCheckSource, NodeKind, PciAddress, Pptt, ProcessorCache, ProcessorNode,
    Register, Sdt, Table,
};
use common::machine::range;
use common::servers;
use guest_state::Gpa;

/// Builds what is made of a description by a change.
fn changed<T: Table>(mut table: T, change: impl FnOnce(&mut T)) -> Result<Sdt, Error> {
    change(&mut table);
    table.build()
}

fn invalid(field: &'static str, value: u64) -> Result<Sdt, Error> {
    Err(Error::Invalid { field, value })
}

#[test]
fn attributes_of_memory_fit_together() {
    let hmat = |change: fn(&mut acpi_builder::Hmat)| changed(servers::hmat(), change);
    assert!(hmat(|_| ()).is_ok());
    let (field, length, expected) = ("list of latencies or bandwidths", 5, 6);
    let missing = hmat(|hmat| _ = hmat.localities[0].entries.pop());
    assert_eq!(missing, Err(Error::Length { field, length, expected }));
    let zero = hmat(|hmat| hmat.localities[0].base_unit = 0);
    assert_eq!(zero, invalid("unit of latencies or bandwidths", 0));
    let field = "level of a cache on the memory's side";
    let level = hmat(|hmat| hmat.caches[0].level = 4);
    assert_eq!(level, Err(Error::OutOfRange { field, value: 4, max: 3 }));
    for levels in [0, 4] {
        let mut hmat = servers::hmat();
        hmat.caches[0].levels = levels;
        assert!(hmat.build().is_err(), "{levels}");
    }
}

#[test]
fn caches_have_whole_sets() {
    let cache = ProcessorCache {
        id: 1,
        kind: CacheKind::Unified,
        size_bytes: 0x8000,
        ways: 8,
        line_bytes: 64,
        next: None,
    };
    let add = |cache| Pptt::new().add_cache(&cache).err();
    assert_eq!(add(cache.clone()), None);
    let error = |value| Some(Error::Invalid { field: "size of a cache", value });
    assert_eq!(add(ProcessorCache { size_bytes: 0x8001, ..cache.clone() }), error(0x8001));
    assert_eq!(add(ProcessorCache { size_bytes: 0, ..cache.clone() }), error(0));
    assert_eq!(add(ProcessorCache { ways: 0, ..cache.clone() }), error(0x8000));
    assert_eq!(add(ProcessorCache { id: 0, ..cache.clone() }), error(0x8000));
    let mut twice = Pptt::new();
    twice.add_cache(&cache).unwrap();
    twice.add_cache(&cache).unwrap();
    assert_eq!(twice.build(), Err(Error::Duplicate { field: "cache id", value: 1 }));
}

#[test]
fn nodes_refer_to_their_own_table() {
    let mut other = servers::pptt();
    let (kind, parent) = (NodeKind::Group, None);
    let far = other.add_node(&ProcessorNode { kind, parent, caches: vec![] }).unwrap();
    let add = |parent| Pptt::new().add_node(&ProcessorNode { kind, parent, caches: vec![] });
    assert!(add(None).is_ok());
    assert!(matches!(add(Some(far)), Err(Error::Invalid { field: "node", .. })));
    let mut twice = servers::pptt();
    let kind = NodeKind::Core { uid: 2 };
    twice.add_node(&ProcessorNode { kind, parent, caches: vec![] }).unwrap();
    assert_eq!(twice.build(), Err(Error::Duplicate { field: "UID", value: 2 }));
}

#[test]
fn remapping_units_fit_together() {
    let dmar = |change: fn(&mut acpi_builder::Dmar)| changed(servers::dmar(), change);
    assert!(dmar(|_| ()).is_ok());
    let field = "number of address bits";
    let bits = dmar(|dmar| dmar.address_bits = 65);
    assert_eq!(bits, Err(Error::OutOfRange { field, value: 65, max: 64 }));
    let odd = dmar(|dmar| dmar.units[0].registers = Gpa::new(0xFED9_0800));
    assert_eq!(odd, invalid("address of a remapping unit", 0xFED9_0800));
    let same = dmar(|dmar| dmar.units[0].registers = dmar.units[1].registers);
    let (field, gpa) = ("registers of remapping units", Gpa::new(0xFED9_1000));
    assert_eq!(same, Err(Error::Overlap { field, gpa }));
    let field = "segment of a remapping unit behind one for all devices";
    assert_eq!(dmar(|dmar| dmar.units.swap(0, 1)), invalid(field, 0));
    let part = dmar(|dmar| dmar.reserved[0].range = range(0x7C00_0000, 0x800));
    assert_eq!(part, invalid("end of reserved memory", 0x7C00_0800));
    let scope = dmar(|dmar| {
        dmar.units[0].scopes = vec![DeviceScope::Bridge(PciAddress::new(0, 32, 0))];
    });
    assert_eq!(scope, Err(Error::PciDevice { device: 32 }));
    let many = dmar(|dmar| {
        let scope = DeviceScope::Bridge(PciAddress::new(0, 0, 0));
        dmar.units[0].scopes = vec![scope; 0x2000];
    });
    let (field, value, max) = ("list of device scopes", 0x1_0010, 0xFFFF);
    assert_eq!(many, Err(Error::OutOfRange { field, value, max }));
}

#[test]
fn iommus_of_amd_fit_together() {
    let ivrs = |change: fn(&mut acpi_builder::Ivrs)| changed(servers::ivrs(), change);
    assert!(ivrs(|_| ()).is_ok());
    let odd = ivrs(|ivrs| ivrs.iommus[0].registers = Gpa::new(0xFED8_1000));
    assert_eq!(odd, invalid("address of an IOMMU", 0xFED8_1000));
    let backwards = ivrs(|ivrs| {
        let (first, last) = (PciAddress::new(1, 0, 0), PciAddress::new(0, 31, 7));
        ivrs.iommus[0].devices = vec![IvhdDevices::Range { first, last }];
    });
    assert_eq!(backwards, invalid("last PCI device", 0xFF));
    let field = "number of virtual address bits";
    let bits = ivrs(|ivrs| ivrs.virtual_address_bits = 0);
    assert_eq!(bits, Err(Error::OutOfRange { field, value: 0, max: 64 }));
    // All devices: type 1, with a device id of zero and no settings.
    let mut all = servers::ivrs();
    all.iommus[0].devices = vec![IvhdDevices::All];
    all.iommus[0].extended_features = None;
    let table = all.build().unwrap();
    assert_eq!(table.body()[12..16], [0x10, 0x30, 28, 0]);
    assert_eq!(table.body()[36..40], [1, 0, 0, 0]);
}

#[test]
fn virtual_iommus_are_there() {
    let viot = |change: fn(&mut acpi_builder::Viot)| changed(servers::viot(), change);
    assert!(viot(|_| ()).is_ok());
    let none = viot(|viot| viot.pci_devices[0].iommu = 2);
    assert_eq!(none, invalid("number of an IOMMU", 2));
    let backwards = viot(|viot| viot.pci_devices[0].last = PciAddress::new(0, 3, 0));
    assert_eq!(backwards, invalid("last PCI device", 0x18));
    let twice = viot(|viot| viot.mmio_devices.push(viot.mmio_devices[0]));
    assert_eq!(twice, Err(Error::Duplicate { field: "endpoint", value: 7 }));
}

#[test]
fn persistent_memory_fits_together() {
    let nfit = |change: fn(&mut acpi_builder::Nfit)| changed(servers::nfit(), change);
    assert!(nfit(|_| ()).is_ok());
    assert_eq!(nfit(|nfit| nfit.ranges[0].index = 0), invalid("index of a range", 0));
    assert_eq!(nfit(|nfit| nfit.mappings[0].range_index = 3), invalid("index of a range", 3));
    let control = nfit(|nfit| nfit.mappings[0].control_index = 3);
    assert_eq!(control, invalid("index of a control region", 3));
    let (field, value, max) = ("end of a mapping", 0x1000_0001, 0x1000_0000);
    let long = nfit(|nfit| nfit.mappings[0].size_bytes += 1);
    assert_eq!(long, Err(Error::OutOfRange { field, value, max }));
    let twice = nfit(|nfit| nfit.ranges.push(nfit.ranges[0]));
    assert_eq!(twice, Err(Error::Duplicate { field: "index of a range", value: 1 }));
}

#[test]
fn windows_of_cxl_have_their_bridges() {
    let cedt = |change: fn(&mut acpi_builder::Cedt)| changed(servers::cedt(), change);
    assert!(cedt(|_| ()).is_ok());
    let five = cedt(|cedt| cedt.windows[0].targets = vec![12; 5]);
    assert_eq!(five, invalid("number of targets", 5));
    assert_eq!(cedt(|cedt| cedt.windows[0].targets[0] = 9), invalid("target of a window", 9));
    for granularity_bytes in [128, 257, 32768] {
        let mut cedt = servers::cedt();
        cedt.windows[0].granularity_bytes = granularity_bytes;
        assert_eq!(cedt.build(), invalid("granularity", granularity_bytes.into()));
    }
    // Of two bridges, each has a multiple of 256 MiB.
    let half = cedt(|cedt| cedt.windows[0].range = range(0x10_0000_0000, 0x1000_0000));
    assert_eq!(half, invalid("end of a CXL window", 0x1000_0000));
    let odd = cedt(|cedt| cedt.bridges[1].registers = CxlRegisters::Rcrb(Gpa::new(0xFE00_1000)));
    assert_eq!(odd, invalid("registers of a CXL host bridge", 0xFE00_1000));
    let codes = [(1, 0), (2, 1), (3, 8), (4, 2), (6, 9), (8, 3), (12, 10), (16, 4)];
    for (count, code) in codes {
        let mut cedt = servers::cedt();
        cedt.windows[0].range = range(0x10_0000_0000, count as u64 * 0x1000_0000);
        cedt.windows[0].targets = vec![12; count];
        let table = cedt.build().unwrap();
        assert_eq!(table.body()[64 + 24], code, "{count}");
    }
}

#[test]
fn errors_have_their_places() {
    let erst = changed(servers::erst(), |erst| erst.steps[0].register = Register::Port(0xFFFD));
    assert_eq!(erst, Err(Error::IoPorts { port: 0xFFFD, size_bytes: 4 }));
    let hest = changed(servers::hest(), |hest| hest.sources[6] = hest.sources[7].clone());
    assert_eq!(hest, Err(Error::Duplicate { field: "id of an error source", value: 5 }));
    let first = |change: fn(&mut MachineCheckSource)| {
        changed(servers::hest(), |hest| {
            if let ErrorSource::MachineCheck(source) = &mut hest.sources[0] {
                change(source);
            }
        })
    };
    let flags = first(|source| source.flags = ErrorSourceFlags::GLOBAL);
    assert_eq!(flags, invalid("flags of an error source", 2));
    let twice = first(|source| source.banks[1].number = 0);
    assert_eq!(twice, Err(Error::Duplicate { field: "machine-check bank", value: 0 }));
    let root = |change: fn(&mut AerSource)| {
        changed(servers::hest(), |hest| {
            if let ErrorSource::PcieRoot(source, _) = &mut hest.sources[3] {
                change(source);
            }
        })
    };
    let global = root(|source| source.flags = ErrorSourceFlags::GLOBAL).unwrap();
    assert_eq!(global.body()[0xE8 - 36 + 6], 2);
    let device = root(|source| source.address.device = 32);
    assert_eq!(device, Err(Error::PciDevice { device: 32 }));
    let flags = root(|source| source.flags = ErrorSourceFlags::GHES_ASSIST);
    assert_eq!(flags, invalid("flags of an error source", 4));
    let bert = changed(servers::bert(), |bert| bert.region = range(0x1000, 19));
    assert_eq!(bert, invalid("length of the boot error region", 19));
    let bert = changed(servers::bert(), |bert| bert.region = range(0x1000, 1 << 32));
    assert!(matches!(bert, Err(Error::OutOfRange { .. })));
}
