//! Requests that wait inside the simulator until they are let go, first come first.
//!
//! A waiter that leaves is forgotten at once; a release lets go only those who wait, and is never saved up for later.

use std::collections::VecDeque;
use tokio::sync::oneshot;

/// Why a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Not answered at all.
    Hang,
    /// Admitted, not yet answered.
    Gate,
    /// In the middle of a stream.
    Stall,
}

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Holds {
    waiting: VecDeque<(u64, Hold, oneshot::Sender<()>)>,
    next: u64,
}

impl Holds {
    /// Joins the end of the row; the number is for [`Holds::leave`].
    pub(super) fn join(&mut self, why: Hold) -> (u64, oneshot::Receiver<()>) {
        let (let_go, wait) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.waiting.push_back((number, why, let_go));
        (number, wait)
    }

    /// Leaves the row, released or not.
    pub(super) fn leave(&mut self, number: u64) {
        self.waiting.retain(|(other, ..)| *other != number);
    }

    /// Lets the first `count` go; tells how many there were.
    pub(super) fn release(&mut self, count: usize) -> usize {
        let going = count.min(self.waiting.len());
        for (_, _, let_go) in self.waiting.drain(..going) {
            // A waiter that left in this instant needs no word.
            let _ = let_go.send(());
        }
        going
    }

    /// Lets all go that wait for a reason that no longer holds.
    pub(super) fn keep(&mut self, holds: impl Fn(Hold) -> bool) {
        self.waiting.retain(|(_, why, _)| holds(*why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_come_is_the_first_to_go() {
        let mut holds = Holds::default();
        let (_, mut first) = holds.join(Hold::Gate);
        let (left, _) = holds.join(Hold::Gate);
        let (_, mut third) = holds.join(Hold::Hang);
        holds.leave(left);
        assert_eq!(holds.release(1), 1);
        assert!(first.try_recv().is_ok() && third.try_recv().is_err());
        assert_eq!(holds.release(5), 1);
        assert_eq!(holds.release(5), 0);
    }

    #[test]
    fn a_reason_that_ends_lets_its_waiters_go() {
        let mut holds = Holds::default();
        let (_, mut gated) = holds.join(Hold::Gate);
        let (_, mut hung) = holds.join(Hold::Hang);
        holds.keep(|why| why == Hold::Hang);
        // A dropped sender is a release as good as a sent word.
        assert_eq!(gated.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(hung.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }
}
