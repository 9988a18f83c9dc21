use std::collections::VecDeque;

use super::{Boxes, Closed, KEPT_BYTES, PushError};
use crate::sync::PUTS_PAST_LINE;

const KEPT: usize = KEPT_BYTES / size_of::<usize>();

fn pass(boxes: &Boxes<usize>, items: usize) {
    (0..items).for_each(|item| boxes.push(&mut Some(item), false, || ()).unwrap());
    let mut popped = None;
    for item in 0..items {
        assert!(boxes.pop(&mut popped));
        assert_eq!(popped.take(), Some(item));
    }
    assert!(!boxes.pop(&mut popped));
}

/// For how many items there is memory.
fn memory(boxes: &Boxes<usize>) -> usize {
    boxes.inbox.lock().items.capacity() + boxes.outbox.lock().capacity()
}

#[test]
fn memory_that_is_needed_no_more_is_given_back() {
    let boxes = Boxes::new(None);
    pass(&boxes, 100 * KEPT);
    assert!(memory(&boxes) >= 100 * KEPT);
    pass(&boxes, 1);
    assert!(memory(&boxes) <= 2 * KEPT);
}

#[test]
fn memory_that_is_needed_again_is_kept() {
    let boxes = Boxes::new(None);
    pass(&boxes, 10 * KEPT);
    pass(&boxes, 10 * KEPT);
    assert!(memory(&boxes) >= 2 * 10 * KEPT, "both boxes are in use");
}

/// What the boxes hold, counted anew at each question.
#[derive(Debug)]
struct Counted {
    capacity: u64,
    /// By number, and whether they are beyond the capacity.
    items: VecDeque<(usize, bool)>,
    permits: u64,
    /// How many puts went before the line, if there is one.
    passed: Option<u64>,
    closed: Closed,
}

impl Counted {
    fn has_room(&self, by_right: bool) -> bool {
        let used = self.permits + self.items.iter().filter(|(_, beyond)| !beyond).count() as u64;
        let kept = u64::from(!by_right && self.passed.is_some_and(|passed| passed >= PUTS_PAST_LINE));
        used + kept < self.capacity
    }

    fn put(&self, by_right: bool) -> Result<(), PushError> {
        match self.closed {
            Closed::Nobody if self.has_room(by_right) => Ok(()),
            Closed::Nobody => Err(PushError::Full),
            Closed::Producers | Closed::Everybody => Err(PushError::Closed),
        }
    }

    fn put_anyway(&self) -> Result<(), PushError> {
        if self.closed == Closed::Everybody { Err(PushError::Closed) } else { Ok(()) }
    }

    fn count_pass(&mut self) {
        self.passed = self.passed.map(|passed| passed + 1);
    }
}

/// The limit says at each moment what a count of all items and permits would say.
#[test]
fn d5_d11_a_put_finds_room_exactly_where_there_is_some() {
    for seed in 0..500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let capacity = [Some(1), Some(2), Some(3), Some(40), Some(usize::MAX), None][random.usize(..6)];
        let boxes = Boxes::new(capacity);
        let (items, capacity) = (VecDeque::new(), capacity.map_or(u64::MAX, |capacity| capacity as u64));
        let mut model = Counted { capacity, items, permits: 0, passed: None, closed: Closed::Nobody };
        for number in 0..1500 {
            let (mut put, by_right, step) = (Some(number), random.u8(..4) == 0, random.u32(..1010));
            let (seen, expected) = match step / 100 {
                0..=2 => {
                    let results = (boxes.push(&mut put, by_right, || ()), model.put(by_right));
                    if results.1.is_ok() {
                        model.items.push_back((number, false));
                        model.count_pass();
                    }
                    results
                }
                3 => {
                    let results = (boxes.push_beyond(&mut put, || ()), model.put_anyway());
                    if results.1.is_ok() {
                        model.items.push_back((number, true));
                    }
                    results
                }
                4 => {
                    let results = (boxes.reserve(by_right), model.put(by_right));
                    model.permits += u64::from(results.1.is_ok());
                    results
                }
                5 if model.permits > 0 => {
                    let results = (boxes.push_reserved(&mut put, || ()), model.put_anyway());
                    model.permits -= 1;
                    if results.1.is_ok() {
                        model.items.push_back((number, false));
                        model.count_pass();
                    }
                    results
                }
                6 if model.permits > 0 => {
                    boxes.cancel_reserve();
                    model.permits -= 1;
                    (Ok(()), Ok(()))
                }
                7..=8 => {
                    let mut popped = None;
                    assert_eq!(boxes.pop(&mut popped), popped.is_some());
                    assert_eq!(popped, model.items.pop_front().map(|(number, _)| number), "D1, with seed {seed}");
                    (Ok(()), Ok(()))
                }
                // Seldom, so that a place comes to be kept.
                9 if step > 990 => {
                    model.passed = match model.passed {
                        None => {
                            boxes.begin_line();
                            Some(0)
                        }
                        Some(_) if random.bool() => {
                            boxes.move_line();
                            Some(0)
                        }
                        Some(_) => {
                            boxes.end_line();
                            None
                        }
                    };
                    (Ok(()), Ok(()))
                }
                10 if step > 1008 && number > 1000 => {
                    let closed = if random.bool() { Closed::Producers } else { Closed::Everybody };
                    boxes.close(closed);
                    model.closed = model.closed.max(closed);
                    (Ok(()), Ok(()))
                }
                _ => (Ok(()), Ok(())),
            };
            assert_eq!(seen, expected, "seed {seed}, put {number}: {model:?}");
            assert!(seen.is_ok() || put.is_some(), "an item that is refused comes back");
            // Not at each step, as these looks take what has left off the list.
            if random.u8(..8) == 0 {
                assert!(boxes.may_have_room() || !model.has_room(true), "a put that waits is told");
                let rooms = [false, true].map(|by_right| (boxes.has_room(by_right), model.has_room(by_right)));
                assert!(rooms.iter().all(|(seen, expected)| seen == expected), "seed {seed}, {number}: {model:?}");
            }
            let empty = model.items.is_empty();
            assert_eq!((boxes.len(), boxes.is_empty(), boxes.seems_empty()), (model.items.len(), empty, empty));
            assert_eq!(boxes.permits() as u64, model.permits);
            let lock = boxes.inbox.lock();
            assert!(boxes.inbox.count() <= lock.limit, "a put has to meet it");
        }
    }
}

/// The limit that was set before the line began is beyond the puts that may go first.
#[test]
fn d11_a_place_is_kept_also_for_a_line_that_begins_beside_room() {
    let boxes = Boxes::new(Some(PUTS_PAST_LINE as usize + 8));
    boxes.begin_line();
    for number in 0..PUTS_PAST_LINE as usize + 7 {
        boxes.push(&mut Some(number), false, || ()).unwrap();
    }
    assert_eq!(boxes.push(&mut Some(0), false, || ()), Err(PushError::Full));
    boxes.push(&mut Some(0), true, || ()).unwrap();
}
