//! ELF notes by which Xen recognises a kernel, and the multiboot header by which QEMU does.

/// Note type: 64-bit PV entry point.
pub const ENTRY: u32 = 1;
/// Note type: the page that Xen fills with hypercall stubs.
pub const HYPERCALL_PAGE: u32 = 2;
/// Note type: the virtual address of the start of the domain's memory.
pub const VIRT_BASE: u32 = 3;
/// Note type: the interface version, `xen-3.0`.
pub const XEN_VERSION: u32 = 5;
/// Note type: the kind of loader, `generic`.
pub const LOADER: u32 = 8;
/// Note type: bitmap of the features a PV kernel can live with.
pub const SUPPORTED_FEATURES: u32 = 17;
/// Note type: 32-bit PVH entry point.
pub const PHYS32_ENTRY: u32 = 18;

/// Emits a Xen note whose value is a quadword: a number or a symbol.
#[macro_export]
macro_rules! xen_note {
    ($kind:path, $value:literal) => {
        ::core::arch::global_asm!(
            ".pushsection .note.xen, \"a\", @note",
            ".balign 4",
            ".long 4, 8, {kind}",
            ".asciz \"Xen\"",
            concat!(".quad ", $value),
            ".popsection",
            kind = const $kind,
        );
    };
}

/// Emits a Xen note whose value is a string of seven characters.
#[macro_export]
macro_rules! xen_note_text {
    ($kind:path, $text:literal) => {
        const _: () = assert!($text.len() == 7);
        ::core::arch::global_asm!(
            ".pushsection .note.xen, \"a\", @note",
            ".balign 4",
            ".long 4, 8, {kind}",
            ".asciz \"Xen\"",
            concat!(".asciz \"", $text, "\""),
            ".popsection",
            kind = const $kind,
        );
    };
}

/// Emits a multiboot (version 1) header with explicit addresses, so that a loader need not
/// understand the ELF file.
#[macro_export]
macro_rules! multiboot_header {
    () => {
        ::core::arch::global_asm!(
            ".pushsection .header, \"a\"",
            ".balign 4",
            "multiboot_header:",
            // Bit 16: the address fields are valid.
            ".long 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)",
            ".long multiboot_header, __image_start, __data_end, __image_end, _start",
            ".popsection",
        );
    };
}
