//! Which of the items in memory are beyond the capacity.

use std::collections::VecDeque;
use std::ops::Range;

/// The numbers of items beyond the capacity that have not left: an item's number is how many were put before it.
///
/// As runs without a gap: between two of them is an item of a producer, and of these there are no more than the capacity.
/// So the list stays short however many children are put, and the lock under which it grows is not held for long.
#[derive(Debug, Default)]
pub(super) struct Overflow {
    runs: VecDeque<Range<u64>>,
    len: u64,
}

/// A list of this size is kept when it is empty.
const KEPT: usize = 16;

impl Overflow {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Adds a number, which is the highest.
    pub(super) fn push(&mut self, number: u64) {
        match self.runs.back_mut() {
            Some(run) if run.end == number => run.end += 1,
            _ => self.runs.push_back(number..number + 1),
        }
        self.len += 1;
    }

    /// Removes the numbers of items that have left, which are those below `taken`.
    pub(super) fn forget(&mut self, taken: u64) {
        while let Some(run) = self.runs.front_mut().filter(|run| run.start < taken) {
            let end = run.end.min(taken);
            self.len -= end - run.start;
            run.start = end;
            if !run.is_empty() {
                return;
            }
            self.runs.pop_front();
        }
        if self.len == 0 {
            self.runs.shrink_to(KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{KEPT, Overflow};

    #[test]
    fn d5_numbers_are_those_that_were_added_and_have_not_left() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..100 {
            let (mut overflow, mut numbers) = (Overflow::default(), BTreeSet::new());
            let (mut put, mut taken) = (0, 0);
            for _ in 0..200 {
                if random.bool() {
                    overflow.push(put);
                    numbers.insert(put);
                }
                put += u64::from(random.u8(..4) > 0 || numbers.contains(&put));
                if random.u8(..4) == 0 {
                    taken = random.u64(taken..=put);
                    overflow.forget(taken);
                    numbers = numbers.split_off(&taken);
                }
                assert_eq!(overflow.len(), numbers.len() as u64);
            }
            overflow.forget(put);
            assert_eq!((overflow.len(), overflow.runs.len()), (0, 0));
        }
    }

    #[test]
    fn children_in_a_row_need_no_memory_and_memory_is_given_back() {
        let mut overflow = Overflow::default();
        (0..1000).for_each(|number| overflow.push(number));
        assert_eq!((overflow.len(), overflow.runs.len()), (1000, 1));
        (1000..2000).for_each(|number| overflow.push(2 * number));
        assert_eq!((overflow.len(), overflow.runs.len()), (2000, 1001));
        overflow.forget(u64::MAX);
        assert!(overflow.runs.capacity() <= 2 * KEPT);
    }
}
