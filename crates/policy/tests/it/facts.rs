//! Facts to start from.

use api::terms::{
    Action, ArtifactId, AuthMethod, Class, Environment, Kind, Mode, PrincipalId, PrincipalKind, Timestamp, VaultId,
    WorkspaceId,
};
use policy::{
    Approval, Artifact, Context, Held, Mfa, Principal, PrincipalState, Query, Resource, Role, Scope, Set, Workspace,
};
use std::sync::OnceLock;

pub const LAB: WorkspaceId = WorkspaceId::from_bytes([0x1a; 16]);
pub const OTHER: WorkspaceId = WorkspaceId::from_bytes([0x1b; 16]);
pub const ALICE: PrincipalId = PrincipalId::from_bytes([0xa1; 16]);
pub const BOB: PrincipalId = PrincipalId::from_bytes([0xb0; 16]);
pub const CAROL: PrincipalId = PrincipalId::from_bytes([0xca; 16]);

pub fn baseline() -> &'static Set {
    static SET: OnceLock<Set> = OnceLock::new();
    SET.get_or_init(|| Set::baseline().unwrap())
}

pub fn principal(roles: &[Role]) -> Principal {
    Principal {
        id: ALICE,
        kind: PrincipalKind::User,
        clearance: Class::Restricted,
        state: PrincipalState::Active,
        roles: roles.iter().map(|role| Held::new(*role, Scope::Workspace(LAB))).collect(),
        envs: Environment::ALL.to_vec(),
    }
}

pub fn artifact(class: Class) -> Artifact {
    Artifact {
        id: ArtifactId::from_bytes([0xee; 16]),
        workspace: LAB,
        class,
        env: Environment::Dev,
        kind: Kind::Model,
        owner: Some(BOB),
        quarantined: false,
        held: false,
        residency: Vec::new(),
    }
}

pub fn context(mode: Mode) -> Context {
    Context {
        auth: AuthMethod::Asserted,
        mfa: Mfa::Age { millis: 0 },
        ..Context::new(Timestamp::from_millis(1_795_000_000_000), mode)
    }
}

/// A reader of the lab who was just seen, in rehearsal.
pub fn query(action: Action, class: Class) -> Query {
    with(action, Resource::Artifact(artifact(class)), &[Role::Reader], Mode::Rehearsal)
}

pub fn with(action: Action, resource: Resource, roles: &[Role], mode: Mode) -> Query {
    Query {
        vault: VaultId::from_bytes([0x5a; 16]),
        principal: principal(roles),
        action,
        resource,
        context: context(mode),
        salt: [9; 16],
    }
}

pub const fn workspace() -> Resource {
    Resource::Workspace(Workspace { id: LAB })
}

pub fn approval(rule: &str, approver: PrincipalId, roles: &[Role]) -> Approval {
    Approval { rule: rule.to_owned(), approver, kind: PrincipalKind::User, roles: roles.to_vec() }
}
