//! What keeps a guest from being run, and the exit status of it.

use std::io;
use std::path::PathBuf;

/// Why a guest was not run to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The guest's files, or the hypervisor's own image, can't be placed.
    #[error("{0}")]
    Image(String),
    /// A file can't be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A program can't be run, or failed; Bochs fails if it ends without the hypervisor's word.
    #[error("{0}")]
    Tool(String),
}

impl Failure {
    /// Returns the exit status, as `--help` lists it.
    pub(crate) const fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Image(_) => 65,
            Self::File { .. } => 66,
            Self::Tool(_) => 69,
        }
    }

    /// Makes the error of something that can't be placed.
    pub(crate) fn image(error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(error.source(), |error| error.source());
        Self::Image(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
    }
}
