//! `regreen trust`: belief in a project's `regreen.toml` as it is now.

use crate::config::Config;
use crate::config::ConfigError;
use crate::config::LeftOutSetting;
use crate::config::Trust;
use crate::config::trust;
use crate::daemon::Handle;
use std::path::Path;
use std::path::PathBuf;

/// A project's file and what comes of trusting it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustView {
    /// The file.
    pub file: PathBuf,
    /// Its text.
    pub text: String,
    /// How far it is believed.
    pub trust: Trust,
    /// What it asks for and does not get without trust.
    pub left_out: Vec<LeftOutSetting>,
}

impl Handle {
    /// The file of the project at `root`; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read or is wrong.
    pub fn trust_view(&self, root: &Path) -> Result<Option<TrustView>, ConfigError> {
        let Some((file, text)) = trust::subject(root)? else {
            return Ok(None);
        };
        let config = Config::from_text(self.host(), Some((&file, &text)), &[])?;
        Ok(Some(TrustView {
            file,
            text,
            trust: config.trust,
            left_out: config.left_out,
        }))
    }

    /// Records trust in exactly the text that was shown.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn trust(&self, view: &TrustView) -> Result<(), ConfigError> {
        trust::grant(self.host(), &view.file, &view.text)
    }

    /// Takes trust back; says whether there was any.
    ///
    /// # Errors
    /// When the record cannot be removed.
    pub fn revoke(&self, root: &Path) -> Result<bool, ConfigError> {
        trust::revoke(self.host(), &root.join("regreen.toml"))
    }
}
