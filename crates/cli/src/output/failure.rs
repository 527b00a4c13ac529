//! Errors: one line what, one why, one `try:`; the same as JSON.

use super::{json, printable, stderr};
use api::terms::Code;
use api::wire::{Problem, Refusal};

/// How a command ends when it does not end well.
#[derive(Debug)]
pub enum Failure {
    /// A problem to print.
    Problem(Box<Problem>),
    /// What was to be said was said; only the exit code is left.
    Exit(u8),
    /// The reader of standard output is gone: nothing to say.
    Quiet,
}

impl Failure {
    /// A problem of the operating system.
    pub fn from_io(what: &str, error: &std::io::Error) -> Self {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => Code::NotFound,
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Code::DiskFull,
            std::io::ErrorKind::AlreadyExists => Code::Conflict,
            _ => Code::Unavailable,
        };
        Problem::new(code, what, error.to_string()).into()
    }

    /// A defect of ours.
    pub fn internal(what: &str, why: &impl ToString) -> Self {
        Problem::new(Code::Internal, what, why.to_string()).into()
    }

    /// Wrong usage.
    pub fn usage(what: &str, why: impl ToString) -> Self {
        Problem::new(Code::BadRequest, what, why.to_string()).into()
    }

    /// With what to do about wrong usage of a command, unless it is said already.
    #[must_use]
    pub fn of_command(self, name: &str) -> Self {
        match self {
            Self::Problem(problem) if problem.code == Code::BadRequest && !has_hint(&problem) => {
                Self::Problem(Box::new(problem.with_try(format!("strongroom {name} --help"))))
            }
            other => other,
        }
    }

    /// Prints it to standard error and answers the exit code.
    pub fn report(&self, json: bool) -> u8 {
        match self {
            Self::Quiet => 0,
            Self::Exit(code) => *code,
            Self::Problem(problem) => {
                let problem = &match fallback(problem.code).filter(|_| !has_hint(problem)) {
                    Some(hint) => problem.clone().with_try(hint),
                    None => Problem::clone(problem),
                };
                let text = if json { as_json(problem) } else { as_text(problem) };
                stderr(text.trim_end());
                problem.code.exit() as u8
            }
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

fn has_hint(problem: &Problem) -> bool {
    problem.try_.is_some() || problem.refusal.as_ref().is_some_and(|refusal| refusal.try_.is_some())
}

/// What helps when nobody closer to the problem said it. Where this is silent, `why` names what only the person can decide.
const fn fallback(code: Code) -> Option<&'static str> {
    match code {
        Code::BadRequest => Some("strongroom --help"),
        Code::NoVault => Some("strongroom init, or --vault DIR"),
        Code::NotFound => Some("check the name or the path"),
        Code::RootRefused => Some("check the passphrase, or the key file with --keyfile"),
        Code::BadSession => Some("strongroom lock, then the command again"),
        Code::Integrity | Code::BadSignature => Some("strongroom verify --all --state"),
        Code::BehindAnchor | Code::Fork => Some("strongroom audit verify"),
        Code::SourceChanged => Some("run the command again when nothing writes to the source"),
        Code::Busy | Code::ClockBack | Code::ClockAhead => Some("run the command again"),
        Code::DiskFull => Some("make room, then run the command again"),
        Code::Unavailable => Some("check the folder or device that is named, then run the command again"),
        Code::OutcomeUnknown => Some("`strongroom audit tail` says whether it happened; if not, run the command again"),
        Code::Internal => Some("run the command again with -v, and report what it says"),
        Code::Interrupted => {
            Some("run the command again; a put of files keeps each GiB that was finished, and uploads the rest again")
        }
        // A refusal brings its own; a conflict and what is not supported say in `why` what stands against it; findings are listed.
        Code::ConfirmationNeeded
        | Code::Denied
        | Code::ApprovalNeeded
        | Code::Gone
        | Code::Conflict
        | Code::Unsupported
        | Code::Findings => None,
    }
}

fn as_json(problem: &Problem) -> String {
    let mut object = serde_json::json!({
        "kind": "error", "code": problem.code, "exit": problem.code.exit() as u8,
        "what": problem.what, "why": problem.why, "try": problem.try_,
    });
    if let (Some(refusal), Some(fields)) = (&problem.refusal, object.as_object_mut()) {
        fields.insert("refusal".to_owned(), serde_json::to_value(refusal).unwrap_or_default());
    }
    json(&object.to_string())
}

/// Every field is one line, so that what others wrote (a name, a reason of a policy) cannot pass for a line of ours.
fn as_text(problem: &Problem) -> String {
    let (what, why) = (printable(&problem.what), printable(&problem.why));
    let mut out = format!("error: {what} [{}]\n  why: {why}\n", problem.code.word());
    if let Some(refusal) = &problem.refusal {
        out.push_str(&refusal_text(refusal));
    }
    let hint = problem.try_.as_ref().or_else(|| problem.refusal.as_ref().and_then(|r| r.try_.as_ref()));
    if let Some(hint) = hint {
        out.push_str(&format!("  try: {}\n", printable(hint)));
    }
    out
}

/// Reasons and near misses, indented.
pub fn refusal_text(refusal: &Refusal) -> String {
    let mut out = String::new();
    for reason in &refusal.reasons {
        out.push_str(&format!("  reason: {}\n", printable(reason)));
    }
    if !refusal.policies.is_empty() {
        out.push_str(&format!("  policies: {}\n", printable(&refusal.policies.join(", "))));
    }
    for miss in &refusal.near_misses {
        let (policy, condition) = (printable(&miss.policy), printable(&miss.condition));
        out.push_str(&format!("  near miss: {policy}: {} held; failed: {condition}\n", miss.held));
    }
    if let Some(rule) = &refusal.approval {
        out.push_str(&format!("  approval: `{}` would lift it\n", printable(rule)));
    }
    if let Some(decision) = &refusal.decision {
        out.push_str(&format!("  decision: {decision}\n"));
    }
    out
}
