//! The machine code between an object and the driver.
//!
//! Xen keeps its stack aligned to eight bytes only and calls within two gigabytes; the driver wants
//! sixteen and lies anywhere. Each imported function gets a few instructions that bridge both.

use std::ops::Range;
use std::sync::Mutex;

/// Writes glue into the range it was made for.
pub(crate) struct Writer {
    start: usize,
    room: usize,
    code: Vec<u8>,
}

/// Names of the imports for which there is no fake, by the number that their glue passes.
static MISSING: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Writer {
    pub(crate) fn new(range: Range<usize>) -> Self {
        Self {
            start: range.start,
            room: range.len(),
            code: Vec::new(),
        }
    }

    /// What was written so far.
    pub(crate) fn code(&self) -> &[u8] {
        &self.code
    }

    fn emit(&mut self, code: &[&[u8]]) -> usize {
        self.code.resize(self.code.len().next_multiple_of(16), 0xcc);
        let address = self.start + self.code.len();
        code.iter()
            .for_each(|part| self.code.extend_from_slice(part));
        assert!(
            self.code.len() <= self.room,
            "too many imports for the room kept for glue"
        );
        address
    }

    /// Aligns the stack and calls `target`.
    pub(crate) fn call(&mut self, target: usize) -> usize {
        self.emit(&[ENTER, MOV_R11, &target.to_le_bytes(), CALL_R11_LEAVE_RET])
    }

    /// Calls `target` with the addresses of the register arguments and of the stack arguments.
    pub(crate) fn variadic(&mut self, target: usize) -> usize {
        // push r9, r8, rcx, rdx, rsi, rdi; mov rdi, rsp; lea rsi, [rbp + 16]
        const SAVE: &[u8] = &[
            0x41, 0x51, 0x41, 0x50, 0x51, 0x52, 0x56, 0x57, 0x48, 0x89, 0xe7, 0x48, 0x8d, 0x75,
            0x10,
        ];
        self.emit(&[
            ENTER,
            SAVE,
            MOV_R11,
            &target.to_le_bytes(),
            CALL_R11_LEAVE_RET,
        ])
    }

    /// `__x86_return_thunk` of a CPU that needs no mitigation.
    pub(crate) fn return_thunk(&mut self) -> usize {
        self.emit(&[&[0xc3]])
    }

    /// `__x86_indirect_thunk_*` of a CPU that needs no mitigation.
    pub(crate) fn indirect_thunk(&mut self, register: u8) -> usize {
        match register {
            0..8 => self.emit(&[&[0xff, 0xe0 + register]]),
            _ => self.emit(&[&[0x41, 0xff, 0xe0 + register - 8]]),
        }
    }

    /// Ends the call under test, and names `symbol` as the reason.
    pub(crate) fn missing(&mut self, symbol: &str) -> usize {
        let mut missing = MISSING
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let number = missing.len() as u32;
        missing.push(symbol.to_owned());
        drop(missing);
        // mov edi, number
        let number = number.to_le_bytes();
        let target = report_missing as *const () as usize;
        self.emit(&[
            ENTER,
            &[0xbf],
            &number,
            MOV_R11,
            &target.to_le_bytes(),
            CALL_R11_LEAVE_RET,
        ])
    }
}

extern "C" fn report_missing(number: u32) {
    let missing = MISSING
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let name = missing[number as usize].clone();
    drop(missing);
    crate::trap::fault(format!("a call of {name}, for which the twin has no fake"));
}

/// push rbp; mov rbp, rsp; and rsp, -16
const ENTER: &[u8] = &[0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xe4, 0xf0];
/// movabs r11, the eight bytes that follow
const MOV_R11: &[u8] = &[0x49, 0xbb];
/// call r11; leave; ret
const CALL_R11_LEAVE_RET: &[u8] = &[0x41, 0xff, 0xd3, 0xc9, 0xc3];

/// The number of the register that an indirect thunk jumps through.
pub(crate) fn thunk_register(name: &str) -> Option<u8> {
    let register = name.strip_prefix("__x86_indirect_thunk_")?;
    [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15",
    ]
    .iter()
    .position(|known| *known == register)
    .map(|position| position as u8)
}
