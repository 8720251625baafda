//! Runs a function of an image the way Xen's CPU would.
//!
//! Xen finds `current`, the CPU number and the per-CPU area in a structure at the top of its 32 KiB
//! stack, so each call gets such a stack. What the machine would raise comes back as a [`Trap`]:
//! BUG and ASSERT (an invalid opcode), a wild access, or an endless loop. An access to the fixmap
//! is no fault: it is carried out on a modelled device, see [`crate::mmio`].

use std::arch::naked_asm;
use std::mem::offset_of;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

use anyhow::{Result, ensure};

use crate::env;
use crate::loader;
use crate::memory::Mapping;
use crate::mmio;
use crate::trace::Event;
use crate::trap::{CASE, Exit, Frame, RUNNING, TRAP, finish, warnings};
use crate::valgrind;

/// Xen's STACK_SIZE.
const STACK: usize = 0x8000;
/// What callee-saved registers hold on entry, to see that they come back.
const CANARY: u64 = 0x5ca1_ab1e_0b5e_55ed;
const WRMSR: [u8; 2] = [0x0f, 0x30];
const RDMSR: [u8; 2] = [0x0f, 0x32];
const UD2: [u8; 2] = [0x0f, 0x0b];
const CLI: u8 = 0xfa;
const STI: u8 = 0xfb;
/// Seconds of CPU time after which a call counts as endless: on a loaded machine others take most.
const PATIENCE: libc::time_t = 5;

/// What RDMSR reads, in files that use it.
static READ_MSR: OnceLock<fn(u32) -> u64> = OnceLock::new();

/// What learns of each WRMSR, in files that have a use for it.
static WRITE_MSR: OnceLock<fn(u32)> = OnceLock::new();

/// Lets RDMSR read by a function from now on.
pub(crate) fn read_msrs_by(read: fn(u32) -> u64) {
    READ_MSR.get_or_init(|| read);
}

/// Tells a function of each WRMSR from now on.
pub(crate) fn tell_msrs_to(write: fn(u32)) {
    WRITE_MSR.get_or_init(|| write);
}

/// The stack that calls run on.
pub(crate) struct Cpu {
    map: Mapping,
    /// Whether callgrind counts the calls to come.
    pub(crate) counted: bool,
    /// Whether [`env::look_on`] is called after each instruction of the calls to come.
    pub(crate) stepped: bool,
}

/// Counts calls, so that the watchdog knows a long one from many short ones.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// Whether signals are handled on a stack of their own.
static SIGNAL_STACK: AtomicI32 = AtomicI32::new(libc::SA_ONSTACK);

/// Lets accesses to the fixmap be carried out on the stack of the call, from the first [`Cpu`] on:
/// callgrind gives up when a handler has another one.
pub(crate) fn handle_signals_on_calls_stack() {
    SIGNAL_STACK.store(0, Ordering::Relaxed);
}

impl Cpu {
    /// Makes the stack; installs the signal handlers of the process on first use.
    pub(crate) fn new() -> Result<Self> {
        install_handlers()?;
        Ok(Self {
            map: Mapping::new(2 * STACK)?,
            counted: false,
            stepped: false,
        })
    }

    /// The structure that says which CPU runs.
    pub(crate) fn info(&self) -> *mut xen_sys::cpu_info {
        let top = (self.map.base() + STACK).next_multiple_of(STACK);
        (top - size_of::<xen_sys::cpu_info>()) as *mut xen_sys::cpu_info
    }

    /// Sets what `current` and `smp_processor_id()` answer from now on.
    pub(crate) fn set_current(&mut self, vcpu: *mut xen_sys::vcpu, processor: u32) {
        // SAFETY: the structure lies in our mapping, and no call runs while `self` is borrowed
        // mutably.
        unsafe {
            (*self.info()).current_vcpu = vcpu;
            (*self.info()).processor_id = processor;
            (*self.info()).per_cpu_offset = loader::PER_CPU_OFFSET as u64;
        }
    }

    /// Sets how far the variables of the CPU that runs from now on lie from their templates.
    pub(crate) fn set_per_cpu_offset(&mut self, offset: u64) {
        // SAFETY: as in `set_current`.
        unsafe { (*self.info()).per_cpu_offset = offset };
    }

    /// Calls `function` with up to six integer arguments.
    pub(crate) fn call(&mut self, function: usize, arguments: &[u64]) -> Result<u64, Exit> {
        let mut frame = Frame {
            function,
            arguments: [0; 6],
            stack: self.info() as usize,
            host_stack: 0,
            result: 0,
            saved: [0; 5],
        };
        frame.arguments[..arguments.len()].copy_from_slice(arguments);
        if self.stepped {
            STEPPED.store(function, Ordering::Relaxed);
            frame.function = step_into as *const () as usize;
        }
        CALLS.fetch_add(1, Ordering::Relaxed);
        let outer = RUNNING.swap(&mut frame, Ordering::Relaxed);
        assert!(outer.is_null(), "calls do not nest");
        // SAFETY: the frame outlives the call, and the stack is ours alone. What the function
        // reaches is the memory of its side; should it leave that, the handler ends the call.
        unsafe {
            if self.counted {
                valgrind::request(valgrind::TOGGLE_COLLECT, 0);
                enter(&mut frame);
                valgrind::request(valgrind::TOGGLE_COLLECT, 0);
            } else {
                enter(&mut frame);
            }
        }
        RUNNING.store(ptr::null_mut(), Ordering::Relaxed);
        let trap = TRAP.swap(ptr::null_mut(), Ordering::Relaxed);
        if !trap.is_null() {
            // SAFETY: the pointer came from Box::into_raw in `leave`, and the swap made us its only
            // holder.
            return Err(*unsafe { Box::from_raw(trap) });
        }
        if frame.saved != [CANARY; 5] {
            return Err(Exit::Text(
                "a callee-saved register was not preserved".to_owned(),
            ));
        }
        Ok(frame.result)
    }
}

/// Switches to the stack of the frame, calls its function, and returns when that does or when a
/// trap ends it.
#[unsafe(naked)]
unsafe extern "C" fn enter(frame: *mut Frame) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi + {host_stack}], rsp",
        "mov rsp, [rdi + {stack}]",
        "mov rbx, rdi",
        "movabs rbp, {canary}",
        "mov r12, rbp",
        "mov r13, rbp",
        "mov r14, rbp",
        "mov r15, rbp",
        "mov rsi, [rbx + {arguments} + 8]",
        "mov rdx, [rbx + {arguments} + 16]",
        "mov rcx, [rbx + {arguments} + 24]",
        "mov r8, [rbx + {arguments} + 32]",
        "mov r9, [rbx + {arguments} + 40]",
        "mov rdi, [rbx + {arguments}]",
        "call [rbx + {function}]",
        "mov [rbx + {result}], rax",
        "mov [rbx + {saved}], rbp",
        "mov [rbx + {saved} + 8], r12",
        "mov [rbx + {saved} + 16], r13",
        "mov [rbx + {saved} + 24], r14",
        "mov [rbx + {saved} + 32], r15",
        "jmp {finish}",
        host_stack = const offset_of!(Frame, host_stack),
        stack = const offset_of!(Frame, stack),
        arguments = const offset_of!(Frame, arguments),
        function = const offset_of!(Frame, function),
        result = const offset_of!(Frame, result),
        saved = const offset_of!(Frame, saved),
        canary = const CANARY,
        finish = sym finish,
    )
}

/// Where code goes on that is stepped through; zero where none is.
static STEPPED: AtomicUsize = AtomicUsize::new(0);
/// The flag that has the CPU trap after each instruction.
const TRAP_FLAG: i64 = 1 << 8;

/// Goes on at [`STEPPED`], instruction by instruction. Nothing but the flags is changed.
#[unsafe(naked)]
unsafe extern "C" fn step_into() {
    naked_asm!(
        "pushfq",
        "or qword ptr [rsp], {flag}",
        "popfq",
        "jmp [rip + {stepped}]",
        flag = const TRAP_FLAG,
        stepped = sym STEPPED,
    )
}

/// An instruction of a call that is stepped through was carried out; `at` is the next one.
///
/// The functions that the code under test calls run at full speed: where one of them begins, its
/// way back leads through [`step_into`].
fn step(context: &mut libc::ucontext_t, frame: &Frame, at: usize) -> Result<(), String> {
    let registers = &mut context.uc_mcontext.gregs;
    let stack = registers[libc::REG_RSP as usize] as usize;
    if env::running_code().contains(&at) {
        return env::look_on();
    }
    registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
    if stack != frame.stack {
        let back = stack as *mut usize;
        // SAFETY: the code under test has just called a function, so that the way back is on top of
        // the stack of the call.
        unsafe {
            STEPPED.store(back.read(), Ordering::Relaxed);
            back.write(step_into as *const () as usize);
        }
    }
    Ok(())
}

/// Ends calls that take seconds of CPU time, from now on.
pub(crate) fn watch() -> Result<()> {
    let tick = libc::timeval {
        tv_sec: PATIENCE,
        tv_usec: 0,
    };
    let interval = libc::itimerval {
        it_interval: tick,
        it_value: tick,
    };
    // SAFETY: the value is valid, and the old one is not asked for.
    let result = unsafe { libc::setitimer(libc::ITIMER_PROF, &interval, ptr::null_mut()) };
    ensure!(result == 0, "cannot start a timer");
    Ok(())
}

fn install_handlers() -> Result<()> {
    static ONCE: std::sync::OnceLock<Result<(), String>> = std::sync::OnceLock::new();
    let result = ONCE.get_or_init(|| {
        // The handlers run while rsp is Xen's, so they need a stack of their own; it lives as long
        // as the process.
        let alternate = Mapping::new(16 * STACK).map_err(|error| error.to_string())?;
        let stack = libc::stack_t {
            ss_sp: alternate.base() as *mut _,
            ss_flags: 0,
            ss_size: 16 * STACK,
        };
        std::mem::forget(alternate);
        let mut action = libc::sigaction {
            sa_sigaction: on_signal as *const () as usize,
            sa_flags: libc::SA_SIGINFO | libc::SA_NODEFER | SIGNAL_STACK.load(Ordering::Relaxed),
            // SAFETY: an empty signal set is all zeroes.
            sa_mask: unsafe { std::mem::zeroed() },
            sa_restorer: None,
        };
        let mut ok = true;
        // SAFETY: the stack and the action are valid, and the handler has the prototype that
        // SA_SIGINFO asks for.
        unsafe {
            ok &= libc::sigaltstack(&stack, ptr::null_mut()) == 0;
            for signal in [
                libc::SIGILL,
                libc::SIGSEGV,
                libc::SIGBUS,
                libc::SIGFPE,
                libc::SIGTRAP,
            ] {
                ok &= libc::sigaction(signal, &action, ptr::null_mut()) == 0;
            }
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
            ok &= libc::sigaction(libc::SIGPROF, &action, ptr::null_mut()) == 0;
        }
        if ok {
            Ok(())
        } else {
            Err("cannot install signal handlers".to_owned())
        }
    });
    ensure!(
        result.is_ok(),
        "{}",
        result.as_ref().err().map_or("", String::as_str)
    );
    Ok(())
}

extern "C" fn on_signal(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    // SAFETY: the kernel passes a ucontext to a handler that asked for SA_SIGINFO, and nobody else
    // refers to it.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let frame = RUNNING.load(Ordering::Relaxed);
    let at = context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize;
    let in_object = env::running_text().contains(&at);
    if signal == libc::SIGPROF {
        let calls = CALLS.load(Ordering::Relaxed);
        if LAST.swap(calls, Ordering::Relaxed) != calls || frame.is_null() || !in_object {
            return;
        }
    }
    // SAFETY: the kernel passes what it knows of the signal.
    let is_step = signal == libc::SIGTRAP && unsafe { (*info).si_code } == libc::TRAP_TRACE;
    if is_step && !frame.is_null() {
        // SAFETY: the frame lives while the call runs.
        let Err(reason) = step(context, unsafe { &*frame }, at) else {
            return;
        };
        end(context, frame, Exit::Mmio { at, reason });
        return;
    }
    // SAFETY: for these signals the union holds an address.
    let address = unsafe { (*info).si_addr() } as usize;
    if frame.is_null() || !in_object {
        // The driver itself is at fault. Nothing can be unwound from here.
        let case = CASE.load(Ordering::Relaxed);
        eprintln!(
            "at seed {case} a function of the driver took signal {signal}, address {address:#x}: a wild argument"
        );
        std::process::abort();
    }
    if signal != libc::SIGPROF && step_over(context, at) {
        return;
    }
    let trap = match signal {
        libc::SIGPROF => Exit::Loop { at },
        libc::SIGILL => Exit::Bug { at },
        libc::SIGSEGV if mmio::is_fixmap(address) => match mmio::emulate(context, address) {
            Ok(()) => return,
            Err(reason) => Exit::Mmio { at, reason },
        },
        _ => Exit::Access {
            at,
            signal,
            address,
        },
    };
    end(context, frame, trap);
}

/// Ends the call where it was interrupted.
fn end(context: &mut libc::ucontext_t, frame: *mut Frame, trap: Exit) {
    TRAP.store(Box::into_raw(Box::new(trap)), Ordering::Relaxed);
    let registers = &mut context.uc_mcontext.gregs;
    registers[libc::REG_RBX as usize] = frame as i64;
    registers[libc::REG_RIP as usize] = finish as *const () as i64;
    registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
}

/// Does what the CPU or Xen does where a process gets a signal instead: accesses to MSRs, CLI and
/// STI, and WARN(), which goes on after its line on the console.
fn step_over(context: &mut libc::ucontext_t, at: usize) -> bool {
    let registers = &mut context.uc_mcontext.gregs;
    // SAFETY: the CPU has just tried to execute what is here; the loader leaves a page after the
    // code.
    let opcode = unsafe { (at as *const [u8; 2]).read() };
    if matches!(opcode[0], CLI | STI) {
        env::with(|env| env.irqs_on = opcode[0] == STI);
        registers[libc::REG_RIP as usize] += 1;
        return true;
    }
    match opcode {
        WRMSR => {
            let [msr, high, low] = [libc::REG_RCX, libc::REG_RDX, libc::REG_RAX]
                .map(|register| u64::from(registers[register as usize] as u32));
            let told = [msr, high << 32 | low, 0, 0, 0, 0];
            env::record(Event::Call("wrmsr", told));
            if let Some(write) = WRITE_MSR.get() {
                write(told[0] as u32);
            }
        }
        RDMSR => {
            let Some(read) = READ_MSR.get() else {
                return false;
            };
            let value = read(registers[libc::REG_RCX as usize] as u32);
            registers[libc::REG_RAX as usize] = i64::from(value as u32);
            registers[libc::REG_RDX as usize] = i64::from((value >> 32) as u32);
        }
        UD2 if warnings().contains(&at) => env::record(Event::Call("WARN", [0; 6])),
        _ => return false,
    }
    registers[libc::REG_RIP as usize] += opcode.len() as i64;
    true
}
