//! Room for request bodies: how many bytes of them are held at a time, over all clients.
//!
//! One body is bounded by itself, but exchanges that wait keep theirs, and many together would take what
//! memory there is. Knows neither bodies nor requests, only bytes. Invariant: whoever waits in line holds
//! nothing, so that those who wait never wait for each other.

use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one permit. A semaphore counts to 2^29 on small machines, and takes no more than 2^32 at once.
const UNIT: usize = 1_024;

/// The room that all bodies share.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    room: Arc<Semaphore>,
    held: Gauge,
}

/// A body's part of the room. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Held {
    bodies: Bodies,
    permit: OwnedSemaphorePermit,
    bytes: usize,
}

impl Bodies {
    /// Room for so many bytes, rounded up to a kibibyte; `held` shows how many are taken.
    pub(super) fn new(bytes_max: usize, held: Gauge) -> Bodies {
        Bodies { room: Arc::new(Semaphore::new(bytes_max.div_ceil(UNIT))), held }
    }

    /// Waits in line for room for `bytes`. More than all room never comes.
    pub(super) async fn hold(&self, bytes: usize) -> Held {
        let permit = Arc::clone(&self.room).acquire_many_owned(units(bytes)).await;
        let permit = permit.expect("the room is never closed");
        self.held.inc_by(gauged(bytes));
        Held { bodies: self.clone(), permit, bytes }
    }
}

impl Held {
    /// Holds `bytes` in all, if there is room for them at once; it takes nothing if not.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let more = units(bytes).saturating_sub(units(self.bytes));
        let Ok(permit) = Arc::clone(&self.bodies.room).try_acquire_many_owned(more) else { return false };
        self.permit.merge(permit);
        self.bodies.held.inc_by(gauged(bytes.saturating_sub(self.bytes)));
        self.bytes = self.bytes.max(bytes);
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bodies.held.dec_by(gauged(self.bytes));
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

fn gauged(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn bodies(bytes_max: usize) -> (Bodies, Gauge) {
        let held = Gauge::default();
        (Bodies::new(bytes_max, held.clone()), held)
    }

    #[tokio::test]
    async fn who_finds_no_room_waits_in_line_until_a_body_is_gone() {
        let (bodies, held) = bodies(8 * UNIT);
        let first = bodies.hold(6 * UNIT).await;
        let mut second = Box::pin(bodies.hold(3 * UNIT));
        assert!(second.as_mut().now_or_never().is_none(), "it does not fit");
        let mut third = Box::pin(bodies.hold(UNIT));
        assert!(third.as_mut().now_or_never().is_none(), "nobody overtakes a larger one");
        assert_eq!(held.get(), 6 * 1_024, "who waits holds nothing");
        drop(first);
        let both = (second.await, third.await);
        assert_eq!(held.get(), 4 * 1_024);
        drop(both);
        assert_eq!((held.get(), bodies.room.available_permits()), (0, 8));
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_grows_while_there_is_room() {
        let (bodies, held) = bodies(4 * UNIT);
        let mut body = bodies.hold(0).await;
        for bytes in [1, 1_024, 1_025, 3 * UNIT] {
            assert!(body.grow(bytes), "{bytes}");
            assert_eq!(held.get(), gauged(bytes));
        }
        assert!(body.grow(UNIT), "it has that much already");
        let other = bodies.hold(UNIT).await;
        assert!(!body.grow(3 * UNIT + 1));
        assert_eq!(held.get(), 4 * 1_024, "what did not fit is not held");
        drop(other);
        assert!(body.grow(4 * UNIT));
        drop(body);
        assert_eq!((held.get(), bodies.room.available_permits()), (0, 4));
    }

    #[tokio::test]
    async fn who_leaves_the_line_leaves_nothing_behind() {
        let (bodies, held) = bodies(2 * UNIT);
        let first = bodies.hold(UNIT).await;
        let mut second = Box::pin(bodies.hold(2 * UNIT));
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        drop(first);
        assert_eq!((held.get(), bodies.room.available_permits()), (0, 2));
    }
}
