//! What Xen's emulator makes of an instruction: requests, one after the other.
//!
//! A load or store is split at page boundaries, and each part into chunks of 8, 4, 2 and 1 bytes,
//! in that order, wherever they lie. A repeated string instruction becomes one request for as many
//! elements as lie in the page of the first, or for that alone where it reaches into the next page;
//! what a request leaves over becomes the next request.

use std::collections::VecDeque;

use super::op::Instruction;
use crate::vmsi::op::Request;

const PAGE: u64 = 4096;

/// What remains to be done of an instruction.
#[derive(Debug)]
pub(super) struct Work {
    chunks: VecDeque<Request>,
    rep: Option<Rep>,
}

/// What remains of a repeated string instruction.
#[derive(Debug)]
struct Rep {
    /// The request for all elements that are left.
    request: Request,
    /// Their values, if the instruction writes.
    values: VecDeque<u64>,
}

impl Work {
    /// Begins an instruction of a vCPU that has RAM for string instructions at `ram`.
    pub(super) fn new(instruction: &Instruction, ram: u64) -> Self {
        let plain = |address, size, write| Request {
            address,
            data: 0,
            size,
            count: 1,
            ready: true,
            write,
            pointer: false,
            backwards: false,
        };
        let rep = |first, size, count, backwards| Request {
            count,
            backwards,
            ..plain(first, size, true)
        };
        match *instruction {
            Instruction::Load { address, len } => Self::chunks(plain(address, len, false), [0; 2]),
            Instruction::Store {
                address,
                len,
                value,
            } => Self::chunks(plain(address, len, true), value),
            Instruction::Stos {
                first,
                size,
                count,
                descending,
                value,
            } => Self::rep(
                Request {
                    data: value,
                    ..rep(first, size, count, descending)
                },
                vec![value; count as usize],
            ),
            Instruction::Movs {
                first,
                size,
                descending,
                ref values,
            } => Self::rep(
                Request {
                    data: ram,
                    pointer: true,
                    ..rep(first, size, values.len() as u32, descending)
                },
                values.clone(),
            ),
            Instruction::MovsToRam {
                first,
                size,
                count,
                descending,
            } => Self::rep(
                Request {
                    data: ram,
                    pointer: true,
                    write: false,
                    ..rep(first, size, count, descending)
                },
                Vec::new(),
            ),
        }
    }

    fn chunks(whole: Request, value: [u64; 2]) -> Self {
        let bytes: Vec<u8> = value.iter().flat_map(|half| half.to_le_bytes()).collect();
        let mut chunks = VecDeque::new();
        let (mut address, mut done, mut left) = (whole.address, 0, u64::from(whole.size));
        while left != 0 {
            let in_page = left.min(PAGE - address % PAGE);
            let size = (1 << in_page.ilog2()).min(8);
            let mut data = [0; 8];
            data[..size as usize].copy_from_slice(&bytes[done..done + size as usize]);
            chunks.push_back(Request {
                address,
                data: if whole.write {
                    u64::from_le_bytes(data)
                } else {
                    0
                },
                size: size as u32,
                ..whole
            });
            address += size;
            done += size as usize;
            left -= size;
        }
        Self { chunks, rep: None }
    }

    fn rep(request: Request, values: Vec<u64>) -> Self {
        Self {
            chunks: VecDeque::new(),
            rep: (request.count != 0).then(|| Rep {
                request,
                values: values.into(),
            }),
        }
    }

    /// The next request, and the values that it writes.
    pub(super) fn request(&self) -> Option<(Request, Vec<u64>)> {
        if let Some(chunk) = self.chunks.front() {
            return Some((*chunk, vec![chunk.data]));
        }
        let rep = self.rep.as_ref()?;
        let request = rep.request;
        let (size, offset) = (u64::from(request.size), request.address % PAGE);
        let count = match PAGE - offset {
            _ if request.count == 1 => 1,
            tail if tail < size => 1,
            _ if request.backwards => u64::from(request.count).min((offset + size) / size),
            tail => u64::from(request.count).min(tail / size),
        };
        let values = rep.values.iter().copied().take(count as usize).collect();
        Some((
            Request {
                count: count as u32,
                ..request
            },
            values,
        ))
    }

    /// So many elements of the request are done.
    pub(super) fn advance(&mut self, done: u32) {
        if self.chunks.pop_front().is_some() {
            return;
        }
        let Some(rep) = &mut self.rep else { return };
        let request = &mut rep.request;
        let bytes = u64::from(request.size) * u64::from(done);
        let moved = |address: u64| match request.backwards {
            true => address.wrapping_sub(bytes),
            false => address.wrapping_add(bytes),
        };
        request.address = moved(request.address);
        if request.pointer {
            request.data = moved(request.data);
        }
        request.count -= done;
        rep.values.drain(..(done as usize).min(rep.values.len()));
        if request.count == 0 {
            self.rep = None;
        }
    }
}

/// The address of an element of a request, and of what is copied from or to RAM with it.
pub(super) fn element(request: &Request, number: u32) -> (u64, u64) {
    let bytes = u64::from(request.size) * u64::from(number);
    if request.backwards {
        (
            request.address.wrapping_sub(bytes),
            request.data.wrapping_sub(bytes),
        )
    } else {
        (
            request.address.wrapping_add(bytes),
            request.data.wrapping_add(bytes),
        )
    }
}
