//! How much may go on at the same time.

use futures::channel::oneshot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// Lets so many in at the same time; the others wait in a queue, or go another way.
#[derive(Clone)]
pub(crate) struct Gate(Rc<Places>);

struct Places {
    free: Cell<usize>,
    queue: RefCell<VecDeque<oneshot::Sender<Place>>>,
}

/// Somebody who is in. Dropping it lets the next one in, also when it was handed over to somebody who is gone.
pub(crate) struct Place(Rc<Places>);

impl Gate {
    pub(crate) fn new(places: usize) -> Self {
        Self(Rc::new(Places { free: Cell::new(places), queue: RefCell::default() }))
    }

    /// None: there are enough.
    pub(crate) fn try_enter(&self) -> Option<Place> {
        let left = self.0.free.get().checked_sub(1)?;
        self.0.free.set(left);
        Some(Place(self.0.clone()))
    }

    /// Waits for a place. Dropping the future leaves the queue.
    pub(crate) async fn enter(&self) -> Place {
        loop {
            if let Some(place) = self.try_enter() {
                return place;
            }
            let (next, handed_over) = oneshot::channel();
            self.0.queue.borrow_mut().push_back(next);
            // The queue lives as long as this gate, so nobody drops the sender unused.
            if let Ok(place) = handed_over.await {
                return place;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let next = self.0.queue.borrow_mut().pop_front();
        match next {
            // Back as an error from somebody who left, and dropped here: the one after him is next.
            Some(next) => drop(next.send(Self(self.0.clone()))),
            None => self.0.free.set(self.0.free.get() + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::future::{join, poll_immediate};
    use std::pin::pin;

    #[test]
    fn not_more_enter_than_may() {
        let gate = Gate::new(2);
        let (first, second) = (gate.try_enter(), gate.try_enter());
        assert!(first.is_some() && second.is_some() && gate.try_enter().is_none());
        drop(first);
        assert!(gate.try_enter().is_some());
        drop(second);
        assert_eq!(gate.0.free.get(), 2);
    }

    #[test]
    fn who_waits_comes_in_and_who_left_is_passed_over() {
        let gate = Gate::new(1);
        block_on(async {
            let place = gate.enter().await;
            let mut left = Box::pin(gate.enter());
            let mut waits = pin!(gate.enter());
            assert!(poll_immediate(&mut left).await.is_none());
            assert!(poll_immediate(&mut waits).await.is_none());
            drop(left);
            let ((), second) = join(async { drop(place) }, waits).await;
            assert!(gate.try_enter().is_none());
            // One who leaves after it was handed over.
            let mut late = Box::pin(gate.enter());
            assert!(poll_immediate(&mut late).await.is_none());
            drop(second);
            drop(late);
            assert!(gate.try_enter().is_some());
        });
    }
}
