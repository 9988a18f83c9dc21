//! The way back of items whose lease ended unsettled.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::queue::effects::{drop_quietly, log_lost, wake};
use crate::queue::report::clock::Ticks;
use crate::queue::shared::{Control, RETURNED, Shared};
use crate::queue::store::delayed::Call;
use crate::queue::store::returned::ReturnedItem;

impl<T> Shared<T> {
    /// Takes an item back whose lease ended unsettled. One that failed may have to wait.
    pub(crate) fn take_back(self: &Arc<Self>, returned: ReturnedItem<T>, failed: bool) {
        let redelivery = self.redelivery.as_ref().filter(|_| failed);
        let delay = redelivery.map(|redelivery| redelivery.backoff.delay(returned.attempts));
        let due = delay.filter(|delay| !delay.is_zero()).map(|delay| self.clock.now() + delay);
        let (waker, call) = {
            let mut control = self.control();
            let lost = control.is_lost() && control.ended().is_none();
            if lost || control.ended().is_some() {
                control.discarded += 1;
                drop(control);
                log_lost(&self.label(), usize::from(lost));
                return drop_quietly(returned.item);
            }
            control.redelivered += 1;
            match due {
                None => (self.put_back(&mut control, returned), Call::Nothing),
                Some(due) => (None, control.delayed.insert(due, returned)),
            }
        };
        wake(waker);
        match (call, redelivery) {
            (Call::LookAgain(timer), _) => timer.unpark(),
            (Call::Start, Some(redelivery)) => (redelivery.start_timer)(self),
            (Call::Start, None) | (Call::Nothing, _) => {}
        }
    }

    /// An item is there again, for takers.
    fn put_back(&self, control: &mut Control<T>, returned: ReturnedItem<T>) -> Option<Waker> {
        let giver = returned.consumer;
        control.returned.insert(returned);
        self.raise(control, RETURNED);
        self.notify_of_return(control, giver)
    }

    /// Brings back what is due, and says how long the timer may sleep. `None` if nothing waits any
    /// more: then the timer is to end.
    pub(crate) fn release_due(&self) -> Option<Duration> {
        self.release(self.clock.now())
    }

    /// There is no timer: everything comes back now.
    pub(crate) fn release_all(&self) {
        // More may come before it is known that there is no timer.
        while self.release(Ticks::MAX).is_some() {}
    }

    fn release(&self, now: Ticks) -> Option<Duration> {
        let wakers = {
            let mut control = self.control();
            let mut wakers = Vec::new();
            while let Some(returned) = control.delayed.pop_due(now) {
                wakers.extend(self.put_back(&mut control, returned));
            }
            wakers
        };
        // Before it is asked how long to sleep: a waker that parks this thread may use up its unpark.
        wake(wakers);
        self.control().delayed.sleep(now)
    }
}
