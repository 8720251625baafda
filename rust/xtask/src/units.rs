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

/// Units in work: their switches are off by default, and only `--in-work` and `twin --file` know
/// them.
pub(crate) const IN_WORK: [Unit; 1] = [Unit {
    name: "irq",
    switch: "RUST_IRQ_VECTORS",
    package: "irq",
    object: "arch/x86/irq.o",
    companion: None,
}];

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

/// The unit with a name, in work or not.
pub(crate) fn named(name: &str) -> Option<&'static Unit> {
    let mut all = UNITS.iter().chain(&IN_WORK);
    all.find(|unit| unit.name == name)
}

/// The unit that a switch takes from Rust, in work or not.
pub(crate) fn switched_by(switch: &str) -> Option<&'static Unit> {
    let mut all = UNITS.iter().chain(&IN_WORK);
    all.find(|unit| unit.switch == switch)
}

/// The unit in work with a name.
pub(crate) fn in_work(name: &str) -> Option<&'static Unit> {
    IN_WORK.iter().find(|unit| unit.name == name)
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
