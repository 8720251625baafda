//! Makes up worlds and steps.
//!
//! Addresses, pirqs and values come from small pools, so that steps meet each other: what one
//! registers another reads, and what one snoops another unmasks.

use xen_sys as sys;

use super::Vmsi;
use super::op::{Meanwhile, Message, Op, Request};
use super::world::{DescSpec, DeviceSpec, Kind, Spec};
use crate::heap::Failure;
use crate::rng::Rng;
use crate::side::Script;
use crate::subject::Case;

const PAGE: u64 = 4096;

/// What a case is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Theme {
    Table,
    Delivery,
    Vpci,
}

pub(super) fn case(rng: &mut Rng) -> Case<Vmsi> {
    let theme = rng.pick(&[
        Theme::Table,
        Theme::Table,
        Theme::Table,
        Theme::Delivery,
        Theme::Vpci,
    ]);
    let mut spec = spec(rng, theme);
    let mut steps = Vec::new();
    if !rng.one_in(16) {
        steps.extend(
            [Op::Init { domain: 0 }, Op::Init { domain: 1 }].map(|op| (op, Script::plain(0))),
        );
    }
    let len = 4 + rng.below(28);
    while steps.len() < len {
        let ops = match theme {
            Theme::Table => table_ops(rng, &spec),
            Theme::Delivery => vec![delivery_op(rng)],
            Theme::Vpci => vec![vpci_op(rng, &spec)],
        };
        for op in ops {
            let script = script(rng, &op);
            steps.push((op, script));
        }
    }
    spec.intpost = rng.one_in(2);
    Case { spec, steps }
}

fn script(rng: &mut Rng, op: &Op) -> Script {
    let mut script = Script::plain(rng.next());
    match op {
        Op::Register { .. } if rng.one_in(8) => {
            script.memory = rng.pick(&[
                Failure::Always,
                Failure::Nth(0),
                Failure::Nth(1),
                Failure::Nth(2),
            ]);
        }
        Op::Init { .. } if rng.one_in(16) => script.error = Some((0, -1)),
        Op::MsiEnable { .. } | Op::MsiUpdate { .. } | Op::MsixEnable { .. } if rng.one_in(3) => {
            script.error = Some((rng.below(5) as u32, rng.pick(&[-12, -16, -22, -28])));
        }
        Op::MsiDisable { .. } | Op::MsixDisable { .. } if rng.one_in(8) => {
            script.error = Some((rng.below(3) as u32, -22));
        }
        _ => {}
    }
    script
}

fn spec(rng: &mut Rng, theme: Theme) -> Spec {
    let devices = match theme {
        Theme::Table => 1 + rng.below(4),
        Theme::Delivery => 0,
        Theme::Vpci => 1 + rng.below(2),
    };
    let mut spec = Spec {
        irqs: 64,
        vcpus: [rng.pick(&[1, 1, 2, 3, 4, 8]), rng.pick(&[1, 2])],
        disabled: if rng.one_in(2) { 0 } else { rng.next() },
        ..Spec::default()
    };
    for _ in 0..devices {
        let device = device(rng, &spec, theme);
        spec.devices.push(device);
    }
    spec
}

fn device(rng: &mut Rng, spec: &Spec, theme: Theme) -> DeviceSpec {
    let entries = rng.pick(&[1, 2, 3, 4, 5, 8, 16, 64, 255, 256, 257, 512, 1025, 2048]);
    let mut numbers: Vec<u16> = vec![
        0,
        1,
        2,
        3,
        4,
        entries as u16 - 1,
        rng.below(entries as usize) as u16,
    ];
    numbers.retain(|number| u32::from(*number) < entries);
    numbers.sort_unstable();
    numbers.dedup();
    numbers.retain(|_| !rng.one_in(4));
    let descs = numbers.into_iter().map(|entry| DescSpec {
        entry,
        kind: match rng.below(16) {
            0 => Kind::MsixWithoutIrq,
            1 => Kind::Msi,
            _ => Kind::Msix,
        },
        guest_masked: rng.one_in(2),
    });
    let mut descs: Vec<_> = descs.collect();
    // The order in the device's list says nothing about the entries.
    if rng.one_in(2) {
        descs.reverse();
    }
    // An accelerator's: table at 0x46800, pending bits at 0x46068, registers between.
    let accelerator = rng.one_in(4);
    let gtable = if accelerator {
        0xf000_0000 + spec.devices.len() as u64 * 0x10_0000 + 0x4_6800
    } else {
        gtable(rng, spec)
    };
    let table = 0xfe10 + rng.below(4) as u64;
    // A device's table is aligned to 8 bytes.
    let offset = gtable % PAGE & !7;
    let last = table + (offset + u64::from(entries) * 16 - 1) / PAGE;
    let (pba, pba_offset) = if accelerator {
        (table, 0x068)
    } else {
        // Sometimes the pending bits end in the page behind that in which they begin.
        let offset = if rng.one_in(4) { 511 } else { rng.below(512) };
        (table + rng.below(3) as u64, offset as u64 * 8)
    };
    let pba_last = pba + (pba_offset + u64::from(entries).div_ceil(64) * 8 - 1) / PAGE;
    DeviceSpec {
        domain: usize::from(rng.one_in(5)),
        entries,
        gtable,
        offsets: [offset as u16, pba_offset as u16],
        descs,
        adjacent: [0, 1].map(|at| {
            if rng.one_in(3) {
                0
            } else {
                0x40 + at + 2 * spec.devices.len() as u32
            }
        }),
        pages: [table, last, pba, pba_last],
        warned: (rng.pick(&[0, 5, 6]), rng.below(4) as u8),
        vpci_entries: match theme {
            Theme::Vpci => rng.pick(&[1, 2, 8, 64, 65, 66, 129, 130]),
            _ => 0,
        },
    }
}

/// Where a table lies for the guest: alone on its pages, beside other registers, on a page with
/// another table.
fn gtable(rng: &mut Rng, spec: &Spec) -> u64 {
    let number = spec.devices.len() as u64;
    let own = 0xf000_0000 + number * 0x10_0000;
    let inside = rng.pick(&[0, 0, 0, 0x10, 0x800, 0xfe0, 0xff0]);
    match rng.below(12) {
        0..6 => own + inside,
        6 => own + inside + 8,
        7 => own + rng.below(PAGE as usize) as u64,
        8 => 0xff_f000_0000 + number * 0x10_0000 + inside,
        _ => match spec.devices.last() {
            Some(other) => {
                let end = other.gtable + u64::from(other.entries) * 16;
                rng.pick(&[
                    other.gtable,
                    end,
                    end + 0x10,
                    (end | (PAGE - 1)) + 1,
                    other.gtable & !(PAGE - 1),
                ])
            }
            None => own,
        },
    }
}

/// An address on or near a table, or nowhere.
fn address(rng: &mut Rng, spec: &Spec, len: u64) -> u64 {
    let device = &spec.devices[rng.below(spec.devices.len())];
    let size = u64::from(device.entries) * 16;
    let end = device.gtable + size;
    let entry = match device.descs.len() {
        0 => rng.below(device.entries as usize) as u64,
        descs => match rng.below(8) {
            0 => rng.below(device.entries as usize) as u64,
            1 => u64::from(device.entries) - 1,
            _ => u64::from(device.descs[rng.below(descs)].entry),
        },
    };
    let start = device.gtable + entry * 16;
    let address = match rng.below(32) {
        0 => device.gtable & !(PAGE - 1),
        1 => device.gtable.wrapping_sub(len),
        2 => end,
        3 => (end - 1) | (PAGE - 1),
        4 => (end | (PAGE - 1)) + 1,
        5 => (device.gtable & !(PAGE - 1)) - len,
        6 => rng.below(1 << 32) as u64,
        7 if rng.one_in(2) => return start + rng.below(16) as u64,
        7 => {
            (device.gtable & !(PAGE - 1)) + u64::from(device.offsets[1]) + rng.below(16) as u64 - 4
        }
        8 if rng.one_in(2) => end + rng.below(64) as u64,
        8 => (device.gtable & !(PAGE - 1)) + rng.below(PAGE as usize) as u64,
        9..16 => start + 12,
        16..20 => start + 8,
        20..24 => start + 4,
        _ => start,
    };
    // Mostly aligned to the access.
    if rng.one_in(16) {
        address
    } else {
        address & !(len - 1)
    }
}

fn length(rng: &mut Rng) -> u32 {
    rng.pick(&[4, 4, 4, 4, 4, 8, 8, 8, 2, 1])
}

fn value(rng: &mut Rng) -> u64 {
    let word = rng.next();
    // The mask bit is what matters most, in either half.
    match rng.below(4) {
        0 => word & !(1 << 32 | 1),
        1 => word | 1 << 32 | 1,
        2 => word & 0x0000_0001_0000_0001,
        _ => word,
    }
}

fn request(rng: &mut Rng, spec: &Spec) -> Request {
    let size = length(rng);
    let pointer = rng.one_in(3);
    let mut address = address(rng, spec, size.into());
    let count = if pointer {
        rng.pick(&[0, 1, 1, 2, 3, 4, 4, 5])
    } else if rng.one_in(6) {
        // REP STOS.
        rng.pick(&[0, 2, 3, 4, 4, 8])
    } else {
        1
    };
    if pointer && !rng.one_in(4) {
        // A copy that ends with an entry, as a guest's memcpy() of one does.
        address = (address & !15)
            .wrapping_add(16)
            .wrapping_sub(u64::from(size) * u64::from(count));
    }
    if rng.one_in(24) {
        // Into the first page of a table, or out of its last.
        let device = &spec.devices[rng.below(spec.devices.len())];
        let end = device.gtable + u64::from(device.entries) * 16;
        let page = rng.pick(&[device.gtable & !(PAGE - 1), (end | (PAGE - 1)) + 1]);
        address = page.wrapping_sub(1 + rng.below(8) as u64);
    }
    Request {
        address,
        data: if pointer {
            0x7000_0000 + rng.below(4096) as u64
        } else {
            value(rng)
        },
        size,
        count,
        ready: !rng.one_in(6),
        write: !rng.one_in(4),
        pointer,
        backwards: rng.one_in(8),
    }
}

fn table_ops(rng: &mut Rng, spec: &Spec) -> Vec<Op> {
    let domain = usize::from(rng.one_in(6));
    let vcpu = rng.below(8);
    let pirqs: usize = spec
        .devices
        .iter()
        .map(|device| device.descs.len())
        .sum::<usize>()
        + 2;
    let pirq = rng.below(pirqs);
    // A pirq is registered with the domain that has its device, except by a confused toolstack.
    let mut before = 0;
    let owner = spec.devices.iter().find(|device| {
        before += device.descs.len();
        pirq < before
    });
    let owner = if rng.one_in(64) {
        domain
    } else {
        owner.map_or(domain, |device| device.domain)
    };
    if rng.one_in(96) {
        let device = rng.below(spec.devices.len());
        return vec![match rng.below(6) {
            0..2 => Op::Assign { device },
            2 => Op::Spoil { desc: pirq },
            _ => Op::Remove { device },
        }];
    }
    match rng.below(40) {
        0..9 => vec![Op::Register {
            pirq,
            domain: owner,
            gtable: None,
        }],
        9 => vec![Op::Register {
            pirq,
            domain: owner,
            gtable: Some(gtable(rng, spec)),
        }],
        10..13 => vec![Op::Unregister {
            pirq,
            domain: owner,
        }],
        13 => vec![Op::Cleanup {
            domain: rng.below(2),
        }],
        14 => vec![Op::GracePeriod],
        15 => vec![Op::Init {
            domain: rng.below(5),
        }],
        16 => vec![Op::Unmap { desc: pirq }],
        17 => vec![Op::Map { desc: pirq }],
        18 => vec![Op::Completion {
            domain,
            vcpu,
            // What comes of writes of which Xen did not see the begin is the oracle's to judge.
            answered: rng.one_in(4).then(|| Request {
                write: false,
                ..request(rng, spec)
            }),
        }],
        19..22 => {
            let len = length(rng);
            vec![Op::Read {
                domain,
                vcpu,
                address: address(rng, spec, len.into()),
                len,
                guarded: false,
            }]
        }
        22..25 => {
            let len = length(rng);
            let address = address(rng, spec, len.into());
            vec![Op::Write {
                domain,
                vcpu,
                address,
                len,
                value: value(rng),
                guarded: false,
            }]
        }
        25 => message(rng, spec, domain, vcpu),
        26 => late_registration(rng, spec, pirq, owner, vcpu),
        27..30 => read_in_flight(rng, spec, pirq, owner, vcpu),
        30 => straddling_write(rng, spec, vcpu),
        31 if rng.one_in(2) => narrow_write(rng, spec, vcpu),
        31 => unaligned_write(rng, spec, vcpu),
        _ => guest_access(rng, spec, domain, vcpu),
    }
}

/// An access of a guest, the way the emulator carries it out.
fn guest_access(rng: &mut Rng, spec: &Spec, domain: usize, vcpu: usize) -> Vec<Op> {
    let request = request(rng, spec);
    let mut ops = vec![Op::Accept {
        domain,
        vcpu,
        request,
    }];
    let (address, len) = (request.address, request.size);
    if request.write {
        // Of a repeated write the emulator carries out the first element: as the device model has
        // to see that, it stops.
        let value = if request.pointer {
            value(rng)
        } else {
            request.data
        };
        ops.push(Op::Write {
            domain,
            vcpu,
            address,
            len,
            value,
            guarded: true,
        });
    } else {
        for round in 0..request.count.clamp(1, 4) {
            let address = address.wrapping_add(u64::from(round * len));
            ops.push(Op::Read {
                domain,
                vcpu,
                address,
                len,
                guarded: true,
            });
        }
    }
    ops.push(Op::Completion {
        domain,
        vcpu,
        answered: None,
    });
    ops
}

/// An entry as a guest's driver sets it up: address, data, unmask; then it is read back.
fn message(rng: &mut Rng, spec: &Spec, domain: usize, vcpu: usize) -> Vec<Op> {
    let entry = address(rng, spec, 16);
    let mut ops = Vec::new();
    for at in [0, 4, 8, 12] {
        let value = if at == 12 {
            rng.below(2) as u64
        } else {
            rng.next()
        };
        ops.push(Op::Write {
            domain,
            vcpu,
            address: entry + at,
            len: 4,
            value,
            guarded: false,
        });
    }
    ops.push(Op::Completion {
        domain,
        vcpu,
        answered: None,
    });
    for (at, len) in [(0, 4), (4, 4), (8, 4), (12, 4), (0, 8), (8, 8)] {
        ops.push(Op::Read {
            domain,
            vcpu,
            address: entry + at,
            len,
            guarded: false,
        });
    }
    ops
}

/// A read that the device model answers, and what others do while it is under way: the guest's
/// other vCPUs write, and the table is set up, or set up again. The answer to several elements is
/// that of the first alone.
fn read_in_flight(rng: &mut Rng, spec: &Spec, pirq: usize, domain: usize, vcpu: usize) -> Vec<Op> {
    let request = Request {
        count: if rng.one_in(8) { 2 } else { 1 },
        ready: true,
        write: false,
        pointer: false,
        size: rng.pick(&[4, 4, 8]),
        ..request(rng, spec)
    };
    let (address, len) = (
        request.address & !(u64::from(request.size) - 1),
        request.size,
    );
    let request = Request { address, ..request };
    let read = Op::Read {
        domain,
        vcpu,
        address,
        len,
        guarded: true,
    };
    let mut ops = vec![
        Op::Accept {
            domain,
            vcpu,
            request,
        },
        read.clone(),
    ];
    for _ in 0..rng.below(4) {
        ops.push(match rng.below(4) {
            0 => Op::Unregister { pirq, domain },
            1 => Op::Register {
                pirq,
                domain,
                gtable: None,
            },
            2 => Op::GracePeriod,
            _ => Op::Write {
                domain,
                vcpu: vcpu + 1,
                address,
                len,
                value: value(rng),
                guarded: false,
            },
        });
    }
    ops.push(Op::Completion {
        domain,
        vcpu,
        answered: Some(request),
    });
    ops.push(Op::Accept {
        domain,
        vcpu,
        request,
    });
    ops.push(read);
    ops
}

/// A write that begins before a table, in another page if the table begins with one, and ends in
/// its first entry, between two reads of that.
fn straddling_write(rng: &mut Rng, spec: &Spec, vcpu: usize) -> Vec<Op> {
    let device = &spec.devices[rng.below(spec.devices.len())];
    let (domain, address) = (device.domain, device.gtable);
    let size = rng.pick(&[4, 8]);
    let request = Request {
        address: address.wrapping_sub(1 + rng.below(size as usize - 1) as u64),
        data: value(rng),
        size,
        count: 1,
        ready: true,
        write: true,
        pointer: false,
        backwards: false,
    };
    let read = |address, len| plain_read(domain, vcpu, address, len);
    vec![
        Op::Write {
            domain,
            vcpu,
            address: address & !7,
            len: 8,
            value: value(rng),
            guarded: false,
        },
        read(address & !7, 8),
        Op::Accept {
            domain,
            vcpu,
            request,
        },
        Op::Completion {
            domain,
            vcpu,
            answered: None,
        },
        read(address & !3, 4),
        read(address & !7, 8),
    ]
}

/// A read that is carried out whether or not it was accepted.
fn plain_read(domain: usize, vcpu: usize, address: u64, len: u32) -> Op {
    Op::Read {
        domain,
        vcpu,
        address,
        len,
        guarded: false,
    }
}

/// A dword where one entry ends and the next begins is written, then one or two bytes of it, and it
/// is read. Of a table on an address that is no multiple of four, its bytes lie in both entries.
fn narrow_write(rng: &mut Rng, spec: &Spec, vcpu: usize) -> Vec<Op> {
    let device = &spec.devices[rng.below(spec.devices.len())];
    let domain = device.domain;
    let entry = rng.below(device.entries as usize + 1) as u64;
    let dword = (device.gtable + 16 * entry) & !3;
    let len = rng.pick(&[1, 2]);
    let inside = rng.below(4) as u64 & !u64::from(len - 1);
    let values = [value(rng), value(rng)];
    let write = |address, len, value| Op::Write {
        domain,
        vcpu,
        address,
        len,
        value,
        guarded: false,
    };
    let read = |address, len| plain_read(domain, vcpu, address, len);
    vec![
        write(dword, 4, values[0]),
        write(dword + inside, len, values[1]),
        read(dword, 4),
        read(dword & !7, 8),
    ]
}

/// The words of an entry's message are written, then parts of several of them by one write that
/// lies across dwords, and they are read.
fn unaligned_write(rng: &mut Rng, spec: &Spec, vcpu: usize) -> Vec<Op> {
    let device = &spec.devices[rng.below(spec.devices.len())];
    let domain = device.domain;
    let entry = device.gtable + 16 * rng.below(device.entries as usize) as u64;
    let words = [0, 4, 8].map(|at| (entry & !3) + at);
    let request = Request {
        address: (entry & !3) + 1 + rng.below(7) as u64,
        data: value(rng),
        size: rng.pick(&[4, 8]),
        count: rng.pick(&[1, 1, 1, 2]),
        ready: true,
        write: true,
        pointer: false,
        backwards: false,
    };
    let mut ops = Vec::from(words.map(|address| Op::Write {
        domain,
        vcpu,
        address,
        len: 4,
        value: value(rng),
        guarded: false,
    }));
    ops.push(Op::Accept {
        domain,
        vcpu,
        request,
    });
    ops.push(Op::Completion {
        domain,
        vcpu,
        answered: None,
    });
    ops.extend(words.map(|address| plain_read(domain, vcpu, address, 4)));
    ops
}

/// A guest unmasks an entry that is not registered yet: the device model registers it while the
/// vCPU waits.
fn late_registration(
    rng: &mut Rng,
    spec: &Spec,
    pirq: usize,
    domain: usize,
    vcpu: usize,
) -> Vec<Op> {
    let mut first = 0;
    let entry = spec.devices.iter().find_map(|device| {
        let found = device
            .descs
            .get(pirq.wrapping_sub(first))
            .map(|desc| (device.gtable, desc.entry));
        first += device.descs.len();
        found
    });
    let Some((gtable, entry)) = entry else {
        return Vec::new();
    };
    let pointer = rng.one_in(4);
    let size = rng.pick(&[4, 8]);
    let control = gtable + u64::from(entry) * 16 + 12;
    let request = Request {
        address: if size == 8 { control - 4 } else { control },
        data: if pointer {
            0x7000_0000
        } else {
            value(rng) & !(1 << 32 | 1)
        },
        size,
        count: 1,
        ready: true,
        write: true,
        pointer,
        backwards: false,
    };
    vec![
        Op::Accept {
            domain,
            vcpu,
            request,
        },
        Op::Block {
            domain,
            vcpu,
            blocked: !rng.one_in(4),
        },
        Op::Register {
            pirq,
            domain,
            gtable: None,
        },
        Op::Block {
            domain,
            vcpu,
            blocked: false,
        },
        Op::Completion {
            domain,
            vcpu,
            answered: None,
        },
    ]
}

fn delivery_op(rng: &mut Rng) -> Op {
    let domain = usize::from(rng.one_in(4));
    let dest = rng.pick(&[0, 1, 2, 0x10, 0xff, u64::from(rng.clone().next() as u8)]);
    let logical = rng.pick(&[0, 0, 1, 1, 2]);
    let mode = rng.pick(&[0, 0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 0x10]);
    match rng.below(4) {
        0 => Op::DestinationVcpu {
            domain,
            arguments: [dest, logical],
        },
        1 => Op::DeliverPirq {
            domain,
            vector: rng.pick(&[0, 0x10, 0x31, 0xff, 0x131]),
            flags: (rng.next() as u32) & 0x1_b3ff | (mode as u32 & 7) << 12,
        },
        _ => {
            let vector = rng.pick(&[0, 0x0f, 0x10, 0x31, 0xfe, 0xff, 0x100, 0xffff_ffff]);
            let trigger = rng.pick(&[0, 1]);
            Op::Deliver {
                domain,
                arguments: [vector, dest, logical, mode, trigger],
            }
        }
    }
}

fn setup(rng: &mut Rng) -> Message {
    let header = u64::from(sys::MSI_ADDR_HEADER);
    Message {
        address: match rng.below(8) {
            0 => rng.next(),
            1 => header | 1 << 32,
            _ => header | rng.next() & 0xf_fffc,
        },
        data: rng.next() as u32,
        mask: rng.next() as u32,
    }
}

fn vpci_op(rng: &mut Rng, spec: &Spec) -> Op {
    let device = rng.below(spec.devices.len());
    let entry = rng.below(4) * rng.pick(&[1, 1, 16, 43]);
    let mask = rng.below(2) as u64;
    match rng.below(26) {
        0..2 => Op::MsiInit { device },
        2..7 => Op::MsiEnable {
            device,
            vectors: 1 << rng.below(6),
            setup: setup(rng),
        },
        7..9 => Op::MsiUpdate {
            device,
            setup: setup(rng),
        },
        9 => Op::MsiMask {
            device,
            entry: rng.below(32) as u32,
            mask,
        },
        10..12 => Op::MsiDisable { device },
        12 => Op::MsiPrint { device },
        13..15 => Op::MsixInit { device, entry },
        15..20 => {
            // No BAR lies at address 0, where C would take the table for an MSI capability.
            let table = rng.pick(&[0xfeb0_0000, 0xff_feb0_0000]);
            Op::MsixEnable {
                device,
                entry,
                table,
                setup: setup(rng),
            }
        }
        20..22 => Op::MsixMask {
            device,
            entry,
            mask,
        },
        22..24 => Op::MsixDisable { device, entry },
        _ => {
            let meanwhile = rng.pick(&[
                Meanwhile::Nothing,
                Meanwhile::Nothing,
                Meanwhile::TakePciLock,
                Meanwhile::TakeVpciLock,
                Meanwhile::RemoveVpci,
                Meanwhile::ReplaceMsix,
            ]);
            Op::MsixPrint { device, meanwhile }
        }
    }
}
