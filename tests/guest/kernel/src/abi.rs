//! Structures and numbers of Xen's public interface, as far as the kernels use them.

/// Hypercall number.
pub const PLATFORM_OP: u64 = 7;
/// Hypercall number.
pub const UPDATE_VA_MAPPING: u64 = 14;
/// Hypercall number.
pub const VERSION: u64 = 17;
/// Hypercall number.
pub const CONSOLE_IO: u64 = 18;
/// Hypercall number.
pub const UPDATE_VA_MAPPING_OTHER_DOMAIN: u64 = 22;
/// Hypercall number.
pub const VCPU_OP: u64 = 24;
/// Hypercall number.
pub const MMUEXT_OP: u64 = 26;
/// Hypercall number.
pub const SCHED_OP: u64 = 29;
/// Hypercall number.
pub const EVENT_CHANNEL_OP: u64 = 32;
/// Hypercall number.
pub const PHYSDEV_OP: u64 = 33;
/// Hypercall number.
pub const SYSCTL: u64 = 35;
/// Hypercall number.
pub const KEXEC_OP: u64 = 37;

/// The calling domain.
pub const DOMID_SELF: u16 = 0x7ff0;
/// Xen, as the owner of pages.
pub const DOMID_XEN: u16 = 0x7ff2;

/// `struct mmuext_op`.
#[repr(C)]
pub struct MmuExt {
    /// The command.
    pub cmd: u32,
    /// What it is about, for commands that are about something.
    pub arguments: [u64; 2],
}

/// `MMUEXT_FLUSH_CACHE_GLOBAL`: every processor writes its caches back.
pub const FLUSH_CACHE_GLOBAL: u32 = 18;

/// `PHYSDEVOP_*` numbers.
pub mod physdev {
    /// Is an end-of-interrupt call needed.
    pub const IRQ_STATUS_QUERY: u64 = 5;
    /// Permission for I/O ports.
    pub const SET_IOPL: u64 = 6;
    /// Read a register of an IO-APIC.
    pub const APIC_READ: u64 = 8;
    /// A call of old, which answers its own argument.
    pub const ALLOC_IRQ_VECTOR: u64 = 10;
    /// End of interrupt.
    pub const EOI: u64 = 12;
    /// Map a pirq.
    pub const MAP_PIRQ: u64 = 13;
    /// Unmap a pirq.
    pub const UNMAP_PIRQ: u64 = 14;
    /// Trigger mode and polarity of a GSI.
    pub const SETUP_GSI: u64 = 21;
    /// Reserve a pirq.
    pub const GET_FREE_PIRQ: u64 = 23;
    /// Tell Xen of a PCI function.
    pub const PCI_DEVICE_ADD: u64 = 25;
    /// Tell Xen that a PCI function goes.
    pub const PCI_DEVICE_REMOVE: u64 = 26;
    /// Write a function's messages again.
    pub const RESTORE_MSI_EXT: u64 = 27;
    /// Share a page of "needs end of interrupt" bits.
    pub const PIRQ_EOI_GMFN_V2: u64 = 28;
    /// Map the MSI-X table of a device that will be passed through.
    pub const PREPARE_MSIX: u64 = 30;
    /// The opposite of [`PREPARE_MSIX`].
    pub const RELEASE_MSIX: u64 = 31;
}

/// `MAP_PIRQ_TYPE_*`: one message interrupt.
pub const MAP_MSI: i32 = 0;
/// `MAP_PIRQ_TYPE_*`: a line of an IO-APIC.
pub const MAP_GSI: i32 = 1;
/// `MAP_PIRQ_TYPE_*`: several vectors of one MSI capability.
pub const MAP_MULTI_MSI: i32 = 4;

/// `struct physdev_map_pirq`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MapPirq {
    /// Domain.
    pub domid: u16,
    /// `MAP_*`.
    pub kind: i32,
    /// GSI, or IRQ number, or -1.
    pub index: i32,
    /// The pirq wanted, or -1; the pirq given.
    pub pirq: i32,
    /// Bus of the function.
    pub bus: i32,
    /// The function.
    pub devfn: i32,
    /// MSI-X entry, or number of MSI vectors.
    pub entry_nr: i32,
    /// Address of the MSI-X table, 0 for MSI.
    pub table_base: u64,
}

/// `struct physdev_unmap_pirq`.
#[repr(C)]
pub struct UnmapPirq {
    /// Domain.
    pub domid: u16,
    /// The pirq.
    pub pirq: i32,
}

/// `struct physdev_irq_status_query`, `physdev_irq` and `physdev_get_free_pirq`: two words.
#[repr(C)]
pub struct TwoWords {
    /// The IRQ, or the type of pirq.
    pub first: u32,
    /// Flags, vector, or pirq.
    pub second: u32,
}

/// `struct physdev_apic`.
#[repr(C)]
pub struct ApicAccess {
    /// The address of the IO-APIC's registers.
    pub base: u64,
    /// The register.
    pub register: u32,
    /// What it has.
    pub value: u32,
}

/// `struct physdev_setup_gsi`.
#[repr(C)]
pub struct SetupGsi {
    /// The GSI.
    pub gsi: i32,
    /// 0 for edge, 1 for level.
    pub triggering: u8,
    /// 0 for active high, 1 for active low.
    pub polarity: u8,
}

/// `struct physdev_pci_device`.
#[repr(C)]
pub struct PciDevice {
    /// Segment.
    pub seg: u16,
    /// Bus.
    pub bus: u8,
    /// Device and function.
    pub devfn: u8,
}

/// `struct physdev_pci_device_add` without optional parameters.
#[repr(C)]
pub struct PciDeviceAdd {
    /// The function.
    pub device: PciDevice,
    /// No flags are used.
    pub flags: u32,
    /// For virtual functions.
    pub physfn: [u8; 2],
}

/// `EVTCHNOP_bind_pirq`.
pub const BIND_PIRQ: u64 = 2;
/// `EVTCHNOP_close`.
pub const CLOSE: u64 = 3;
/// `EVTCHNOP_bind_vcpu`.
pub const BIND_VCPU: u64 = 8;
/// `EVTCHNOP_unmask`.
pub const UNMASK: u64 = 9;

/// `struct evtchn_bind_vcpu`.
#[repr(C)]
pub struct BindVcpu {
    /// Event channel.
    pub port: u32,
    /// The vCPU that takes its events.
    pub vcpu: u32,
}

/// `struct evtchn_bind_pirq`.
#[repr(C)]
pub struct BindPirq {
    /// The pirq.
    pub pirq: u32,
    /// 1: the line may be shared.
    pub flags: u32,
    /// The event channel given.
    pub port: u32,
}

/// `SCHEDOP_shutdown`.
pub const SHUTDOWN: u64 = 2;
/// `SHUTDOWN_poweroff`.
pub const SHUTDOWN_POWEROFF: u32 = 0;
/// `SHUTDOWN_crash`.
pub const SHUTDOWN_CRASH: u32 = 3;

/// `XENPF_enter_acpi_sleep`.
pub const ENTER_ACPI_SLEEP: u32 = 51;

/// `struct xen_platform_op` for [`ENTER_ACPI_SLEEP`].
#[repr(C)]
pub struct AcpiSleep {
    /// The command.
    pub cmd: u32,
    /// Has not changed for years.
    pub interface_version: u32,
    /// What to write to the first power management register.
    pub value_a: u16,
    /// What to write to the second one.
    pub value_b: u16,
    /// The state.
    pub state: u32,
    /// Flags.
    pub flags: u32,
    /// The rest of the union.
    pub rest: [u8; 128 - 12],
}

/// `XEN_SYSCTL_tbuf_op`.
pub const TRACE_BUFFERS: u32 = 2;
/// `XEN_SYSCTL_debug_keys`.
pub const DEBUG_KEYS: u32 = 7;

/// `struct xen_sysctl`.
#[repr(C)]
pub struct Sysctl {
    /// The command.
    pub cmd: u32,
    /// Differs between versions of Xen.
    pub interface_version: u32,
    /// The command's structure.
    pub payload: SysctlPayload,
}

/// The union in `struct xen_sysctl`.
pub type SysctlPayload = [u64; 16];

/// `VCPUOP_initialise`.
pub const VCPU_INITIALISE: u64 = 0;
/// `VCPUOP_up`.
pub const VCPU_UP: u64 = 1;

/// `struct vcpu_hvm_context` for a processor that starts in 64-bit mode.
#[repr(C)]
pub struct VcpuContext {
    /// 1: 64-bit mode.
    pub mode: u32,
    /// Padding.
    pub pad: u32,
    /// `rax rcx rdx rbx rsp rbp rsi rdi`.
    pub general: [u64; 8],
    /// Where it starts.
    pub rip: u64,
    /// Flags.
    pub rflags: u64,
    /// Control register.
    pub cr0: u64,
    /// Control register.
    pub cr3: u64,
    /// Control register.
    pub cr4: u64,
    /// Long mode.
    pub efer: u64,
    /// The 32-bit form of the structure is longer.
    pub rest: [u64; 8],
}
