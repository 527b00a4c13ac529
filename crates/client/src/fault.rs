//! Errors of the crates below, in the shape that is printed.

use api::terms::Code;
use api::wire::Problem;
use seal::record::VersionRecord;
use std::path::Path;

/// An error of the operating system on a path.
pub(crate) fn io(what: &str, path: &Path, error: &std::io::Error) -> Problem {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Code::DiskFull,
        _ => Code::Unavailable,
    };
    Problem::new(code, format!("{what} `{}`", path.display()), error.to_string())
}

/// An error of the depot. What is missing or cut there is damage: the keeper says that it exists.
pub(crate) fn depot(what: &str, error: &depot::Error) -> Problem {
    let code = match error {
        depot::Error::NotFound { .. } | depot::Error::PastEnd { .. } | depot::Error::Foreign { .. } => Code::Integrity,
        depot::Error::Full { .. } => Code::DiskFull,
        depot::Error::AlreadyExists { .. } => Code::Conflict,
        depot::Error::Bug { .. } | depot::Error::Misuse { .. } => Code::Internal,
        _ => Code::Unavailable,
    };
    Problem::new(code, what, chain(error))
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    depot::error::told(error)
}

/// Something that cannot happen.
pub(crate) fn internal(what: &str, why: impl ToString) -> Problem {
    Problem::new(Code::Internal, what, why.to_string())
}

/// An error of a sealed object.
pub(crate) fn sealed(what: &str, error: &depot::sealed::Error) -> Problem {
    match error {
        depot::sealed::Error::Store(store) => depot(what, store),
        depot::sealed::Error::Corrupt { .. } => Problem::new(Code::Integrity, what, chain(error)),
        depot::sealed::Error::Misuse(_) => Problem::new(Code::Internal, what, chain(error)),
        _ => Problem::new(Code::Unavailable, what, chain(error)),
    }
}

/// An error of the list or map of a version that is read; says in which object.
pub(crate) fn manifest(
    what: &str,
    record: &VersionRecord,
    error: &seal::manifest::Error<depot::sealed::Error>,
) -> Problem {
    let what = format!("{what} in object {}", depot::Key::new(record.vault, record.object));
    match error {
        seal::manifest::Error::Source(source) => sealed(&what, source),
        seal::manifest::Error::Failed => Problem::new(Code::Internal, what, error.to_string()),
        _ => Problem::new(Code::Integrity, what, error.to_string()),
    }
}
