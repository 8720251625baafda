//! Stacks by hand. All that guests and CPUs can do with them is in `guests/tests.rs`.

use super::*;

#[test]
fn what_is_ready_waits_for_what_is_above() {
    let mut stack = EoiStack::<4>::new();
    let handled = |stack: &mut EoiStack<4>, vector| {
        stack.enter();
        let waits = stack.defer(9, vector);
        stack.leave();
        waits
    };
    assert!(handled(&mut stack, 0x50) == Ok(false) && stack.is_empty());
    for (irq, vector) in [(1, 0x31), (2, 0x41), (3, 0x61)] {
        assert_eq!(stack.push(irq, vector), Ok(()));
    }
    // Above all, it is ended at once; between others, it waits and is ready.
    assert_eq!(handled(&mut stack, 0x71), Ok(false));
    assert_eq!(handled(&mut stack, 0x51), Ok(true));
    // The stack is full: another does not get in, and the others stay.
    assert_eq!(stack.push(4, 0x71), Err(Full));
    assert_eq!(handled(&mut stack, 0x59), Err(Full));
    assert!(stack.set_ready(2) && stack.ready().is_none());
    assert!(stack.set_ready(3));
    for expected in [(3, 0x61), (9, 0x51), (2, 0x41)] {
        let top = stack.ready().unwrap();
        assert_eq!((top.irq(), top.vector()), expected);
        stack.pop();
    }
    assert!(stack.ready().is_none() && !stack.is_empty());
    stack.set_all_ready();
    assert_eq!(stack.ready().map(|top| top.irq()), Some(1));
    stack.pop();
    assert!(stack.is_empty());
}

#[test]
fn of_an_irq_that_waits_twice_the_last_is_ready() {
    let mut stack = EoiStack::<4>::new();
    for vector in [0x31, 0x41] {
        assert_eq!(stack.push(1, vector), Ok(()));
    }
    assert!(stack.set_ready(1));
    assert_eq!(stack.ready().map(|top| top.vector()), Some(0x41));
    stack.pop();
    assert!(stack.ready().is_none());
}

#[test]
fn what_is_ended_outside_of_handlers_never_waits() {
    let mut stack = EoiStack::<4>::new();
    assert_eq!(stack.push(1, 0x41), Ok(()));
    assert_eq!(stack.defer(2, 0x31), Ok(false));
    stack.enter();
    assert_eq!(stack.defer(2, 0x31), Ok(true));
    let waiting = stack.waiting().iter().copied();
    let waiting: std::vec::Vec<_> = waiting.map(|one| (one.irq(), one.is_ready())).collect();
    assert_eq!(waiting, [(2, true), (1, false)]);
}

#[test]
fn an_interrupt_is_four_bytes_with_all_that_is_known() {
    let one = Waiting::new(0x7f_fffe, 0xef, true);
    assert_eq!(
        (one.irq(), one.vector(), one.is_ready()),
        (0x7f_fffe, 0xef, true)
    );
    assert_eq!(size_of::<EoiStack>(), 832);
    assert!(EoiStack::<4>::new().is_empty());
}
