//! Who may use the entry of a device (VT-d, section 9.9: SVT, SQ, SID).
//!
//! An entry that any device could use would let a passed-through device send the interrupts of
//! others (XSA-33, XSA-49). So for a device of which nothing is known there is no source, and no
//! entry.

use irq_hw::vtd::{Ignored, Source};

/// What a function is, as its PCI Express capability and its header tell (PCIe 6.0, sections
/// 7.5.1.1.9 and 7.5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A PCI Express endpoint.
    Endpoint,
    /// A root port, or a port of a switch.
    Port,
    /// A bridge from PCI Express to PCI.
    ExpressToPci,
    /// A bridge from PCI to PCI Express.
    PciToExpress,
    /// A bridge from PCI to PCI.
    PciBridge,
    /// A host bridge.
    HostBridge,
    /// A function of PCI without Express.
    Pci,
    /// None of these.
    Unknown,
}

impl Kind {
    /// Whether requests may bear the ID of a bridge above the function, as is so outside PCI
    /// Express.
    pub const fn is_behind_bridges(self) -> bool {
        matches!(self, Self::Pci | Self::PciBridge | Self::PciToExpress)
    }
}

/// The requesters that stand for a function of PCI on the way to the IOMMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// None: the function is integrated, and requests bear its own ID.
    Direct,
    /// A bridge.
    Bridge {
        /// Its ID.
        id: u16,
        /// What it is.
        kind: Kind,
        /// The bus below it.
        secondary: u8,
    },
    /// It is not known.
    Unknown,
}

/// Returns the source of the messages of the function `id`. `phantom_stride` is 1, 2 or 4 where the
/// function sends requests as the functions of its device that are so many numbers apart, too;
/// other numbers stand for none.
///
/// `None` where the source is not known.
#[doc(alias = "set_msi_source_id")]
pub fn of_function(kind: Kind, id: u16, phantom_stride: u8, upstream: Upstream) -> Option<Source> {
    match kind {
        Kind::Endpoint | Kind::Port | Kind::ExpressToPci | Kind::HostBridge => {
            Some(match phantom_stride {
                1 => Source::with_phantoms(id, Ignored::Three),
                2 => Source::with_phantoms(id, Ignored::Two),
                4 => Source::with_phantoms(id, Ignored::One),
                _ => Source::requester(id),
            })
        }
        Kind::Pci | Kind::PciBridge | Kind::PciToExpress => match upstream {
            Upstream::Direct => Some(Source::requester(id)),
            // Buses are numbered downwards (PCI-to-PCI Bridge Architecture 1.2, section 3.2.5.4).
            // A bridge that was registered before its buses had numbers says 0, and an entry for
            // the buses from 0 on would be open to integrated devices.
            Upstream::Bridge {
                id: bridge,
                secondary,
                ..
            } if secondary <= (bridge >> 8) as u8 || secondary > (id >> 8) as u8 => None,
            // It puts the ID of its secondary bus with device and function 0 on a request, or
            // leaves the request's own (PCI Express to PCI/PCI-X Bridge Specification 1.0; VT-d,
            // section 3.4.1). The bus that it is on itself, from which Xen's C begins, has nothing
            // to do with it.
            Upstream::Bridge {
                kind: Kind::ExpressToPci,
                secondary,
                ..
            } => Source::buses(secondary, (id >> 8) as u8),
            // It takes the ownership of all requests.
            Upstream::Bridge { id: bridge, .. } => Some(Source::requester(bridge)),
            Upstream::Unknown => None,
        },
        Kind::Unknown => None,
    }
}

/// The source of an HPET's messages: its function is known to differ from what firmware says on
/// some machines.
#[doc(alias = "set_hpet_source_id")]
pub const fn of_hpet(id: u16) -> Source {
    Source::with_phantoms(id, Ignored::Three)
}

/// The source of an IO-APIC's messages.
#[doc(alias = "set_ioapic_source_id")]
pub const fn of_io_apic(id: u16) -> Source {
    Source::requester(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const KINDS: [Kind; 8] = [
        Kind::Endpoint,
        Kind::Port,
        Kind::ExpressToPci,
        Kind::PciToExpress,
        Kind::PciBridge,
        Kind::HostBridge,
        Kind::Pci,
        Kind::Unknown,
    ];

    /// Bus 5, device 3, function 2, behind a bridge on bus 3 whose secondary bus is 4.
    const ID: u16 = 0x051a;
    const BRIDGE: u16 = 0x0308;
    const SECONDARY: u8 = 4;

    /// The requests that pass.
    fn allowed(source: Source) -> Vec<u16> {
        (0..=u16::MAX).filter(|&id| source.allows(id)).collect()
    }

    /// Those that differ from [`ID`] in the given bits alone.
    fn functions(ignored: u16) -> Vec<u16> {
        (0..=u16::MAX)
            .filter(|id| id & !ignored == ID & !ignored)
            .collect()
    }

    #[test]
    fn requests_of_express_bear_the_functions_own_id() {
        for kind in [
            Kind::Endpoint,
            Kind::Port,
            Kind::ExpressToPci,
            Kind::HostBridge,
        ] {
            for (stride, ignored) in [(0, 0), (1, 0b111), (2, 0b110), (4, 0b100), (3, 0)] {
                let source = of_function(kind, ID, stride, Upstream::Unknown).unwrap();
                assert_eq!(allowed(source), functions(ignored), "{kind:?}, {stride}");
            }
        }
    }

    #[test]
    fn a_bridge_stands_for_what_is_behind_it() {
        for kind in [Kind::Pci, Kind::PciBridge, Kind::PciToExpress] {
            let of = |upstream| of_function(kind, ID, 0, upstream);
            assert_eq!(of(Upstream::Direct).map(allowed), Some(functions(0)));
            assert_eq!(of(Upstream::Unknown), None);
            for bridge in KINDS {
                let source = of(Upstream::Bridge {
                    id: BRIDGE,
                    kind: bridge,
                    secondary: SECONDARY,
                });
                let expected = match bridge {
                    Kind::ExpressToPci => (0x0400..=0x05ff).collect(),
                    _ => std::vec![BRIDGE],
                };
                assert_eq!(source.map(allowed), Some(expected), "{bridge:?}");
            }
        }
    }

    #[test]
    fn nothing_is_verified_by_nothing() {
        let upstreams = KINDS.map(|kind| Upstream::Bridge {
            id: BRIDGE,
            kind,
            secondary: SECONDARY,
        });
        let upstreams = upstreams
            .into_iter()
            .chain([Upstream::Direct, Upstream::Unknown]);
        for upstream in upstreams {
            assert_eq!(of_function(Kind::Unknown, ID, 1, upstream), None);
            for kind in KINDS {
                for stride in 0..=u8::MAX {
                    if let Some(source) = of_function(kind, ID, stride, upstream) {
                        assert!(!source.allows(0xff00), "{kind:?} {upstream:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn bridge_whose_buses_cannot_be_above_the_function_is_unknown() {
        for kind in [Kind::Pci, Kind::PciBridge, Kind::PciToExpress] {
            for bridge in KINDS {
                for primary in 0..=8u8 {
                    for secondary in 0..=8 {
                        let upstream = Upstream::Bridge {
                            id: u16::from(primary) << 8 | 0x08,
                            kind: bridge,
                            secondary,
                        };
                        let known = of_function(kind, ID, 0, upstream).is_some();
                        let possible = primary < secondary && secondary <= 5;
                        assert_eq!(known, possible, "{bridge:?}: {primary}, {secondary}");
                    }
                }
            }
        }
    }

    #[test]
    fn platform_devices_have_ids_of_their_own() {
        assert_eq!(allowed(of_io_apic(ID)), functions(0));
        assert_eq!(allowed(of_hpet(ID)), functions(0b111));
    }
}
