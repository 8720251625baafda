//! The units. Each replaces one C file of Xen, and every command reads this list.

/// A unit.
pub(crate) struct Unit {
    /// Its name: the feature of the hypervisor's crates, and what `--file` asks for.
    pub(crate) name: &'static str,
    /// The switch of Kconfig that takes it from Rust.
    pub(crate) switch: &'static str,
    /// Its package.
    pub(crate) package: &'static str,
    /// The C file that it replaces, as an object of Xen's build.
    pub(crate) object: &'static str,
    /// An object with what that file leaves to another, and Rust does itself: the search for bits.
    pub(crate) companion: Option<&'static str>,
}

/// All of them.
pub(crate) const UNITS: [Unit; 4] = [
    Unit {
        name: "vmsi",
        switch: "RUST_VMSI",
        package: "vmsi",
        object: "arch/x86/hvm/vmsi.o",
        companion: None,
    },
    Unit {
        name: "msi",
        switch: "RUST_MSI",
        package: "msi",
        object: "arch/x86/msi.o",
        companion: None,
    },
    Unit {
        name: "vtd",
        switch: "RUST_VTD_INTREMAP",
        package: "remap-vtd",
        object: "drivers/passthrough/vtd/intremap.o",
        companion: None,
    },
    Unit {
        name: "amd",
        switch: "RUST_AMD_INTREMAP",
        package: "remap-amd",
        object: "drivers/passthrough/amd/iommu_intr.o",
        companion: Some("arch/x86/bitops.o"),
    },
];

/// The names, in the order of the list.
pub(crate) const NAMES: [&str; UNITS.len()] = {
    let mut names = [""; UNITS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = UNITS[index].name;
        index += 1;
    }
    names
};

/// The unit with a name.
pub(crate) fn named(name: &str) -> Option<&'static Unit> {
    UNITS.iter().find(|unit| unit.name == name)
}

/// The name of the unit that a switch takes from Rust.
pub(crate) fn of_switch(switch: &str) -> Option<&'static str> {
    let mut units = UNITS.iter();
    units
        .find(|unit| unit.switch == switch)
        .map(|unit| unit.name)
}

/// The name of the unit that a package holds.
pub(crate) fn of_package(package: &str) -> Option<&'static str> {
    let mut units = UNITS.iter();
    units
        .find(|unit| unit.package == package)
        .map(|unit| unit.name)
}
