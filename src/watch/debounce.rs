//! When a batch of events becomes a change: pure, the time is an argument.
//!
//! A lone save fires after two milliseconds of quiet. The more paths a batch has, the longer
//! the quiet must be; while git holds `index.lock`, or a file is being written, it waits. A
//! stream that never ends fires at a cap.

use std::time::Duration;

/// A moment, as the time since any fixed one.
pub type Moment = Duration;

/// The quiet after a lone save.
pub const QUIET_MIN: Duration = Duration::from_millis(2);

/// The quiet after a large burst.
pub const QUIET_MAX: Duration = Duration::from_millis(150);

/// How long a file that was written to and not closed is waited for.
pub const QUIET_OPEN: Duration = Duration::from_millis(60);

/// A batch does not wait longer than this since its first event.
pub const CAP: Duration = Duration::from_secs(1);

/// The same while git says that it is at work.
pub const CAP_LOCKED: Duration = Duration::from_secs(30);

/// A lock is looked for again after this.
pub const LOCK_POLL: Duration = Duration::from_millis(5);

/// A batch of events that has not fired yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Debounce {
    batch: Option<Batch>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Batch {
    first: Moment,
    last: Moment,
    paths: usize,
    open: bool,
    /// When git's lock was seen last.
    locked: Option<Moment>,
}

/// What a debounce is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Events came.
    Events {
        /// How many paths the batch has now.
        paths: usize,
        /// Some file of the batch was written to and not closed yet.
        open: bool,
    },
    /// Time passed.
    Time {
        /// Git holds `index.lock`.
        locked: bool,
    },
}

/// What a debounce wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing is pending.
    Idle,
    /// Ask again at this moment, or when something happens.
    Wait(Moment),
    /// The batch is a change now; the debounce is empty again.
    Fire,
}

/// Takes an input at a moment. Moments must not go backwards; one that does counts as no time.
pub fn step(state: &mut Debounce, input: Input, now: Moment) -> Step {
    match input {
        Input::Events { paths, open } => {
            let batch = state.batch.get_or_insert(Batch {
                first: now,
                last: now,
                paths: 0,
                open: false,
                locked: None,
            });
            batch.last = batch.last.max(now);
            (batch.paths, batch.open) = (paths, open);
            Step::Wait(batch.due().max(now))
        }
        Input::Time { locked } => {
            let Some(batch) = &mut state.batch else {
                return Step::Idle;
            };
            if locked {
                batch.locked = Some(now);
            }
            let due = batch.due();
            if now < due {
                // While git is at work its end is what matters.
                let again = if locked {
                    due.min(now + LOCK_POLL)
                } else {
                    due
                };
                return Step::Wait(again.max(now));
            }
            state.batch = None;
            Step::Fire
        }
    }
}

impl Batch {
    /// When it fires if nothing more happens.
    fn due(&self) -> Moment {
        let quiet = quiet(self.paths);
        let quiet = if self.open {
            quiet.max(QUIET_OPEN)
        } else {
            quiet
        };
        // A lock that just went: its holder may write a little more.
        let since = self.locked.map_or(self.last, |seen| self.last.max(seen));
        let cap = if self.locked.is_some() {
            CAP_LOCKED
        } else {
            CAP
        };
        (since + quiet).min(self.first + cap)
    }
}

/// The quiet that a batch of so many paths needs.
pub fn quiet(paths: usize) -> Duration {
    match paths {
        0..=4 => QUIET_MIN,
        5..=20 => Duration::from_millis(10),
        21..=100 => Duration::from_millis(40),
        101..=1_000 => Duration::from_millis(100),
        _ => QUIET_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(millis: u64) -> Moment {
        Duration::from_millis(millis)
    }

    fn events(paths: usize) -> Input {
        Input::Events { paths, open: false }
    }

    const FREE: Input = Input::Time { locked: false };
    const LOCKED: Input = Input::Time { locked: true };

    #[test]
    fn a_lone_save_fires_after_two_milliseconds() {
        let mut state = Debounce::default();
        assert_eq!(step(&mut state, FREE, ms(0)), Step::Idle);
        assert_eq!(step(&mut state, events(2), ms(10)), Step::Wait(ms(12)));
        assert_eq!(step(&mut state, FREE, ms(11)), Step::Wait(ms(12)));
        assert_eq!(step(&mut state, FREE, ms(12)), Step::Fire);
        assert_eq!(step(&mut state, FREE, ms(13)), Step::Idle);
    }

    #[test]
    fn an_open_file_is_waited_for() {
        let mut state = Debounce::default();
        let open = Input::Events {
            paths: 1,
            open: true,
        };
        assert_eq!(step(&mut state, open, ms(0)), Step::Wait(QUIET_OPEN));
        assert_eq!(step(&mut state, events(1), ms(5)), Step::Wait(ms(7)));
        assert_eq!(step(&mut state, FREE, ms(7)), Step::Fire);
    }

    #[test]
    fn git_at_work_is_waited_for() {
        let mut state = Debounce::default();
        step(&mut state, events(1), ms(0));
        assert_eq!(step(&mut state, LOCKED, ms(2)), Step::Wait(ms(4)));
        assert!(matches!(step(&mut state, LOCKED, ms(900)), Step::Wait(_)));
        step(&mut state, events(500), ms(5_000));
        assert!(matches!(step(&mut state, LOCKED, ms(6_000)), Step::Wait(_)));
        // Gone: a last quiet, then the change.
        assert_eq!(step(&mut state, FREE, ms(6_010)), Step::Wait(ms(6_100)));
        assert_eq!(step(&mut state, FREE, ms(6_100)), Step::Fire);
    }

    #[test]
    fn a_lock_that_stays_does_not_block_for_ever() {
        let mut state = Debounce::default();
        step(&mut state, events(1), ms(0));
        step(&mut state, LOCKED, ms(2));
        assert_eq!(step(&mut state, LOCKED, CAP_LOCKED), Step::Fire);
    }

    #[test]
    fn a_stream_without_end_fires_at_the_cap() {
        let mut state = Debounce::default();
        let mut fired = Vec::new();
        for now in 0..3_000 {
            step(&mut state, events(1), ms(now));
            if step(&mut state, FREE, ms(now)) == Step::Fire {
                fired.push(now);
            }
        }
        assert_eq!(fired.len(), 2, "{fired:?}");
    }

    fn inputs() -> impl Strategy<Value = Vec<(u64, u8, usize, bool)>> {
        prop::collection::vec((0..400_u64, 0..3_u8, 0..3_000_usize, any::<bool>()), 1..80)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// No event is lost: after the last one, time alone makes it fire, by the cap.
        #[test]
        fn every_event_fires_in_the_end(inputs in inputs()) {
            let (mut state, mut now, mut pending) = (Debounce::default(), ms(0), None::<Moment>);
            for (gap, kind, paths, flag) in inputs {
                now += ms(gap);
                let answer = match kind {
                    0 => {
                        pending.get_or_insert(now);
                        step(&mut state, Input::Events { paths, open: flag }, now)
                    }
                    _ => step(&mut state, Input::Time { locked: flag }, now),
                };
                match answer {
                    Step::Fire => {
                        prop_assert!(pending.is_some(), "fired without an event");
                        pending = None;
                    }
                    Step::Idle => prop_assert!(pending.is_none(), "forgot an event"),
                    Step::Wait(until) => {
                        let since = pending.expect("waits for something");
                        prop_assert!(until >= now && until <= (since + CAP_LOCKED).max(now));
                    }
                }
            }
            if pending.is_some() {
                let mut steps = 0;
                loop {
                    match step(&mut state, FREE, now) {
                        Step::Fire => break,
                        Step::Wait(until) => now = until,
                        Step::Idle => prop_assert!(false, "forgot an event"),
                    }
                    steps += 1;
                    prop_assert!(steps < 10, "waits without end");
                }
            }
        }

        /// It never fires before its quiet is over, unless the cap is reached.
        #[test]
        fn quiet_is_kept(inputs in inputs()) {
            let (mut state, mut now) = (Debounce::default(), ms(0));
            let (mut first, mut last, mut paths_now) = (None, ms(0), 0);
            for (gap, kind, paths, locked) in inputs {
                now += ms(gap % 200);
                if kind == 0 {
                    first.get_or_insert(now);
                    (last, paths_now) = (now, paths);
                    step(&mut state, events(paths), now);
                } else if step(&mut state, Input::Time { locked }, now) == Step::Fire {
                    let first = first.take().expect("an event");
                    let waited = now.saturating_sub(last);
                    prop_assert!(waited >= quiet(paths_now) || now >= first + CAP);
                    prop_assert!(!locked || now >= first + CAP_LOCKED);
                }
            }
        }
    }
}
