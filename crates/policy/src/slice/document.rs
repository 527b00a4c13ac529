//! The canonical JSON of a slice and of its context (`spec/policy.md#records`): Cedar's own JSON format, keys sorted,
//! no white space. Writing what was read gives the same bytes, or the reader refuses.

use super::{ArtifactFacts, Circumstances, Facts, PrincipalFacts, ResourceFacts};
use crate::role::Role;
use api::terms::{Class, PrincipalKind, Timestamp, WordError};
use serde::{Deserialize, Serialize};

/// Why bytes are no slice or context.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("not the JSON of a slice and a context")]
    Json(#[from] serde_json::Error),
    #[error("a word that is none of its set")]
    Word(#[from] WordError),
    #[error("facts that do not fit together")]
    Shape,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Uid {
    id: String,
    #[serde(rename = "type")]
    type_name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SliceDoc {
    action: Uid,
    entities: Vec<EntityDoc>,
    principal: Uid,
    resource: Uid,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntityDoc {
    attrs: Attrs,
    parents: Vec<Uid>,
    uid: Uid,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Attrs {
    Principal(PrincipalAttrs),
    Artifact(ArtifactAttrs),
    None(NoAttrs),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoAttrs {}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalAttrs {
    active: bool,
    clearance: u8,
    envs: Vec<String>,
    roles: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArtifactAttrs {
    class: u8,
    env: String,
    kind: String,
    owner: String,
    quarantined: bool,
    residency: Vec<String>,
    workspace: EntityRef,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntityRef {
    __entity: Uid,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContextDoc {
    approved: Vec<String>,
    auth: String,
    confirmed: bool,
    mfa: MfaDoc,
    now: Extension,
    own: bool,
    reasoned: bool,
    region: String,
    roots: Vec<String>,
    solo: bool,
    task: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MfaDoc {
    age: Extension,
    applicable: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    __extn: Call,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    arg: String,
    #[serde(rename = "fn")]
    function: String,
}

fn uid(type_name: &str, id: &str) -> Uid {
    Uid { id: id.to_owned(), type_name: type_name.to_owned() }
}

fn extension(function: &str, arg: String) -> Extension {
    Extension { __extn: Call { arg, function: function.to_owned() } }
}

/// The Cedar type of a principal.
pub(super) const fn principal_type(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::User => "User",
        PrincipalKind::Service => "Service",
        PrincipalKind::Workload => "Workload",
    }
}

impl SliceDoc {
    pub(crate) fn of(facts: &Facts) -> Self {
        let vault = || uid("Vault", &facts.vault);
        let bare = |uid, parents| EntityDoc { attrs: Attrs::None(NoAttrs {}), parents, uid };
        let mut entities = vec![principal_doc(&facts.principal)];
        let resource = match &facts.resource {
            ResourceFacts::Vault => vault(),
            ResourceFacts::Workspace(id) => {
                entities.push(bare(uid("Workspace", id), vec![vault()]));
                uid("Workspace", id)
            }
            ResourceFacts::Artifact(artifact) => {
                entities.push(artifact_doc(artifact, vault()));
                entities.push(bare(uid("Workspace", &artifact.workspace), vec![vault()]));
                uid("Artifact", &artifact.id)
            }
        };
        entities.push(bare(vault(), Vec::new()));
        Self {
            action: uid("Action", facts.action.word()),
            entities,
            principal: uid(principal_type(facts.principal.kind), &facts.principal.id),
            resource,
        }
    }
}

fn principal_doc(facts: &PrincipalFacts) -> EntityDoc {
    EntityDoc {
        attrs: Attrs::Principal(PrincipalAttrs {
            active: facts.active,
            clearance: facts.clearance.number(),
            envs: facts.envs.iter().map(|env| env.word().to_owned()).collect(),
            roles: facts.roles.iter().map(|role| role.word().to_owned()).collect(),
        }),
        parents: facts.roles.iter().map(|role| uid("Role", role.word())).collect(),
        uid: uid(principal_type(facts.kind), &facts.id),
    }
}

fn artifact_doc(facts: &ArtifactFacts, vault: Uid) -> EntityDoc {
    EntityDoc {
        attrs: Attrs::Artifact(ArtifactAttrs {
            class: facts.class.number(),
            env: facts.env.word().to_owned(),
            kind: facts.kind.word().to_owned(),
            owner: facts.owner.clone(),
            quarantined: facts.quarantined,
            residency: facts.residency.clone(),
            workspace: EntityRef { __entity: uid("Workspace", &facts.workspace) },
        }),
        parents: vec![uid("Workspace", &facts.workspace), vault],
        uid: uid("Artifact", &facts.id),
    }
}

impl ContextDoc {
    pub(crate) fn of(context: &Circumstances) -> Self {
        Self {
            approved: context.approved.clone(),
            auth: context.auth.word().to_owned(),
            confirmed: context.confirmed,
            mfa: MfaDoc {
                age: extension("duration", format!("{}ms", context.mfa_age_millis)),
                applicable: context.mfa_applicable,
            },
            now: extension("datetime", context.now.to_string()),
            own: context.own,
            reasoned: context.reasoned,
            region: context.region.clone(),
            roots: context.roots.iter().map(|root| root.word().to_owned()).collect(),
            solo: context.solo,
            task: context.task,
        }
    }
}

impl Facts {
    /// The facts of which these are the documents. The caller writes them again and compares.
    pub(crate) fn read(slice: &[u8], context: &[u8]) -> Result<Self, DocumentError> {
        let slice: SliceDoc = serde_json::from_slice(slice)?;
        let context: ContextDoc = serde_json::from_slice(context)?;
        let mut entities = slice.entities.into_iter();
        let first = entities.next().ok_or(DocumentError::Shape)?;
        let second = entities.next().ok_or(DocumentError::Shape)?;
        let last = entities.next_back();
        let vault = last.as_ref().unwrap_or(&second).uid.id.clone();
        let resource = match (slice.resource.type_name.as_str(), second.attrs) {
            ("Vault", Attrs::None(_)) => ResourceFacts::Vault,
            ("Workspace", Attrs::None(_)) => ResourceFacts::Workspace(slice.resource.id),
            ("Artifact", Attrs::Artifact(attrs)) => ResourceFacts::Artifact(read_artifact(slice.resource.id, attrs)?),
            _ => return Err(DocumentError::Shape),
        };
        Ok(Self {
            action: slice.action.id.parse()?,
            principal: read_principal(slice.principal, first.attrs)?,
            resource,
            vault,
            context: read_context(context)?,
        })
    }
}

fn read_class(number: u8) -> Result<Class, DocumentError> {
    Class::from_number(number).ok_or(DocumentError::Shape)
}

fn read_principal(uid: Uid, attrs: Attrs) -> Result<PrincipalFacts, DocumentError> {
    let Attrs::Principal(attrs) = attrs else { return Err(DocumentError::Shape) };
    let kind = PrincipalKind::ALL.iter().copied().find(|kind| principal_type(*kind) == uid.type_name);
    Ok(PrincipalFacts {
        id: uid.id,
        kind: kind.ok_or(DocumentError::Shape)?,
        clearance: read_class(attrs.clearance)?,
        active: attrs.active,
        roles: attrs.roles.iter().map(|role| role.parse::<Role>()).collect::<Result<_, _>>()?,
        envs: attrs.envs.iter().map(|env| env.parse()).collect::<Result<_, _>>()?,
    })
}

fn read_artifact(id: String, attrs: ArtifactAttrs) -> Result<ArtifactFacts, DocumentError> {
    Ok(ArtifactFacts {
        id,
        workspace: attrs.workspace.__entity.id,
        class: read_class(attrs.class)?,
        env: attrs.env.parse()?,
        kind: attrs.kind.parse()?,
        owner: attrs.owner,
        quarantined: attrs.quarantined,
        residency: attrs.residency,
    })
}

fn read_context(doc: ContextDoc) -> Result<Circumstances, DocumentError> {
    let age = doc.mfa.age.__extn.arg;
    let millis = age.strip_suffix("ms").and_then(|digits| digits.parse().ok()).ok_or(DocumentError::Shape)?;
    Ok(Circumstances {
        now: read_time(&doc.now.__extn.arg).ok_or(DocumentError::Shape)?,
        solo: doc.solo,
        auth: doc.auth.parse()?,
        own: doc.own,
        mfa_applicable: doc.mfa.applicable,
        mfa_age_millis: millis,
        approved: doc.approved,
        task: doc.task,
        reasoned: doc.reasoned,
        confirmed: doc.confirmed,
        roots: doc.roots.iter().map(|root| root.parse()).collect::<Result<_, _>>()?,
        region: doc.region,
    })
}

/// Reads `2026-11-21T02:03:04.567Z`. Sloppy on purpose: what does not print as it was read is refused afterwards.
fn read_time(text: &str) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u64>().ok());
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let clock = (number(11..13)? * 60 + number(14..16)?) * 60 + number(17..19)?;
    // Howard Hinnant's `days_from_civil`, for years from 1970.
    let (shifted, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let (era, of_era) = (shifted / 400, shifted % 400);
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day;
    let seconds = days.checked_sub(719_469)? * 86_400 + clock;
    Some(Timestamp::from_millis(seconds * 1000 + number(20..23)?))
}
