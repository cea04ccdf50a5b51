//! Moments for the debounce, and whether the machine slept meanwhile.

use crate::watch::debounce::Moment;
use rustix::time::ClockId;
use std::time::Duration;

/// A jump of this size between the clock that sleeps and the one that does not is a sleep.
const SLEPT: Duration = Duration::from_secs(2);

/// The clocks of one watcher.
#[derive(Debug)]
pub(crate) struct Clock {
    /// How far the clock that runs through a suspend was ahead when looked at last.
    ahead: Duration,
}

impl Clock {
    pub fn new() -> Clock {
        Clock { ahead: ahead() }
    }

    pub fn now(&self) -> Moment {
        read(ClockId::Monotonic)
    }

    /// Whether the machine was suspended since the last call.
    pub fn slept(&mut self) -> bool {
        let now = ahead();
        let jumped = is_sleep(self.ahead, now);
        self.ahead = now;
        jumped
    }
}

fn is_sleep(before: Duration, now: Duration) -> bool {
    now.saturating_sub(before) >= SLEPT
}

fn ahead() -> Duration {
    read(ClockId::Boottime).saturating_sub(read(ClockId::Monotonic))
}

fn read(clock: ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.max(0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_a_sleep() {
        assert!(!Clock::new().slept());
        let minute = Duration::from_secs(60);
        assert!(is_sleep(minute, minute * 2));
        assert!(!is_sleep(minute, minute + Duration::from_millis(3)));
        assert!(!is_sleep(minute, Duration::ZERO));
    }
}
