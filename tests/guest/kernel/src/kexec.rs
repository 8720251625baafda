//! Handing the machine over to another kernel: Xen's side of kexec, and the files that it is asked
//! to start.
//!
//! The other kernel is started as multiboot says, whatever it is: in 32-bit mode, with a structure
//! that tells of its command line and of a module.

use crate::abi::{KEXEC_OP, VERSION};
use crate::hypercall;

/// Which way Xen leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As for a reboot.
    Reboot = 0,
    /// As after a crash, into memory that was kept for it.
    Crash = 1,
}

const EXEC: u64 = 0;
const GET_RANGE: u64 = 3;
const LOAD: u64 = 4;

/// `KEXEC_RANGE_MA_CRASH`.
const CRASH_AREA: u32 = 0;

/// `EM_386`: entered in 32-bit mode without paging.
const PROTECTED_MODE: u16 = 3;

/// `XENVER_commandline`.
const COMMAND_LINE: u64 = 9;

const PAGE: u64 = 4096;

/// Where the structure goes, in the memory that scenarios have Xen keep for a crash kernel, and
/// where the module goes.
const BOOT: u64 = 0x4f0_0000;
const MODULE: u64 = 0x500_0000;

/// `xen_kexec_range_t`.
#[repr(C)]
struct Range {
    range: u32,
    number: u32,
    size: u64,
    start: u64,
}

/// `xen_kexec_segment_t`.
#[repr(C)]
struct Segment {
    from: u64,
    size: u64,
    destination: u64,
    destination_size: u64,
}

impl Segment {
    fn new(bytes: &[u8], destination: u64, memory: u64) -> Self {
        Self {
            from: bytes.as_ptr() as u64,
            size: bytes.len() as u64,
            destination,
            destination_size: memory.next_multiple_of(PAGE),
        }
    }
}

/// `xen_kexec_load_t`.
#[repr(C)]
struct Load {
    way: u8,
    pad: u8,
    machine: u16,
    segments: u32,
    segment: u64,
    entry: u64,
}

/// What the other kernel is told, and the code that tells it.
#[repr(C)]
struct Boot {
    /// `mov eax, magic; mov ebx, info; mov ecx, entry; jmp ecx`.
    code: [u8; 20],
    info: Info,
    module: Module,
    /// A line begins with the name of the file.
    name: [u8; 4],
    line: [u8; 1024],
    module_name: [u8; 6],
    module_line: [u8; 18],
}

/// The beginning of multiboot's structure, and room for what is not told.
#[repr(C)]
struct Info {
    /// 4: there is a command line; 8: there are modules.
    flags: u32,
    memory: [u32; 2],
    device: u32,
    line: u32,
    modules: u32,
    module: u32,
    rest: [u32; 23],
}

/// Multiboot's module.
#[repr(C)]
struct Module {
    start: u32,
    end: u32,
    line: u32,
    pad: u32,
}

/// What is to be started.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    kernel: &'a [u8],
    module: &'a [u8],
}

impl<'a> Files<'a> {
    /// Takes them out of what was started with this kernel: eight bytes that say how long the first
    /// is, and the two.
    pub fn of(bytes: &'a [u8]) -> Self {
        let (kernel, module) = bytes[8..].split_at(number(bytes, 0, 8) as usize);
        Self { kernel, module }
    }
}

/// The way for which memory was kept: that of a crash, if there is any.
pub fn way() -> Way {
    let mut range = Range {
        range: CRASH_AREA,
        number: 0,
        size: 0,
        start: 0,
    };
    // SAFETY: the command's structure.
    let result = unsafe { call(GET_RANGE, &mut range) };
    if result == 0 && range.size != 0 {
        Way::Crash
    } else {
        Way::Reboot
    }
}

/// Has Xen keep another kernel, which gets Xen's own command line, and its module, which gets
/// `module_line`.
pub fn load(way: Way, files: Files, module_line: &str) -> i64 {
    let image = Image::of(files.kernel);
    let mut boot = Boot::new(image.entry, files.module.len(), module_line);
    // SAFETY: the command writes a text of at most that length.
    unsafe { hypercall::call(VERSION, [COMMAND_LINE, &raw mut boot.line as u64, 0, 0]) };
    // SAFETY: a structure without gaps, which lives to the end of this function.
    let boot =
        unsafe { core::slice::from_raw_parts((&raw const boot).cast::<u8>(), size_of::<Boot>()) };
    let mut segments = [
        Segment::new(image.bytes, image.destination, image.memory),
        Segment::new(boot, BOOT, boot.len() as u64),
        Segment::new(files.module, MODULE, files.module.len() as u64),
    ];
    let mut load = Load {
        way: way as u8,
        pad: 0,
        machine: PROTECTED_MODE,
        segments: if files.module.is_empty() { 2 } else { 3 },
        segment: &raw mut segments as u64,
        entry: BOOT,
    };
    // SAFETY: the command's structure, and those which it names.
    unsafe { call(LOAD, &mut load) }
}

/// Leaves to the kernel that was loaded; only returns when Xen refuses.
pub fn execute(way: Way) -> i64 {
    let mut way = way as u32;
    // SAFETY: the command's structure is one word.
    unsafe { call(EXEC, &mut way) }
}

impl Boot {
    fn new(entry: u64, module: usize, module_line: &str) -> Self {
        const MAGIC: u32 = 0x2bad_b002;
        let at = |offset: usize| BOOT as u32 + offset as u32;
        let mut code = [0; 20];
        let values = [
            (0xb8, MAGIC),
            (0xbb, at(core::mem::offset_of!(Self, info))),
            (0xb9, entry as u32),
        ];
        for (place, (instruction, value)) in code.chunks_mut(5).zip(values) {
            place[0] = instruction;
            place[1..].copy_from_slice(&value.to_le_bytes());
        }
        code[15..17].copy_from_slice(&[0xff, 0xe1]);
        let mut boot = Self {
            code,
            info: Info {
                flags: 4 | 8,
                memory: [0; 2],
                device: 0,
                line: at(core::mem::offset_of!(Self, name)),
                modules: u32::from(module != 0),
                module: at(core::mem::offset_of!(Self, module)),
                rest: [0; _],
            },
            module: Module {
                start: MODULE as u32,
                end: MODULE as u32 + module as u32,
                line: at(core::mem::offset_of!(Self, module_name)),
                pad: 0,
            },
            name: *b"xen ",
            line: [0; _],
            module_name: *b"dom0  ",
            module_line: [0; _],
        };
        boot.module_line[..module_line.len()].copy_from_slice(module_line.as_bytes());
        boot
    }
}

/// The one segment of an ELF file.
struct Image<'a> {
    bytes: &'a [u8],
    destination: u64,
    memory: u64,
    entry: u64,
}

impl<'a> Image<'a> {
    fn of(file: &'a [u8]) -> Self {
        const CLASS: usize = 4;
        const CLASS_64: u8 = 2;
        // Where the fields are, in the header (entry, place of the program header) and in the
        // latter (place in the file, physical address, size there and in memory).
        let (size, header, program) = match file[CLASS] {
            CLASS_64 => (8, [0x18, 0x20], [0x08, 0x18, 0x20, 0x28]),
            _ => (4, [0x18, 0x1c], [0x04, 0x0c, 0x10, 0x14]),
        };
        let [entry, at] = header.map(|field| number(file, field, size));
        let [from, destination, length, memory] =
            program.map(|field| number(file, at as usize + field, size));
        Self {
            bytes: &file[from as usize..][..length as usize],
            destination,
            memory,
            entry,
        }
    }
}

/// A number of `size` bytes, at most eight.
fn number(file: &[u8], at: usize, size: usize) -> u64 {
    let bytes = file[at..][..size].iter().rev();
    bytes.fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// # Safety
/// `T` is the structure that the command takes; pointers in it stay valid for the call.
unsafe fn call<T>(command: u64, argument: &mut T) -> i64 {
    // SAFETY: the caller's promise.
    unsafe { hypercall::call(KEXEC_OP, [command, &raw mut *argument as u64, 0, 0]) }
}
