//! From 32-bit protected mode without paging, where PVH and multiboot start a kernel, to 64-bit
//! mode.
//!
//! The first 4 GiB are mapped one to one with 2 MiB pages: everything the kernels touch (their own
//! memory and the registers of devices) is below. Xen and QEMU set the memory types by other means,
//! so all of it is write-back.

/// Selector of the 64-bit code segment.
pub const CODE_SELECTOR: u16 = 8;

/// `CR0` in long mode: protection, monitor, extension, numeric errors, write protection, paging.
pub const CR0: u64 = 0x8001_0033;
/// `CR4` in long mode: physical address extension.
pub const CR4: u64 = 0x20;
/// `EFER` in long mode: enabled and active.
pub const EFER: u64 = 0x500;

/// Emits `_start` (32-bit), which ends in a call of `$main` with the loader's `ebx` as its
/// argument, and `start_second` (64-bit), where a second processor already in long mode starts,
/// which ends in a call of `$second`.
#[macro_export]
macro_rules! long_mode_entry {
    ($main:ident, $second:ident) => {
        ::core::arch::global_asm!(
            ".pushsection .text.entry, \"ax\"",
            ".code32",
            ".globl _start",
            "_start:",
            "cli",
            "cld",
            "mov esp, offset boot_stack_end",
            "mov ebp, ebx",
            // Four page directories of 512 pages of 2 MiB.
            "mov edi, offset boot_directories",
            "mov eax, 0x83",
            "mov ecx, 2048",
            "2:",
            "mov [edi], eax",
            "add eax, 0x200000",
            "add edi, 8",
            "loop 2b",
            "mov eax, offset boot_directories + 3",
            "mov edi, offset boot_pointers",
            "mov ecx, 4",
            "2:",
            "mov [edi], eax",
            "add eax, 4096",
            "add edi, 8",
            "loop 2b",
            "mov dword ptr [boot_root], offset boot_pointers + 3",
            "mov eax, offset boot_root",
            "mov cr3, eax",
            "mov eax, {cr4}",
            "mov cr4, eax",
            "mov ecx, 0xc0000080",
            "rdmsr",
            "or eax, 0x100",
            "wrmsr",
            "mov eax, {cr0}",
            "mov cr0, eax",
            "lgdt [boot_gdt_pointer]",
            "ljmp {code}, offset start64",
            ".code64",
            "start64:",
            "xor eax, eax",
            "mov ds, eax",
            "mov es, eax",
            "mov ss, eax",
            "mov edi, ebp",
            "call {main}",
            "ud2",
            ".globl start_second",
            "start_second:",
            "cld",
            "mov rsp, offset second_stack_end",
            "lgdt [boot_gdt_pointer]",
            "push {code}",
            "lea rax, [rip + second64]",
            "push rax",
            "retfq",
            "second64:",
            "xor eax, eax",
            "mov ds, eax",
            "mov es, eax",
            "mov ss, eax",
            "call {second}",
            "ud2",
            ".popsection",
            ".pushsection .rodata.gdt, \"a\"",
            ".balign 8",
            "boot_gdt:",
            ".quad 0, 0x00af9b000000ffff",
            "boot_gdt_pointer:",
            ".word 15",
            ".quad boot_gdt",
            ".popsection",
            ".pushsection .bss.boot, \"aw\", @nobits",
            ".balign 4096",
            ".globl boot_root",
            "boot_root: .skip 4096",
            "boot_pointers: .skip 4096",
            "boot_directories: .skip 4 * 4096",
            "boot_stack: .skip 4 * 4096",
            "boot_stack_end:",
            "second_stack: .skip 4 * 4096",
            "second_stack_end:",
            ".popsection",
            cr0 = const $crate::long_mode::CR0,
            cr4 = const $crate::long_mode::CR4,
            code = const $crate::long_mode::CODE_SELECTOR,
            main = sym $main,
            second = sym $second,
        );
    };
}
