//! Why a component is not taken: a code for programs, a message for people.

use std::fmt;
use std::io;

/// Why something is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: Code,
    pub(crate) message: String,
}

/// What stands in the way. The word is what reports carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    /// The file cannot be read, or is none.
    Unreadable,
    /// The file is a link to somewhere else.
    LinkOutOfFolder,
    /// It is larger than what is read.
    TooLarge,
    /// It is no component, or of another world.
    BadComponent,
    /// Its manifest is missing or wrong.
    BadManifest,
    /// It is another plugin than the one it came as.
    OtherName,
    /// Another file brings that plugin.
    NameTaken,
    /// The operator's settings do not fit it.
    Settings,
    /// The policy of an endpoint cannot be used.
    Policy,
    /// It asks for more than the one before it, and nobody granted that.
    NeedsGrant,
    /// The compiler refuses it.
    DoesNotCompile,
    /// It wants of the host what there is not.
    DoesNotLink,
    /// It cannot say what it is, or says something else than its manifest.
    Describe,
    /// It cannot work on this machine, where the one before it can.
    Unusable,
    /// It does not read the handles that are in use.
    HandleSchema,
    /// It does not take the config of a workload that is there.
    Config,
    /// There would be no way back.
    OneWay,
    /// It does not know what is running.
    Adoption,
    /// The disk is full.
    DiskFull,
    /// The disk refuses.
    Storage,
    /// It was sent away before.
    Quarantined,
    /// Something went wrong in the host.
    Internal,
}

impl Code {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::LinkOutOfFolder => "link-out-of-folder",
            Self::TooLarge => "too-large",
            Self::BadComponent => "bad-component",
            Self::BadManifest => "bad-manifest",
            Self::OtherName => "other-name",
            Self::NameTaken => "name-taken",
            Self::Settings => "settings",
            Self::Policy => "policy",
            Self::NeedsGrant => "needs-grant",
            Self::DoesNotCompile => "does-not-compile",
            Self::DoesNotLink => "does-not-link",
            Self::Describe => "describe",
            Self::Unusable => "unusable",
            Self::HandleSchema => "handle-schema",
            Self::Config => "config",
            Self::OneWay => "one-way",
            Self::Adoption => "adoption",
            Self::DiskFull => "disk-full",
            Self::Storage => "storage",
            Self::Quarantined => "quarantined",
            Self::Internal => "internal",
        }
    }

    /// The refusal for this reason.
    pub(crate) fn because(self, message: impl Into<String>) -> Refused {
        Refused {
            code: self,
            message: message.into(),
        }
    }
}

impl Refused {
    /// Whether the host could not do its part: what was refused may be good.
    pub(crate) fn is_the_hosts(&self) -> bool {
        matches!(self.code, Code::DiskFull | Code::Storage)
    }

    /// A file of the host itself that cannot be written.
    pub(crate) fn storage(doing: &str, path: &std::path::Path, error: &io::Error) -> Self {
        let path = path.display();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::DiskFull.because(
                format!("cannot {doing} {path}: {error}; free some space on that disk"),
            ),
            _ => Code::Storage.because(format!("cannot {doing} {path}: {error}")),
        }
    }

    /// A task of the host that did not come to its end.
    pub(crate) fn failed_task(error: &tokio::task::JoinError) -> Self {
        Code::Internal.because(format!("a task of the host failed: {error}"))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Runs work that reads files or hashes much apart from the threads that serve calls.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Refused::failed_task(&error))?
}
