//! The canonical JSON of a slice and of its context (`spec/policy.md#records`): Cedar's own JSON format, keys sorted,
//! no white space. Writing what was read gives the same bytes, or the reader refuses.

use super::{ArtifactFacts, Circumstances, Facts, PrincipalFacts, ResourceFacts};
use crate::role::Role;
use api::terms::{Class, PrincipalKind, Timestamp, WordError};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

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
pub(crate) struct Uid<'a> {
    id: Cow<'a, str>,
    #[serde(rename = "type")]
    type_name: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SliceDoc<'a> {
    action: Uid<'a>,
    entities: Vec<EntityDoc<'a>>,
    principal: Uid<'a>,
    resource: Uid<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntityDoc<'a> {
    attrs: Attrs<'a>,
    parents: Vec<Uid<'a>>,
    uid: Uid<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Attrs<'a> {
    Principal(PrincipalAttrs<'a>),
    Artifact(ArtifactAttrs<'a>),
    None(NoAttrs),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoAttrs {}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalAttrs<'a> {
    active: bool,
    clearance: u8,
    envs: Vec<Cow<'a, str>>,
    roles: Vec<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArtifactAttrs<'a> {
    class: u8,
    env: Cow<'a, str>,
    held: bool,
    kind: Cow<'a, str>,
    owner: Cow<'a, str>,
    quarantined: bool,
    residency: Vec<Cow<'a, str>>,
    workspace: EntityRef<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntityRef<'a> {
    __entity: Uid<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContextDoc<'a> {
    approved: Vec<Cow<'a, str>>,
    auth: Cow<'a, str>,
    confirmed: bool,
    mfa: MfaDoc<'a>,
    now: Extension<'a>,
    own: bool,
    reasoned: bool,
    region: Cow<'a, str>,
    roots: Vec<Cow<'a, str>>,
    solo: bool,
    task: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MfaDoc<'a> {
    age: Extension<'a>,
    applicable: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension<'a> {
    __extn: Call<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call<'a> {
    arg: Cow<'a, str>,
    #[serde(rename = "fn")]
    function: Cow<'a, str>,
}

fn uid<'a>(type_name: &'a str, id: &'a str) -> Uid<'a> {
    Uid { id: id.into(), type_name: type_name.into() }
}

fn extension(function: &str, arg: String) -> Extension<'_> {
    Extension { __extn: Call { arg: arg.into(), function: function.into() } }
}

fn texts(texts: &[String]) -> Vec<Cow<'_, str>> {
    texts.iter().map(|text| Cow::from(text.as_str())).collect()
}

/// The Cedar type of a principal.
pub(super) const fn principal_type(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::User => "User",
        PrincipalKind::Service => "Service",
        PrincipalKind::Workload => "Workload",
    }
}

impl<'a> SliceDoc<'a> {
    pub(crate) fn of(facts: &'a Facts) -> Self {
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

fn principal_doc(facts: &PrincipalFacts) -> EntityDoc<'_> {
    EntityDoc {
        attrs: Attrs::Principal(PrincipalAttrs {
            active: facts.active,
            clearance: facts.clearance.number(),
            envs: facts.envs.iter().map(|env| env.word().into()).collect(),
            roles: facts.roles.iter().map(|role| role.word().into()).collect(),
        }),
        parents: facts.roles.iter().map(|role| uid("Role", role.word())).collect(),
        uid: uid(principal_type(facts.kind), &facts.id),
    }
}

fn artifact_doc<'a>(facts: &'a ArtifactFacts, vault: Uid<'a>) -> EntityDoc<'a> {
    EntityDoc {
        attrs: Attrs::Artifact(ArtifactAttrs {
            class: facts.class.number(),
            env: facts.env.word().into(),
            held: facts.held,
            kind: facts.kind.word().into(),
            owner: facts.owner.as_str().into(),
            quarantined: facts.quarantined,
            residency: texts(&facts.residency),
            workspace: EntityRef { __entity: uid("Workspace", &facts.workspace) },
        }),
        parents: vec![uid("Workspace", &facts.workspace), vault],
        uid: uid("Artifact", &facts.id),
    }
}

impl<'a> ContextDoc<'a> {
    pub(crate) fn of(context: &'a Circumstances) -> Self {
        Self {
            approved: texts(&context.approved),
            auth: context.auth.word().into(),
            confirmed: context.confirmed,
            mfa: MfaDoc {
                age: extension("duration", format!("{}ms", context.mfa_age_millis)),
                applicable: context.mfa_applicable,
            },
            now: extension("datetime", context.now.to_string()),
            own: context.own,
            reasoned: context.reasoned,
            region: context.region.as_str().into(),
            roots: context.roots.iter().map(|root| root.word().into()).collect(),
            solo: context.solo,
            task: context.task,
        }
    }
}

impl Facts {
    /// The facts of which these are the documents. The caller writes them again and compares.
    pub(crate) fn read(slice: &[u8], context: &[u8]) -> Result<Self, DocumentError> {
        let slice: SliceDoc<'_> = serde_json::from_slice(slice)?;
        let context: ContextDoc<'_> = serde_json::from_slice(context)?;
        let mut entities = slice.entities.into_iter();
        let first = entities.next().ok_or(DocumentError::Shape)?;
        let second = entities.next().ok_or(DocumentError::Shape)?;
        let last = entities.next_back();
        let vault = last.as_ref().unwrap_or(&second).uid.id.clone().into_owned();
        let resource = match (&*slice.resource.type_name, second.attrs) {
            ("Vault", Attrs::None(_)) => ResourceFacts::Vault,
            ("Workspace", Attrs::None(_)) => ResourceFacts::Workspace(slice.resource.id.into_owned()),
            ("Artifact", Attrs::Artifact(attrs)) => {
                ResourceFacts::Artifact(read_artifact(slice.resource.id.into_owned(), attrs)?)
            }
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

fn read_principal(uid: Uid<'_>, attrs: Attrs<'_>) -> Result<PrincipalFacts, DocumentError> {
    let Attrs::Principal(attrs) = attrs else { return Err(DocumentError::Shape) };
    let kind = PrincipalKind::ALL.iter().copied().find(|kind| principal_type(*kind) == uid.type_name);
    Ok(PrincipalFacts {
        id: uid.id.into_owned(),
        kind: kind.ok_or(DocumentError::Shape)?,
        clearance: read_class(attrs.clearance)?,
        active: attrs.active,
        roles: attrs.roles.iter().map(|role| role.parse::<Role>()).collect::<Result<_, _>>()?,
        envs: attrs.envs.iter().map(|env| env.parse()).collect::<Result<_, _>>()?,
    })
}

fn read_artifact(id: String, attrs: ArtifactAttrs<'_>) -> Result<ArtifactFacts, DocumentError> {
    Ok(ArtifactFacts {
        id,
        workspace: attrs.workspace.__entity.id.into_owned(),
        class: read_class(attrs.class)?,
        env: attrs.env.parse()?,
        kind: attrs.kind.parse()?,
        owner: attrs.owner.into_owned(),
        quarantined: attrs.quarantined,
        held: attrs.held,
        residency: owned(attrs.residency),
    })
}

fn owned(texts: Vec<Cow<'_, str>>) -> Vec<String> {
    texts.into_iter().map(Cow::into_owned).collect()
}

fn read_context(doc: ContextDoc<'_>) -> Result<Circumstances, DocumentError> {
    let age = doc.mfa.age.__extn.arg;
    let millis = age.strip_suffix("ms").and_then(|digits| digits.parse().ok()).ok_or(DocumentError::Shape)?;
    Ok(Circumstances {
        now: read_time(&doc.now.__extn.arg).ok_or(DocumentError::Shape)?,
        solo: doc.solo,
        auth: doc.auth.parse()?,
        own: doc.own,
        mfa_applicable: doc.mfa.applicable,
        mfa_age_millis: millis,
        approved: owned(doc.approved),
        task: doc.task,
        reasoned: doc.reasoned,
        confirmed: doc.confirmed,
        roots: doc.roots.iter().map(|root| root.parse()).collect::<Result<_, _>>()?,
        region: doc.region.into_owned(),
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
