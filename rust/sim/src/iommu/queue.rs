//! A queue of commands to an IOMMU: VT-d's invalidation queue (section 6.5.2), AMD's command buffer
//! (48882, section 2.4).
//!
//! Software writes commands at the tail; the IOMMU takes them from the head, in order. When it
//! reaches a wait command (VT-d: invalidation wait descriptor; AMD: COMPLETION_WAIT), all before it
//! are done, and it writes the number that the command bears to memory.

use std::collections::VecDeque;

/// How fast an IOMMU takes commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// All there are, in one step.
    Immediate,
    /// One command each time that many steps have gone by.
    Slow(u32),
    /// Never.
    Stopped,
}

/// How a queue behaves.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// How fast commands are taken.
    pub pace: Pace,
    /// How many commands it has room for.
    pub room: usize,
    /// How many steps whoever waits for the queue waits at most.
    pub patience: u32,
}

/// The queue did not move as long as somebody was willing to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

/// There is no room for another command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A command.
#[derive(Clone, Copy, Debug)]
enum Command<S> {
    /// Forget the entries of a scope.
    Forget(S),
    /// Write this number.
    Wait(u64),
    /// Something of another producer that has nothing to do with interrupts.
    Other,
}

/// A queue of commands.
#[derive(Clone, Debug)]
pub struct Queue<S> {
    // Configuration.
    behaviour: Behaviour,
    // Volatile state.
    ring: VecDeque<Command<S>>,
    /// Steps since the last command was taken.
    steps: u32,
    /// The number of the last wait command that was written to the queue.
    issued: u64,
    /// The number that the IOMMU wrote last.
    done: u64,
    refused: u32,
    timed_out: u32,
}

impl<S> Queue<S> {
    /// An empty queue.
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            ring: VecDeque::new(),
            steps: 0,
            issued: 0,
            done: 0,
            refused: 0,
            timed_out: 0,
        }
    }

    /// Changes how fast commands are taken.
    pub fn set_pace(&mut self, pace: Pace) {
        self.behaviour.pace = pace;
    }

    /// How many steps whoever waits for the queue waits at most.
    pub fn patience(&self) -> u32 {
        self.behaviour.patience
    }

    /// How often a producer found no room.
    pub fn refused(&self) -> u32 {
        self.refused
    }

    /// How often somebody waited in vain.
    pub fn timed_out(&self) -> u32 {
        self.timed_out
    }

    /// Somebody waited in vain.
    pub fn time_out(&mut self) -> TimedOut {
        self.timed_out += 1;
        TimedOut
    }

    /// Puts a command at the tail that makes the IOMMU forget a scope.
    pub fn forget(&mut self, scope: S) -> Result<(), Full> {
        self.push(Command::Forget(scope))
    }

    /// Puts a wait command at the tail; returns its number.
    pub fn wait(&mut self) -> Result<u64, Full> {
        self.push(Command::Wait(self.issued + 1))?;
        self.issued += 1;
        Ok(self.issued)
    }

    /// Other producers fill the queue to the brim.
    pub fn crowd(&mut self) {
        while self.ring.len() < self.behaviour.room {
            self.ring.push_back(Command::Other);
        }
    }

    /// Whether the wait command of that number was reached.
    pub fn is_done(&self, number: u64) -> bool {
        self.done >= number
    }

    /// Makes a step; returns the scopes to forget in it.
    pub fn step(&mut self) -> Vec<S> {
        let count = match self.behaviour.pace {
            Pace::Immediate => self.ring.len(),
            Pace::Slow(steps) if self.steps >= steps => 1,
            Pace::Slow(_) | Pace::Stopped => 0,
        };
        self.steps = if count == 0 { self.steps + 1 } else { 0 };
        let count = count.min(self.ring.len());
        let taken = self.ring.drain(..count);
        let mut scopes = Vec::new();
        for command in taken {
            match command {
                Command::Forget(scope) => scopes.push(scope),
                Command::Wait(number) => self.done = number,
                Command::Other => {}
            }
        }
        scopes
    }

    fn push(&mut self, command: Command<S>) -> Result<(), Full> {
        if self.ring.len() >= self.behaviour.room {
            self.refused += 1;
            return Err(Full);
        }
        self.ring.push_back(command);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(pace: Pace) -> Queue<char> {
        Queue::new(Behaviour {
            pace,
            room: 3,
            patience: 0,
        })
    }

    #[test]
    fn a_wait_command_is_reached_after_those_before_it() {
        let mut queue = queue(Pace::Slow(1));
        queue.forget('a').unwrap();
        let first = queue.wait().unwrap();
        queue.forget('b').unwrap();
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push((queue.step(), queue.is_done(first)));
        }
        let none = Vec::new;
        assert_eq!(
            seen,
            [
                (none(), false),
                (vec!['a'], false),
                (none(), false),
                (none(), true),
                (none(), true),
                (vec!['b'], true),
            ]
        );
    }

    #[test]
    fn a_full_queue_takes_no_command_until_its_head_moves() {
        let mut queue = queue(Pace::Slow(0));
        queue.crowd();
        assert_eq!(queue.forget('a'), Err(Full));
        assert_eq!(queue.wait(), Err(Full));
        assert_eq!(queue.refused(), 2);
        assert!(queue.step().is_empty());
        assert_eq!(queue.forget('a'), Ok(()));
        let scopes: Vec<_> = (0..3).flat_map(|_| queue.step()).collect();
        assert_eq!(scopes, ['a']);
    }

    #[test]
    fn an_immediate_queue_is_empty_after_a_step_and_a_stopped_one_never_moves() {
        for (pace, moves) in [(Pace::Immediate, true), (Pace::Stopped, false)] {
            let mut queue = queue(pace);
            queue.forget('a').unwrap();
            let number = queue.wait().unwrap();
            let scopes: Vec<_> = (0..100).flat_map(|_| queue.step()).collect();
            assert_eq!(scopes.len(), usize::from(moves));
            assert_eq!(queue.is_done(number), moves);
        }
    }
}
