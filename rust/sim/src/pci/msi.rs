//! A function with MSI and mask bits (PCI Local Bus Specification 3.0, sections 6.8.1 and 6.8.3).

/// A function.
#[derive(Debug)]
pub struct Function {
    /// How many messages it can send.
    capable: u32,
    /// How many it may send; 0 while MSI is disabled.
    enabled: u32,
    mask: u32,
    pending: u32,
    sent: Vec<u32>,
}

impl Function {
    /// A function that can send so many messages, a power of two up to 32.
    pub fn new(capable: u32) -> Self {
        assert!(capable.is_power_of_two() && capable <= 32);
        Self {
            capable,
            enabled: 0,
            mask: 0,
            pending: 0,
            sent: Vec::new(),
        }
    }

    /// Enables so many messages; 0 disables MSI.
    pub fn enable(&mut self, messages: u32) {
        assert!(messages <= self.capable);
        self.enabled = messages;
        self.send();
    }

    /// Writes the mask register; bits of messages that there are not cannot be written.
    pub fn write_mask(&mut self, mask: u32) {
        self.mask = mask & (u32::MAX >> (32 - self.capable));
        self.send();
    }

    /// Wants to send a message. With fewer messages enabled than it is capable of, several events
    /// share one.
    pub fn raise(&mut self, event: u32) -> Option<u32> {
        let number = event.checked_rem(self.enabled)?;
        self.pending |= 1 << number;
        self.send();
        Some(number)
    }

    /// Sends what is pending and not masked.
    fn send(&mut self) {
        for number in 0..self.enabled {
            if self.pending & !self.mask & 1 << number != 0 {
                self.pending &= !(1 << number);
                self.sent.push(number);
            }
        }
    }

    /// Takes the messages that have been sent.
    pub fn take_sent(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.sent)
    }

    /// The mask register, for a look from outside.
    pub fn mask(&self) -> u32 {
        self.mask
    }
}
