//! The class of a new version, and what stands against class and kind. What `begin` takes, `explain` tells.

use crate::error::Error;
use crate::rows::{Artifact, Workspace};
use api::terms::{Class, Kind};

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wished {
    /// This class.
    pub(crate) class: Option<Class>,
    /// Whatever it would be, not below this one.
    pub(crate) at_least: Option<Class>,
    /// This kind.
    pub(crate) kind: Option<Kind>,
}

/// A class, and why it is that.
#[derive(Debug, Clone)]
pub(crate) struct Classed {
    pub(crate) class: Class,
    pub(crate) why: &'static str,
    /// What stands against it: only for whoever may write there, because it tells what is there.
    pub(crate) conflict: Option<Error>,
}

/// The class and why: the one asked for, the artifact's, the workspace's default, else the default. A conflict if the artifact has a
/// version and the class asked for is below its own, which then is the one to decide by, or if it is of another kind.
pub(crate) fn class_of(workspace: Option<&Workspace>, artifact: Option<&Artifact>, wished: Wished) -> Classed {
    let mut conflict = None;
    let settled = artifact.filter(|artifact| artifact.latest > 0);
    let default = workspace.and_then(|workspace| workspace.default_class);
    let (class, why) = match (wished.class, settled) {
        (Some(asked), Some(artifact)) if asked < artifact.class => {
            conflict = Some(Error::Conflict {
                what: "the new version",
                why: format!("the artifact is {}, and no command of this release lowers a class", artifact.class),
                hint: Some("leave --class out, or put it as another artifact".to_owned()),
            });
            (artifact.class, "artifact")
        }
        (Some(asked), _) => (asked, "asked"),
        (None, Some(artifact)) => (artifact.class, "artifact"),
        (None, None) => {
            (policy::default_class(default), if default.is_some() { "workspace default" } else { "default" })
        }
    };
    if let Some(artifact) = settled.filter(|artifact| wished.kind.is_some_and(|kind| kind != artifact.kind)) {
        conflict = Some(Error::Conflict {
            what: "the new version",
            why: format!("the artifact is of the kind `{}`", artifact.kind),
            hint: Some("leave --kind out, or put it as another artifact".to_owned()),
        });
    }
    let (class, why) = match wished.at_least {
        Some(least) if least > class => (least, "raised"),
        _ => (class, why),
    };
    Classed { class, why, conflict }
}
