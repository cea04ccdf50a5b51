//! What a run may write, and when it is worth a walk to find out. A pure account: free space and
//! walks come in, pauses and a breach go out.

use crate::model::Limits;
use crate::process::LimitHit;
use crate::sandbox::disk::measure::Measured;
use std::path::Path;
use std::time::Duration;

/// Between two looks at least.
pub(super) const SOONEST: Duration = Duration::from_millis(50);
/// Between two looks at most.
const LATEST: Duration = Duration::from_secs(1);
/// No disk takes more than this in a millisecond, in bytes.
const FASTEST: u64 = 4 << 20;
/// Growth of a run that nobody limited: this, or a multiple of what its slot held, in bytes.
const GENEROUS: u64 = Limits::AUTOMATIC_DISK;
/// That multiple. A first build makes of sources many times their size, and `GENEROUS` is for it.
const MULTIPLE: u64 = 4;
/// What stays free for everybody else, in bytes; less where there was less than four times that.
const RESERVE: u64 = 1 << 30;

/// The account of one run.
#[derive(Debug)]
pub(super) struct Ledger {
    configured: Option<u64>,
    /// Growth that ends the run, as far as is known without a walk.
    most: u64,
    reserve: u64,
    begun: u64,
    /// What the slot held when the run began, where that was looked at.
    held: Option<u64>,
    /// What the last walk found, and the free space then.
    grown: u64,
    free: u64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing, for so long.
    Wait(Duration),
    /// So much is gone that the run may have written too much.
    Walk,
}

/// A run that wrote too much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Breach {
    /// Which limit it is.
    pub hit: LimitHit,
    grown: u64,
    most: u64,
    free: u64,
}

impl Ledger {
    /// A run begins, with so much free space.
    pub fn new(configured: Option<u64>, free: u64) -> Self {
        Ledger {
            configured,
            most: configured.unwrap_or(GENEROUS),
            reserve: RESERVE.min(free / 4),
            begun: free,
            held: None,
            grown: 0,
            free,
        }
    }

    /// Whether somebody set the limit.
    pub fn is_configured(&self) -> bool {
        self.configured.is_some()
    }

    /// A walk at the beginning found this.
    pub fn held(&mut self, found: Measured) {
        self.held = found.complete.then_some(found.held);
    }

    /// So much is free now.
    pub fn look(&self, free: u64) -> Turn {
        // As if nobody else wrote: more than that it cannot be, unless somebody else removes.
        let may_be = self.grown.saturating_add(self.free.saturating_sub(free));
        let to_limit = self.most.saturating_sub(may_be);
        let to_floor = match 2 * may_be >= self.gone(free) {
            true => free.saturating_sub(self.reserve),
            // Somebody else fills the disk.
            false => u64::MAX,
        };
        let left = to_limit.min(to_floor);
        if left == 0 {
            return Turn::Walk;
        }
        Turn::Wait(Duration::from_millis(left / FASTEST).clamp(SOONEST, LATEST))
    }

    fn gone(&self, free: u64) -> u64 {
        self.begun.saturating_sub(free)
    }

    /// A walk found this. Where nobody knows what the slot held, what the run changed without
    /// growth (files written in place or linked anew) is not told apart, but then no space is gone.
    pub fn walked(&mut self, found: Measured, free: u64) -> Option<Breach> {
        let gone = self.gone(free);
        self.grown = match (found.complete, self.held) {
            (true, Some(held)) => (found.held + found.written).saturating_sub(held),
            (true, None) => found.written.min(gone),
            (false, _) => gone,
        };
        self.free = free;
        if self.configured.is_none() {
            self.most = GENEROUS.max(found.held.saturating_mul(MULTIPLE));
        }
        let hit = if self.grown >= self.most {
            LimitHit::Disk
        } else if free <= self.reserve && gone > 0 && self.grown >= gone - gone / 2 {
            LimitHit::DiskSpace
        } else {
            return None;
        };
        Some(Breach {
            hit,
            grown: self.grown,
            most: self.most,
            free,
        })
    }
}

impl Breach {
    /// For a person, after "because".
    pub fn said(&self, slot: &Path) -> String {
        let (grown, free) = (shown(self.grown), shown(self.free));
        match self.hit {
            LimitHit::Disk => format!(
                "its copy of the project, its HOME and its /tmp grew by {grown}, where {} are allowed",
                shown(self.most)
            ),
            _ => format!(
                "it wrote {grown}, and the disk that holds `{}` has no more than {free} left",
                slot.display()
            ),
        }
    }
}

/// `1.2 GiB`, `340.0 MiB`.
fn shown(bytes: u64) -> String {
    match bytes >= 1 << 30 {
        true => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
        false => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn found(written: u64, held: u64) -> Measured {
        Measured {
            written,
            held,
            complete: true,
        }
    }

    #[test]
    fn nothing_is_walked_while_nothing_is_gone() {
        let ledger = Ledger::new(None, 80 * GIB);
        assert_eq!(ledger.look(80 * GIB), Turn::Wait(LATEST));
        assert_eq!(ledger.look(90 * GIB), Turn::Wait(LATEST));
        assert_eq!(ledger.look(70 * GIB), Turn::Wait(LATEST));
        assert_eq!(ledger.look(15 * GIB), Turn::Walk);
    }

    #[test]
    fn the_nearer_the_limit_the_closer_it_is_looked() {
        let ledger = Ledger::new(Some(GIB), 80 * GIB);
        let after = |gone: u64| ledger.look(80 * GIB - gone);
        assert_eq!(after(0), Turn::Wait(Duration::from_millis(256)));
        assert_eq!(after(GIB / 2), Turn::Wait(Duration::from_millis(128)));
        assert_eq!(after(GIB - 1), Turn::Wait(SOONEST));
        assert_eq!(after(GIB), Turn::Walk);
    }

    #[test]
    fn growth_beyond_the_limit_is_a_breach_and_others_growth_is_not() {
        let mut ledger = Ledger::new(Some(GIB), 80 * GIB);
        assert_eq!(ledger.walked(found(GIB / 4, 0), 78 * GIB), None);
        assert_eq!(
            ledger.look(78 * GIB),
            Turn::Wait(Duration::from_millis(192))
        );
        let breach = ledger.walked(found(GIB, 0), 77 * GIB).expect("too much");
        assert_eq!(breach.hit, LimitHit::Disk);
        let said = breach.said(Path::new("/slot"));
        assert!(said.contains("grew by 1.0 GiB, where 1.0 GiB"), "{said}");
    }

    #[test]
    fn what_was_written_in_place_is_no_growth() {
        let mut ledger = Ledger::new(Some(GIB), 80 * GIB);
        assert_eq!(ledger.walked(found(10 * GIB, 0), 80 * GIB), None);
    }

    #[test]
    fn what_replaces_something_is_no_growth_whatever_others_write() {
        let mut ledger = Ledger::new(Some(GIB), 80 * GIB);
        ledger.held(found(0, 5 * GIB));
        assert_eq!(ledger.walked(found(3 * GIB, 2 * GIB), 70 * GIB), None);
        let breach = ledger.walked(found(3 * GIB, 3 * GIB), 70 * GIB);
        assert_eq!(breach.map(|breach| breach.hit), Some(LimitHit::Disk));
    }

    #[test]
    fn a_large_slot_may_grow_by_a_multiple_of_itself() {
        let mut ledger = Ledger::new(None, 1500 * GIB);
        assert_eq!(ledger.walked(found(70 * GIB, 30 * GIB), 1400 * GIB), None);
        let breach = ledger.walked(found(70 * GIB, 10 * GIB), 1400 * GIB);
        assert_eq!(breach.map(|breach| breach.hit), Some(LimitHit::Disk));
    }

    #[test]
    fn whoever_fills_the_disk_is_ended_before_it_is_full() {
        let mut own = Ledger::new(None, 10 * GIB);
        assert_eq!(own.look(2 * GIB), Turn::Wait(Duration::from_millis(256)));
        assert_eq!(own.look(GIB), Turn::Walk);
        let breach = own.walked(found(9 * GIB, 0), GIB).expect("its doing");
        assert_eq!(breach.hit, LimitHit::DiskSpace);
        // Another program's doing, and then it is not looked for again and again.
        let mut others = Ledger::new(None, 10 * GIB);
        assert_eq!(others.walked(found(GIB, 0), GIB), None);
        assert!(matches!(others.look(GIB), Turn::Wait(_)));
    }

    #[test]
    fn little_free_space_at_the_start_is_no_breach() {
        let mut ledger = Ledger::new(None, GIB / 2);
        assert!(matches!(ledger.look(GIB / 3), Turn::Wait(_)));
        assert_eq!(ledger.walked(found(GIB / 4, 0), GIB / 4), None);
    }

    #[test]
    fn what_cannot_be_looked_at_counts_as_written() {
        let mut ledger = Ledger::new(Some(GIB), 80 * GIB);
        let hidden = Measured {
            complete: false,
            ..found(0, 0)
        };
        let breach = ledger.walked(hidden, 79 * GIB);
        assert_eq!(breach.map(|breach| breach.hit), Some(LimitHit::Disk));
    }
}
