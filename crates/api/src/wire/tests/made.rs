//! Values of every type of the wire, made from some bytes.

use crate::terms::*;
use crate::wire::*;
use std::collections::BTreeMap;

/// Gives numbers, the same for the same bytes.
pub(super) struct Dice<'a> {
    bytes: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    turn: u8,
}

impl<'a> Dice<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter().cycle(), turn: 0 }
    }

    fn byte(&mut self) -> u8 {
        self.turn = self.turn.wrapping_mul(5).wrapping_add(13);
        self.bytes.next().unwrap().wrapping_add(self.turn)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }
}

pub(super) trait Made {
    fn made(dice: &mut Dice<'_>) -> Self;
}

impl Made for bool {
    fn made(dice: &mut Dice<'_>) -> Self {
        dice.byte() & 1 == 1
    }
}

impl Made for Plain {
    fn made(dice: &mut Dice<'_>) -> Self {
        Self::new(Made::made(dice))
    }
}

impl Made for u8 {
    fn made(dice: &mut Dice<'_>) -> Self {
        dice.byte()
    }
}

impl Made for u16 {
    fn made(dice: &mut Dice<'_>) -> Self {
        u16::from_le_bytes(Made::made(dice))
    }
}

impl Made for u32 {
    fn made(dice: &mut Dice<'_>) -> Self {
        u32::from_le_bytes(Made::made(dice))
    }
}

impl Made for u64 {
    fn made(dice: &mut Dice<'_>) -> Self {
        u64::from_le_bytes(Made::made(dice)) >> dice.below(64)
    }
}

impl<const N: usize> Made for [u8; N] {
    fn made(dice: &mut Dice<'_>) -> Self {
        std::array::from_fn(|_| dice.byte())
    }
}

/// Any characters, those that JSON escapes among them.
impl Made for String {
    fn made(dice: &mut Dice<'_>) -> Self {
        const HARD: [char; 8] = ['"', '\\', '\n', '\0', '\u{7f}', '\u{2028}', '\u{1f600}', '/'];
        (0..dice.below(8)).map(|_| if bool::made(dice) { HARD[dice.below(8)] } else { dice.byte().into() }).collect()
    }
}

impl<T: Made> Made for Option<T> {
    fn made(dice: &mut Dice<'_>) -> Self {
        bool::made(dice).then(|| T::made(dice))
    }
}

impl<T: Made> Made for Box<T> {
    fn made(dice: &mut Dice<'_>) -> Self {
        Box::new(T::made(dice))
    }
}

impl<T: Made> Made for Vec<T> {
    fn made(dice: &mut Dice<'_>) -> Self {
        (0..dice.below(4)).map(|_| T::made(dice)).collect()
    }
}

impl<K: Made + Ord, V: Made> Made for BTreeMap<K, V> {
    fn made(dice: &mut Dice<'_>) -> Self {
        (0..dice.below(4)).map(|_| (K::made(dice), V::made(dice))).collect()
    }
}

impl Made for Timestamp {
    fn made(dice: &mut Dice<'_>) -> Self {
        Self::from_millis(u64::made(dice))
    }
}

impl Made for Name {
    fn made(dice: &mut Dice<'_>) -> Self {
        const LETTERS: &[u8] = b"aZ09._-";
        let inner: String = (0..dice.below(99)).map(|_| char::from(LETTERS[dice.below(LETTERS.len())])).collect();
        format!("a{inner}9").parse().unwrap()
    }
}

impl Made for serde_json::Value {
    fn made(dice: &mut Dice<'_>) -> Self {
        match dice.below(6) {
            0 => Self::Null,
            1 => bool::made(dice).into(),
            2 => u64::made(dice).into(),
            3 => String::made(dice).into(),
            4 => Vec::<String>::made(dice).into(),
            _ => serde_json::json!({ "a": u32::made(dice), "b": String::made(dice) }),
        }
    }
}

macro_rules! ids {
    ($($id:ident)*) => {$(
        impl Made for $id {
            fn made(dice: &mut Dice<'_>) -> Self {
                Self::from_bytes(Made::made(dice))
            }
        }
    )*};
}

ids! { BackupId DepotId VaultId WorkspaceId ArtifactId VersionId ObjectId KeyId PrincipalId EntryId DecisionId ReleaseId RunId IncidentId }

macro_rules! one_of {
    ($($word:ident $all:expr;)*) => {$(
        impl Made for $word {
            fn made(dice: &mut Dice<'_>) -> Self {
                $all[dice.below($all.len())]
            }
        }
    )*};
}

one_of! {
    Class Class::ALL;
    Environment Environment::ALL;
    Kind Kind::ALL;
    Mode Mode::ALL;
    Suite Suite::ALL;
    PrincipalKind PrincipalKind::ALL;
    Action Action::ALL;
    AuthMethod AuthMethod::ALL;
    KeyState KeyState::ALL;
    DepotKind DepotKind::ALL;
    PlaybookStep PlaybookStep::ALL;
    DeedOutcome [DeedOutcome::Done, DeedOutcome::Denied];
    Direction [Direction::Ancestors, Direction::Descendants];
    LineageKind [LineageKind::From, LineageKind::Run];
    PresenceTold [PresenceTold::Now, PresenceTold::None, PresenceTold::NotAsked];
    Code Code::ALL;
    RootKind RootKind::ALL;
    RootOutcome [RootOutcome::Opens, RootOutcome::Fails, RootOutcome::Away, RootOutcome::OnlyWraps];
    KeyWrong [
        KeyWrong::Suite, KeyWrong::Unread, KeyWrong::Root, KeyWrong::Locked, KeyWrong::Cost, KeyWrong::Weak, KeyWrong::Overdue,
        KeyWrong::Unfinished, KeyWrong::Values, KeyWrong::Aside,
    ];
    Freshness [Freshness::Proven, Freshness::Unproven];
    Outcome [Outcome::Same, Outcome::Differs, Outcome::Missing, Outcome::OtherEngine, Outcome::Erased];
    JobBy [JobBy::Keeper, JobBy::Client];
    Keeping [
        Keeping::NoRule, Keeping::Young, Keeping::Last, Keeping::Above, Keeping::Held, Keeping::Aliased, Keeping::Due, Keeping::Removed,
        Keeping::Destroyed,
    ];
    ObjectRole [ObjectRole::Committed, ObjectRole::Leased, ObjectRole::Marked];
}

impl Made for RunOutcome {
    fn made(dice: &mut Dice<'_>) -> Self {
        match dice.below(3) {
            0 => Self::Exited { code: Made::made(dice) },
            1 => Self::Signalled { signal: Made::made(dice) },
            _ => Self::Stopped { why: Made::made(dice) },
        }
    }
}

macro_rules! structs {
    ($($name:ident { $($field:ident)* })*) => {$(
        impl Made for $name {
            fn made(dice: &mut Dice<'_>) -> Self {
                Self { $($field: Made::made(dice),)* }
            }
        }
    )*};
}

structs! {
    AliasItem { alias version id number class environment created }
    AliasMove { log_index entry time principal act version before decision }
    AliasMoved { alias version before changed receipt }
    AliasPast { reference alias after limit }
    AliasRemove { reference alias expect }
    AliasSet { reference alias expect }
    AuditFilter { principal reference act since until newest_first after limit }
    AuditItem { log_index principal entry disclosed replayed }
    AuditPage { items next }
    BaselineApply { sources base }
    Begin { workspace artifact class at_least environment kind objects alias from run request }
    Begun { artifact class class_why envelope previous print_key previous_prints lease_until entry }
    ClockAccepted { before now receipt }
    CollectPlan { objects freshness }
    Collected { objects receipt }
    DepotAdd { kind place endpoint region credentials first }
    DepotCompared { mark now }
    DepotCopied { depot object }
    DepotCounted { depot seen mark }
    DepotItem { id kind place endpoint region credentials primary created seen backlog }
    DepotList { items now }
    DepotMoved { depot receipt }
    DepotRemove { depot checked }
    DepotSeen { compared held missing checked damaged }
    BackupCreate { file }
    BackupMade { backup file made bytes versions log_size roots receipt }
    BackupRoot { id kind }
    RestoreItem { backup made at log_size fork }
    Restores { count forks latest }
    DecisionsReplayed { ok same other_engine erased failures }
    Commit { version record plaintext_commitment bytes files tags alias from made prints depot }
    Committed { version receipt }
    ReencryptBegin { reference objects request reason confirm }
    ReencryptBegun { version envelope prints key lease_until entry }
    ReencryptCommit { version record plaintext_commitment prints depot }
    Reencrypted { version old_key old_digest garbage shared_with receipt }
    Explain { principal action reference class at_least environment kind from reason confirm }
    HoldItem { name of by at }
    HoldLift { reference name reason }
    HoldMoved { hold holds changed receipt }
    HoldSet { reference name reason }
    KeptVersion { version created fate until }
    Removal { items changed receipt }
    RemovalItem {
        version id class environment bytes files until made_from_it more_made_from_it shares_with
    }
    Remove { reference all reason confirm dry }
    RemovedState { at until by_rule held destroyed }
    Restore { reference }
    RetentionItem { artifact keep_secs keep_last holds kept due removed destroyed versions }
    RetentionQuery { place after }
    RetentionReport { items next receipt }
    RetentionSet { reference keep_secs keep_last reason confirm dry }
    GrantSpec { workspace role until }
    JobItem { name about by every_millis last due overdue }
    JobList { items }
    JobRan { name done failed }
    JobsRan { items }
    KeyItem {
        id purpose name workspace environment class version state fingerprint created since due wraps uses uses_early
        uses_max ends renewed
    }
    KeyList { keys now }
    KeysAway { from domains of }
    KeysStand { active due_soon overdue suspended archived next_due away }
    Certificate { parts text entry proof }
    KeyArchive { versions reason }
    KeyArchived { moved already shared_with receipts }
    KeyDestroy { key reason confirm }
    KeyDestroying { key of until versions receipt }
    NamedKeyMake { workspace name environment class }
    NamedKeyMade { name key version environment class suite due receipt }
    Encrypt { workspace name context value reason }
    Decrypt { token context reason confirm to_disk }
    Encrypted { token name version before receipt }
    Decrypted { value name version newest receipt }
    EvidenceWritten { file lines evidence }
    IncidentDone { incident step reason }
    IncidentFound {
        at log_size log_root versions unfinished destroyed packs records_lost principals releases exports shares writes first last
        evidence
    }
    IncidentItem { id key of at closed open exposed of_keys }
    IncidentList { items }
    IncidentPrincipal { principal id reads exports shares writes first last }
    IncidentStep { step done left of about commands by at }
    IncidentTold { incident entry found unread steps principals more_principals receipt }
    KeyCompromise { key reason }
    KeyMove { key to reason }
    KeyMoved { key from to of receipt }
    KeySpare { key reason }
    KeyCheck { at within_secs }
    KeyChecked { ok at until items more coming coming_more }
    KeyFinding { wrong key of why since mend }
    KeyPlanned { domains named rewraps wraps versions next left }
    NamedDrift { workspace name }
    VersionDrift { reference path id class suite written bytes }
    WrapsMended { made removed kept }
    KeyRotate { key workspace environment class name no_wait out_of_policy per_second }
    KeyRotated { keys already rewrapped remaining suspended failed receipts }
    KeyUnmade { of problem }
    DecisionTold {
        decision entry log_index time principal act allowed policies reasons near_misses policy_set engine subject
        replayed facts
    }
    Deed { log_index entry time principal by_system act outcome count version alias decision policies }
    FactsTold {
        action kind clearance active roles envs own class environment artifact_kind solo auth presence_applies
        presence_millis approved task reasoned confirmed roots
    }
    Granted { policy role workspace until }
    Holder { principal id kind clearance conditions path }
    WhoCan { action reference environment as_of after limit }
    WhoCanPage { action about class environment as_of policy_set principals questions items next }
    WhoDid { reference since until after limit }
    Lineage { version direction nodes edges next }
    LineageEdge { source made kind }
    LineageNode { id depth version kind class environment created more }
    LineageQuery { reference direction depth after limit }
    ListItem { name artifacts latest }
    ListPage { items next }
    ListQuery { workspace after limit }
    LogHead { size root checkpoint }
    LogVerified { ok head freshness failures restored }
    MadeBy { run provenance }
    NearMiss { policy condition held }
    PolicyApplied { hash receipt }
    PolicyApply { sources base }
    PolicyCheck { sources cases }
    PolicyChanges { before added removed changed decisions }
    PolicyChecked { ok hash policies cases findings failures coverage changes }
    PolicyCoverage { percent policies }
    PolicyCovered { policy own determined conditions }
    PolicyFinding { severity rule file line column policy what why mend }
    CaseFailure { case expected got why }
    ConditionCovered { condition held failed }
    DecisionChange { case before after }
    PolicyShown { hash sources }
    PrincipalAdd { name kind clearance grants revoke suspended change }
    PrincipalItem { id name kind clearance suspended erased grants }
    PrincipalErase { name reason }
    PrincipalErased { id grants runs values backup finished unfinished receipt }
    Printed { envelope print_key items }
    PrintedVersion { version sealed }
    Prints { request }
    Problem { code what why try_ refusal missing suite }
    Provenance { command code environment parts }
    Receipt { entry leaf log_index signature }
    Refusal { allowed decision policies reasons near_misses confirmation_needed approval try_ }
    Release { reference action request reason confirm run shared_with }
    Released { release decision version record envelope expires receipt }
    Replayed { outcome why }
    Revocation { workspace role }
    EscrowMade { root generation shares threshold wrapped locked receipt }
    EscrowRehearsed { root shares keys receipt }
    RootAdded { root wrapped locked receipt }
    RootDrilled { root outcome keys why }
    RootDrills { ok items }
    RootFailing { since why }
    RootItem { id kind term priority state created wraps lacks only_wraps at_hand calls failing drilled follows }
    RootList { roots }
    RootRemove { root after }
    RootSet { root priority }
    RootChanged { root receipt }
    RootRemoved { root kind wraps receipt }
    RunEnd { run outcome outputs }
    RunOutput { workspace artifact class at_least environment kind }
    RunRenewed { lease_until }
    RunStart { inputs outputs unattended_secs line reason confirm }
    RunStarted { run inputs until lease_until receipt }
    StateVerified { ok rows failures }
    Status {
        vault principal workspaces artifacts versions log_size log_pending freshness read_only keys_due incidents drafts
        jobs_overdue roots depots to_delete verified backed_up restored keys now policy_set
    }
    StoredObject { object role }
    SuitesShown { table own warnings receipt }
    VaultInfo { vault mode suite release_key log_keys origin }
    WhoAmI { principal id kind clearance suspended grants auth presence vault mode read_only }
    VersionItem {
        reference id number artifact class environment suite kind digest object key key_state bytes files created creator tags aliases from
        made removed reencrypted archived holds
    }
}

/// An enum of which each variant is made; one that is missing here does not compile.
macro_rules! each {
    ($type:ident: $($variant:ident $([$inner:ident])? $({ $($field:ident)* })?,)*) => {
        impl $type {
            pub(in crate::wire::tests) fn each(dice: &mut Dice<'_>) -> Vec<Self> {
                let made = vec![$(each!(@ dice $type $variant $([$inner])? $({ $($field)* })?),)*];
                made.iter().for_each(|value| match value { $(Self::$variant { .. } => (),)* });
                made
            }
        }
    };
    (@ $dice:ident $type:ident $variant:ident) => { $type::$variant };
    (@ $dice:ident $type:ident $variant:ident [$inner:ident]) => { $type::$variant($inner::made($dice).into()) };
    (@ $dice:ident $type:ident $variant:ident { $($field:ident)* }) => {
        $type::$variant { $($field: Made::made($dice),)* }
    };
}

each! { Command:
    Begin[Begin],
    Extend { version objects },
    Commit[Commit],
    Abandon { version },
    Release[Release],
    ReencryptBegin[ReencryptBegin],
    ReencryptCommit[ReencryptCommit],
    RunStart[RunStart],
    RunRenew { run },
    RunEnd[RunEnd],
    Prints[Prints],
    List[ListQuery],
    Show { reference },
    History { reference before limit },
    AliasSet[AliasSet],
    AliasRemove[AliasRemove],
    AliasList { reference },
    AliasHistory[AliasPast],
    Remove[Remove],
    Restore[Restore],
    RetentionSet[RetentionSet],
    Retention[RetentionQuery],
    HoldSet[HoldSet],
    HoldLift[HoldLift],
    Holds { place },
    Lineage[LineageQuery],
    WhoAmI,
    WhoCan[WhoCan],
    WhoDid[WhoDid],
    DecisionShow { decision },
    Explain[Explain],
    Status,
    KeyList,
    KeyMove[KeyMove],
    KeyArchive[KeyArchive],
    KeyUnarchive[KeyArchive],
    KeyDestroy[KeyDestroy],
    KeySpare[KeySpare],
    KeyCertificate { key part },
    NamedKeyMake[NamedKeyMake],
    Encrypt[Encrypt],
    Decrypt[Decrypt],
    Renew[Decrypt],
    KeyCompromise[KeyCompromise],
    Incidents,
    IncidentShow { incident },
    IncidentEvidence { incident file },
    IncidentDone[IncidentDone],
    IncidentClose { incident },
    RootList,
    RootDrill,
    RootRemove[RootRemove],
    RootSet[RootSet],
    KeyRotate[KeyRotate],
    KeyCheck[KeyCheck],
    KeyPlan { after },
    WrapsMend,
    PrincipalAdd[PrincipalAdd],
    PrincipalErase[PrincipalErase],
    PrincipalList,
    PolicyShow,
    PolicyCheck[PolicyCheck],
    PolicyApply[PolicyApply],
    BaselineApply[BaselineApply],
    SuitesShow,
    SuitesApply { table lockout },
    SuitesLook { table },
    Audit[AuditFilter],
    AuditShow { entry },
    AuditProve { entry },
    AuditVerify,
    AnchorMake,
    ClockAccept,
    StateVerify,
    DecisionsReplay,
    AuditExport { folder },
    BackupCreate[BackupCreate],
    CollectMark { grace_secs dry },
    CollectDone { objects },
    Jobs,
    JobsRun { name },
    JobDone { name },
    Depots,
    DepotAdd[DepotAdd],
    DepotRemove[DepotRemove],
    DepotCompare,
    DepotCounted[DepotCounted],
    DepotCopied[DepotCopied],
    Objects { after limit },
}

each! { Answer:
    Begun[Begun],
    Done,
    Committed[Committed],
    Released[Released],
    ReencryptBegun[ReencryptBegun],
    Reencrypted[Reencrypted],
    RunStarted[RunStarted],
    RunRenewed[RunRenewed],
    Printed[Printed],
    List[ListPage],
    Version[VersionItem],
    Versions { items next },
    AliasMoved[AliasMoved],
    Aliases { items },
    AliasMoves { items next },
    Removal[Removal],
    Retention[RetentionReport],
    HoldMoved[HoldMoved],
    Holds { items },
    Lineage[Lineage],
    WhoAmI[WhoAmI],
    WhoCan[WhoCanPage],
    WhoDid { items next },
    Decision[DecisionTold],
    Explained[Refusal],
    Status[Status],
    Keys[KeyList],
    Rotated[KeyRotated],
    KeyMoved[KeyMoved],
    KeyArchived[KeyArchived],
    KeyDestroying[KeyDestroying],
    Certificate[Certificate],
    NamedKeyMade[NamedKeyMade],
    Encrypted[Encrypted],
    Decrypted[Decrypted],
    Incidents[IncidentList],
    Incident[IncidentTold],
    Evidence[EvidenceWritten],
    Roots[RootList],
    RootsDrilled[RootDrills],
    RootRemoved[RootRemoved],
    RootChanged[RootChanged],
    Principal[PrincipalItem],
    PrincipalErased[PrincipalErased],
    Principals { items },
    Policy[PolicyShown],
    PolicyChecked[PolicyChecked],
    PolicyApplied[PolicyApplied],
    KeyChecked[KeyChecked],
    KeyPlanned[KeyPlanned],
    WrapsMended[WrapsMended],
    Suites[SuitesShown],
    Audit[AuditPage],
    Entry[AuditItem],
    Proof { proof log_index },
    LogVerified[LogVerified],
    ClockAccepted[ClockAccepted],
    StateVerified[StateVerified],
    DecisionsReplayed[DecisionsReplayed],
    BackupMade[BackupMade],
    Collect[CollectPlan],
    Collected[Collected],
    Jobs[JobList],
    JobsRan[JobsRan],
    Depots[DepotList],
    DepotCompared[DepotCompared],
    DepotMoved[DepotMoved],
    Objects { items next },
}
