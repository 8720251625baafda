//! IO-APICs: two registers in memory that lead to the others (82093AA datasheet, section 3.1).

use xen_sys as sys;

/// Where registers are that select and hold the others.
const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;
/// Bytes that an IO-APIC decodes.
const SPAN: usize = 0x20;
/// The first register of the first pin.
const FIRST_PIN: u32 = 0x10;
const PAGE: usize = 0x1000;
/// The fixmap is no longer than this.
const FIXMAP: usize = 0x80_0000;

/// All of them.
pub(crate) struct IoApics {
    list: Vec<IoApic>,
    /// The page of the first one, once it was accessed.
    first_page: Option<usize>,
}

/// One of them.
pub(crate) struct IoApic {
    selected: u32,
    /// The entries of the pins, as hardware has them.
    pub(crate) pins: Vec<u64>,
}

impl IoApics {
    pub(super) fn new() -> Self {
        Self {
            list: Vec::new(),
            first_page: None,
        }
    }

    /// Adds one, with the entries of its pins.
    pub(crate) fn add(&mut self, pins: Vec<u64>) {
        self.list.push(IoApic { selected: 0, pins });
    }

    /// The physical address of one: their low bits tell them apart, whatever page they are mapped
    /// to.
    pub(crate) fn address(number: usize) -> u32 {
        0xfec0_0000 + (number * (PAGE + SPAN)) as u32
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[IoApic] {
        &self.list
    }

    /// The entry of a pin.
    pub(crate) fn pin(&mut self, number: usize, pin: usize) -> Result<&mut u64, String> {
        self.list
            .get_mut(number)
            .and_then(|io_apic| io_apic.pins.get_mut(pin))
            .ok_or_else(|| format!("IO-APIC {number} has no pin {pin}"))
    }

    /// The number of an IO-APIC and the offset of a register. The fixmap has a page for each, in
    /// descending order.
    pub(super) fn locate(&mut self, address: usize) -> Option<Result<(usize, usize), String>> {
        let top = sys::XEN_IRQ_FIXADDR_TOP as usize;
        if self.list.is_empty() || !(top - FIXMAP..top).contains(&address) {
            return None;
        }
        let (number, offset) = (address % PAGE / SPAN, address % SPAN);
        let page = address / PAGE * PAGE + number * PAGE;
        let right = number < self.list.len() && *self.first_page.get_or_insert(page) == page;
        Some(if right {
            Ok((number, offset))
        } else {
            Err("an access to the page of another IO-APIC".to_owned())
        })
    }

    pub(super) fn read(
        &mut self,
        (number, offset): (usize, usize),
        width: usize,
    ) -> Result<u64, String> {
        if (offset, width) != (WINDOW, 4) {
            return Err(format!("{width} bytes read at {offset:#x} of an IO-APIC"));
        }
        let selected = self.list[number].selected;
        let pin = selected
            .checked_sub(FIRST_PIN)
            .ok_or_else(|| format!("register {selected:#x} of an IO-APIC read"))?;
        let entry = *self.pin(number, pin as usize / 2)?;
        Ok(if selected.is_multiple_of(2) {
            entry & 0xffff_ffff
        } else {
            entry >> 32
        })
    }

    pub(super) fn write(
        &mut self,
        (number, offset): (usize, usize),
        width: usize,
        value: u64,
    ) -> Result<(), String> {
        if (offset, width) != (SELECT, 4) {
            return Err(format!(
                "{width} bytes written at {offset:#x} of an IO-APIC"
            ));
        }
        self.list[number].selected = value as u32;
        Ok(())
    }
}
