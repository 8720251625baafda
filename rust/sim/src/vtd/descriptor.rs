//! A posted-interrupt descriptor (VT-d, section 9.11), and the vCPU that takes from it.

/// A posted-interrupt descriptor.
#[derive(Clone, Debug, Default)]
pub struct Descriptor {
    /// PIR: the virtual vectors that were posted.
    requests: [u64; 4],
    /// ON: a notification was sent, and the vCPU did not take the requests yet.
    outstanding: bool,
    /// SN: no notification is sent for what is not urgent.
    suppressed: bool,
    /// How many messages were posted.
    posts: u32,
    /// How many notifications were sent.
    notifications: u32,
}

impl Descriptor {
    /// Sets SN.
    pub fn suppress(&mut self, suppressed: bool) {
        self.suppressed = suppressed;
    }

    /// Posts a message (section 5.2.3).
    pub fn post(&mut self, vector: u8, urgent: bool) {
        self.requests[usize::from(vector) / 64] |= 1 << (vector % 64);
        self.posts += 1;
        if !self.outstanding && (urgent || !self.suppressed) {
            self.outstanding = true;
            self.notifications += 1;
        }
    }

    /// The vCPU takes what was posted.
    pub fn take(&mut self) -> [u64; 4] {
        self.outstanding = false;
        std::mem::take(&mut self.requests)
    }

    /// ON.
    pub fn outstanding(&self) -> bool {
        self.outstanding
    }

    /// How many messages were posted.
    pub fn posts(&self) -> u32 {
        self.posts
    }

    /// How many notifications were sent.
    pub fn notifications(&self) -> u32 {
        self.notifications
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_sent_once_until_the_requests_are_taken() {
        let mut descriptor = Descriptor::default();
        descriptor.post(0x41, false);
        descriptor.post(0xff, false);
        assert_eq!(descriptor.notifications(), 1);
        assert_eq!(descriptor.take(), [0, 2, 0, 1 << 63]);
        assert_eq!(descriptor.take(), [0; 4]);
        descriptor.post(0, false);
        assert_eq!((descriptor.posts(), descriptor.notifications()), (3, 2));
    }

    #[test]
    fn while_suppressed_only_the_urgent_notify() {
        let mut descriptor = Descriptor::default();
        descriptor.suppress(true);
        descriptor.post(5, false);
        assert!(!descriptor.outstanding());
        descriptor.post(6, true);
        assert!(descriptor.outstanding());
        assert_eq!(descriptor.take(), [0x60, 0, 0, 0]);
    }
}
