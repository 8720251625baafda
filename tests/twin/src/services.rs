//! The services of Xen that every replaced file uses: locks, memory, RCU, the console, softirqs.
//!
//! Each function here stands for the one of Xen with the same name. It keeps the contract that
//! callers rely on, and ends the call under test when a caller breaks its side: a lock taken twice,
//! memory asked for with interrupts off.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

use crate::bits;
use crate::loader::{Image, Import};
use crate::side::{Env, attempt, record, with};
use crate::trace::Event;

/// Finds the function or variable that stands for a symbol of Xen.
pub(crate) fn import(name: &str) -> Option<Import> {
    let function = match name {
        "_spin_lock" => spin_lock as *const (),
        "_spin_lock_irq" => spin_lock_irq as *const (),
        "_spin_lock_irqsave" => spin_lock_irqsave as *const (),
        "_spin_trylock" => spin_trylock as *const (),
        "_spin_is_locked" => spin_is_locked as *const (),
        "_spin_unlock" => spin_unlock as *const (),
        "_spin_unlock_irq" => spin_unlock_irq as *const (),
        "_spin_unlock_irqrestore" => spin_unlock_irqrestore as *const (),
        "queue_write_lock_slowpath" | "queue_read_lock_slowpath" => rwlock_slowpath as *const (),
        "check_lock" | "lock_enter" | "lock_exit" => lock_debug as *const (),
        "pcidevs_locked" => pcidevs_locked as *const (),
        "_xmalloc" => xmalloc as *const (),
        "_xzalloc" => xzalloc as *const (),
        "xfree" => xfree as *const (),
        "call_rcu" => call_rcu as *const (),
        "process_pending_softirqs" => process_pending_softirqs as *const (),
        "__domain_crash" => domain_crash as *const (),
        "memcpy" => libc::memcpy as *const (),
        "memmove" => libc::memmove as *const (),
        "memset" => libc::memset as *const (),
        "memcmp" => libc::memcmp as *const (),
        "strlen" => libc::strlen as *const (),
        "strnlen" => libc::strnlen as *const (),
        "printk" => return Some(Import::Variadic(printk as *const () as usize)),
        "per_cpu____preempt_count" | "per_cpu__rcu_lock_cnt" => return Some(Import::PerCpu(4)),
        "opt_hvm_debug_level" => return Some(Import::Variable(4)),
        _ => return None,
    };
    Some(Import::Call(function as usize))
}

/// Ticket locks count in halves of a word: the low one is served next, the high one is handed out
/// next.
fn tickets(lock: u64) -> (u16, u16) {
    // SAFETY: a lock that the code under test passes lies in its world or its image.
    let word = unsafe { (lock as *const u32).read() };
    (word as u16, (word >> 16) as u16)
}

fn set_tickets(lock: u64, head: u16, tail: u16) {
    // SAFETY: as above, and nothing else refers to the world while a call runs.
    unsafe { (lock as *mut u32).write(u32::from(head) | u32::from(tail) << 16) };
}

/// Whether a spin lock is held.
pub(crate) fn is_locked(lock: u64) -> bool {
    let (head, tail) = tickets(lock);
    head != tail
}

/// Takes a spin lock for another CPU, or for the caller of the code under test.
pub(crate) fn force_lock(lock: u64) {
    let (head, tail) = tickets(lock);
    set_tickets(lock, head, tail.wrapping_add(1));
}

/// Releases a spin lock.
pub(crate) fn force_unlock(lock: u64) {
    // Back to the beginning: the word says whether the lock is held, not how often it was.
    set_tickets(lock, 0, 0);
}

/// Takes a lock. Locks outside the world are the side's own: they must balance, but are not traced.
pub(crate) fn lock(env: &mut Env, lock: u64, irq: bool) -> Result<(), String> {
    if is_locked(lock) {
        return Err("a spin lock that is held already".to_owned());
    }
    env.guard.map_or(Ok(()), |look| look(env))?;
    let place = env.arena.offset(lock);
    if place >> 63 == 0 {
        env.record(Event::Lock { lock: place, irq });
    }
    force_lock(lock);
    env.held.push(lock);
    if irq {
        env.irqs_on = false;
    }
    Ok(())
}

/// Releases a lock.
pub(crate) fn unlock(env: &mut Env, lock: u64, irq: bool) -> Result<(), String> {
    if !is_locked(lock) {
        return Err("the release of a spin lock that is not held".to_owned());
    }
    env.guard.map_or(Ok(()), |look| look(env))?;
    force_unlock(lock);
    env.held.retain(|held| *held != lock);
    let place = env.arena.offset(lock);
    if place >> 63 == 0 {
        env.record(Event::Unlock { lock: place, irq });
    }
    Ok(())
}

/// RFLAGS with nothing in it but the interrupt flag.
pub(crate) fn flags(env: &Env) -> u64 {
    0x2 | u64::from(env.irqs_on) << 9
}

extern "C" fn spin_lock(address: u64) {
    attempt(|env| lock(env, address, false));
}

extern "C" fn spin_lock_irq(address: u64) {
    attempt(|env| {
        if !env.irqs_on {
            return Err("spin_lock_irq() with interrupts off".to_owned());
        }
        lock(env, address, true)
    });
}

pub(crate) extern "C" fn spin_lock_irqsave(address: u64) -> u64 {
    attempt(|env| {
        let flags = flags(env);
        lock(env, address, true).map(|()| flags)
    })
}

/// A bool comes back in the lowest byte; the psABI says nothing of the others.
pub(crate) fn garble(value: bool) -> u64 {
    0xdead_beef_dead_be00 | u64::from(value)
}

extern "C" fn spin_trylock(address: u64) -> u64 {
    attempt(|env| {
        if is_locked(address) {
            Ok(garble(false))
        } else {
            lock(env, address, false).map(|()| garble(true))
        }
    })
}

extern "C" fn spin_is_locked(address: u64) -> u64 {
    garble(is_locked(address))
}

extern "C" fn spin_unlock(address: u64) {
    attempt(|env| unlock(env, address, false));
}

extern "C" fn spin_unlock_irq(address: u64) {
    attempt(|env| {
        unlock(env, address, true)?;
        env.irqs_on = true;
        Ok(())
    });
}

pub(crate) extern "C" fn spin_unlock_irqrestore(address: u64, flags: u64) {
    attempt(|env| {
        unlock(env, address, true)?;
        env.irqs_on = flags & 1 << 9 != 0;
        Ok(())
    });
}

extern "C" fn rwlock_slowpath(_lock: u64) {
    crate::side::fault("a read-write lock that nobody will release".to_owned());
}

extern "C" fn lock_debug() {}

extern "C" fn pcidevs_locked() -> u64 {
    garble(false)
}

/// xmalloc()'s own lock may be taken with interrupts on only, and under no lock that is taken with
/// them off.
fn may_allocate(env: &Env) -> Result<(), String> {
    if env.irqs_on {
        Ok(())
    } else {
        Err("the allocator was called with interrupts off".to_owned())
    }
}

fn allocate(len: u64, align: u64, zeroed: bool) -> u64 {
    attempt(|env| {
        may_allocate(env)?;
        if len as usize > env.heap.most {
            return Err(format!("{len} bytes are asked for at once"));
        }
        env.heap.allocate(len as usize, align as usize, zeroed)
    })
}

pub(crate) extern "C" fn xmalloc(len: u64, align: u64) -> u64 {
    allocate(len, align, false)
}

pub(crate) extern "C" fn xzalloc(len: u64, align: u64) -> u64 {
    allocate(len, align, true)
}

pub(crate) extern "C" fn xfree(address: u64) {
    attempt(|env| {
        may_allocate(env)?;
        env.heap.free(address, env.in_callback)
    });
}

extern "C" fn call_rcu(head: u64, function: u64) {
    with(|env| env.rcu.push((function, head)));
}

extern "C" fn process_pending_softirqs() {
    attempt(|env| {
        env.record(Event::Call("process_pending_softirqs", [0; 6]));
        if !env.irqs_on || !env.held.is_empty() {
            return Err("softirqs processed under a spin lock, or with interrupts off".to_owned());
        }
        Ok(())
    });
    if let Some((act, address)) = with(|env| env.script.meanwhile) {
        act(address);
    }
}

extern "C" fn domain_crash(domain: u64) {
    with(|env| {
        let domain = env.arena.offset(domain);
        env.record(Event::Call("__domain_crash", [domain, 0, 0, 0, 0, 0]));
    });
}

/// vsnprintf() of Xen, which knows its own format extensions.
static VSNPRINTF: AtomicUsize = AtomicUsize::new(0);

/// Keeps the image that holds Xen's own vsnprintf() for the rest of the process.
pub(crate) fn set_formatter(image: Image) -> Result<()> {
    VSNPRINTF.store(image.symbol("vsnprintf")?, Ordering::Relaxed);
    std::mem::forget(image);
    Ok(())
}

/// What stands for the imports of Xen's vsnprintf().
pub(crate) fn formatter_import(name: &str) -> Option<Import> {
    match name {
        "strlen" | "strnlen" => import(name),
        "symbols_lookup" => Some(Import::Call(symbols_lookup as *const () as usize)),
        _ => bits::import(name),
    }
}

/// No symbol has a name: an address is printed as one.
extern "C" fn symbols_lookup() -> u64 {
    0
}

/// The System V argument list: all of the registers but the first are left to read.
#[repr(C)]
struct ArgumentList {
    next_integer: u32,
    next_float: u32,
    stack: *const u64,
    registers: *const u64,
}

extern "C" fn printk(registers: *const u64, stack: *const u64) {
    let mut list = ArgumentList {
        next_integer: 8,
        next_float: 48,
        stack,
        registers,
    };
    let mut text = [0u8; 512];
    let vsnprintf = VSNPRINTF.load(Ordering::Relaxed);
    assert!(vsnprintf != 0, "the formatter is loaded before a side");
    // SAFETY: the address is that of vsnprintf() in an image that is never dropped; Xen's prototype
    // is this one. The glue saved six registers, the first of which is the format.
    let len = unsafe {
        let vsnprintf: extern "C" fn(*mut u8, usize, u64, *mut ArgumentList) -> i32 =
            std::mem::transmute::<usize, _>(vsnprintf);
        vsnprintf(text.as_mut_ptr(), text.len(), registers.read(), &mut list)
    };
    let len = (len.max(0) as usize).min(text.len() - 1);
    record(Event::Log(without_places(&String::from_utf8_lossy(
        &text[..len],
    ))));
}

/// Replaces `file.c:123`: a crash or a debug line names the source that holds it, which is another
/// one in Rust.
fn without_places(text: &str) -> String {
    let is_place = |word: &str| {
        let (file, rest) = word.split_once(':').unwrap_or_default();
        (file.ends_with(".c") || file.ends_with(".rs"))
            && rest.starts_with(|first: char| first.is_ascii_digit())
    };
    let words: Vec<_> = text
        .split(' ')
        .map(|word| if is_place(word) { "(place)" } else { word })
        .collect();
    words.join(" ")
}
