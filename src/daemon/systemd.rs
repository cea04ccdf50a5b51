//! What the service manager is told: ready, alive, how it goes. Without one nothing happens.
//! The watchdog is fed by the hub's own tick and by nothing else: a hub that hangs is seen.

use sd_notify::NotifyState;

/// The line to the service manager.
#[derive(Debug)]
pub(super) struct Systemd {
    told: bool,
    last: String,
}

impl Systemd {
    /// `told` is whether this process was started by a service manager that wants to know.
    pub fn new(told: bool) -> Self {
        Systemd {
            told,
            last: String::new(),
        }
    }

    pub fn ready(&self) {
        self.notify(&[NotifyState::Ready]);
    }

    pub fn alive(&mut self, summary: &str) {
        match self.last == summary {
            true => self.notify(&[NotifyState::Watchdog]),
            false => {
                self.last = summary.to_owned();
                self.notify(&[NotifyState::Watchdog, NotifyState::Status(summary)]);
            }
        }
    }

    pub fn stopping(told: bool) {
        Systemd::new(told).notify(&[NotifyState::Stopping]);
    }

    fn notify(&self, states: &[NotifyState<'_>]) {
        if self.told
            && let Err(error) = sd_notify::notify(states)
        {
            tracing::warn!(%error, "the service manager could not be told");
        }
    }
}
