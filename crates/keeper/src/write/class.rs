//! The class of a new version. What `begin` takes, `explain` tells.

use crate::error::{Error, Result};
use crate::rows::{Artifact, Workspace};
use api::terms::Class;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wished {
    /// This class.
    pub(crate) class: Option<Class>,
    /// Whatever it would be, not below this one.
    pub(crate) at_least: Option<Class>,
}

/// The class and why: the one asked for, the artifact's, the workspace's default, else the default.
///
/// # Errors
/// A conflict if the artifact has a version and the class asked for is below its own.
pub(crate) fn class_of(
    workspace: Option<&Workspace>,
    artifact: Option<&Artifact>,
    wished: Wished,
) -> Result<(Class, &'static str)> {
    let settled = artifact.filter(|artifact| artifact.latest > 0);
    let default = workspace.and_then(|workspace| workspace.default_class);
    let (class, why) = match (wished.class, settled) {
        (Some(asked), Some(artifact)) if asked < artifact.class => {
            let why = format!("the artifact is {}; a lower class is an act of its own", artifact.class);
            return Err(Error::conflict("the new version", why));
        }
        (Some(asked), _) => (asked, "asked"),
        (None, Some(artifact)) => (artifact.class, "artifact"),
        (None, None) => {
            (policy::default_class(default), if default.is_some() { "workspace default" } else { "default" })
        }
    };
    Ok(match wished.at_least {
        Some(least) if least > class => (least, "raised"),
        _ => (class, why),
    })
}
