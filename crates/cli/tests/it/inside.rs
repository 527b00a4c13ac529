//! The vault opened by the library in this process: what somebody knows who was given its keys.

use super::sandbox::Sandbox;
use api::terms::{Action, Class, Environment, Suite};
use client::opened::Opened;
use client::vault::{RootMeans, RootUnlock, Sitting};
use client::{Client, Why};
use seal::escrow::{Escrow, Share};
use seal::list::{Entry, ListWriter};
use seal::manifest::Sealed;
use seal::map::{MapEntry, MapWriter};
use seal::padme::Padding;
use seal::record::VersionRecord;
use seal::secret::{DomainKey, FieldKey, ListKey, MacKey, MapKey, PackKey, RootKey, SigningSeed, VersionKey};
use seal::wrap::{Kind, WrapContext, unwrap};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything that a release of one version gives away.
pub struct Known {
    pub record: VersionRecord,
    pub list_key: ListKey,
    pub map_key: MapKey,
    pub pack_keys: Vec<PackKey>,
    pub entries: Vec<Entry>,
    pub places: Vec<MapEntry>,
}

/// Where the key file of a sandbox's vault is.
pub fn key_file(sandbox: &Sandbox) -> PathBuf {
    sandbox.at(format!("config/strongroom/{}.key", vault_id(sandbox)))
}

/// Where the anchor is.
pub fn anchor(sandbox: &Sandbox) -> PathBuf {
    sandbox.at(format!("state/strongroom/{}.anchor", vault_id(sandbox)))
}

/// The bytes of the root in the key file, and its id.
pub fn root(sandbox: &Sandbox) -> (RootKey, [u8; 16]) {
    let text = std::fs::read_to_string(key_file(sandbox)).expect("a key file");
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, _, id, digits] = words[..] else { panic!("a key file has four words") };
    let key = RootKey::from_slice(&hex::decode(digits).expect("digits")).expect("a key");
    (key, id_of(&Value::from(id)).expect("an id"))
}

/// The root of a kind in `vault.json`: its id, and its parameters.
fn entry(sandbox: &Sandbox, kind: &str) -> ([u8; 16], Vec<u8>) {
    let text = std::fs::read_to_string(sandbox.vault().join("vault.json")).expect("a vault");
    let file: Value = serde_json::from_str(&text).expect("JSON");
    let entries = file["roots"].as_array().expect("roots");
    let entry = entries.iter().find(|entry| entry["kind"] == kind).expect("a root of that kind");
    (id_of(&entry["id"]).expect("an id"), hex::decode(entry["params"].as_str().expect("parameters")).expect("digits"))
}

/// The key into which the vault's passphrase is stretched, and its id.
pub fn stretched(sandbox: &Sandbox, phrase: &[u8]) -> (RootKey, [u8; 16]) {
    let (id, params) = entry(sandbox, "passphrase");
    let params = seal::passphrase::Params::decode(&params).expect("parameters");
    (params.derive(phrase, vault_id(sandbox).as_bytes()).expect("a key"), id)
}

/// The seed that shares of the vault's escrow join to, and the key that is derived from it.
pub fn joined(sandbox: &Sandbox, shares: &[String]) -> [Vec<u8>; 2] {
    let (id, params) = entry(sandbox, "escrow");
    let (suite, vault) = (seal::Suite::Default, vault_id(sandbox));
    let (escrow, _) = Escrow::from_params(suite, vault.as_bytes(), &id, &params).expect("an escrow");
    let shares: Vec<Share> = shares.iter().map(|text| Share::parse(text.as_bytes()).expect("a share")).collect();
    let seed = escrow.combine(&shares).expect("enough shares");
    let key = seed.root_key(suite, vault.as_bytes(), &id).expect("a key");
    [seed.expose_bytes().to_vec(), key.expose_bytes().to_vec()]
}

/// Every key that the database holds wrapped, and the root: by what it is. They are opened as `spec/keys.md` says.
pub fn wrapped_keys(sandbox: &Sandbox) -> BTreeMap<String, Vec<u8>> {
    wrapped_under(sandbox, root(sandbox))
}

/// The same by another root than the key file.
pub fn wrapped_under(sandbox: &Sandbox, (root, root_id): (RootKey, [u8; 16])) -> BTreeMap<String, Vec<u8>> {
    let vault = *vault_id(sandbox).as_bytes();
    let db = rusqlite::Connection::open(sandbox.vault().join("keeper.db")).expect("the database");
    let mut rows = db.prepare("SELECT body FROM wrap ORDER BY id").expect("a table of wraps");
    let rows = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect("wraps");
    let wraps: Vec<Value> = rows.map(|body| serde_json::from_slice(&body.expect("a row")).expect("JSON")).collect();
    let mut found = BTreeMap::from([("root".to_owned(), root.expose_bytes().to_vec())]);
    let mut domains = BTreeMap::new();
    for wrap in wraps.iter().filter(|wrap| id_of(&wrap["under"]) == Some(root_id)) {
        let purpose = wrap["purpose"].as_str().expect("a purpose");
        let sealed = hex::decode(wrap["sealed"].as_str().expect("a wrap")).expect("digits");
        let context = |kind| context_of(vault, kind, wrap);
        let bytes = match purpose {
            "domain" => {
                let key: DomainKey = unwrap(&root, &context(Kind::Domain), &sealed).expect("a domain key");
                let bytes = key.expose_bytes().to_vec();
                domains.insert(wrap["key"].to_string(), key);
                bytes
            }
            "row-mac" => unwrap::<MacKey>(&root, &context(Kind::Mac), &sealed).expect("a key").expose_bytes().to_vec(),
            "field" => {
                unwrap::<FieldKey>(&root, &context(Kind::Field), &sealed).expect("a key").expose_bytes().to_vec()
            }
            seed => {
                let kind = match seed {
                    "release" => Kind::Release,
                    "log-ed25519" => Kind::LogEd25519,
                    "log-mldsa44" => Kind::LogMlDsa44,
                    other => panic!("an unknown purpose {other}"),
                };
                unwrap::<SigningSeed>(&root, &context(kind), &sealed).expect("a seed").expose_bytes().to_vec()
            }
        };
        found.insert(format!("{purpose}-{}", found.len()), bytes);
    }
    for wrap in wraps.iter().filter(|wrap| wrap["kind"] == "version") {
        let under = &domains[&wrap["under"].to_string()];
        let sealed = hex::decode(wrap["sealed"].as_str().expect("a wrap")).expect("digits");
        let key: VersionKey = unwrap(under, &context_of(vault, Kind::Version, wrap), &sealed).expect("a version key");
        found.insert(format!("version-{}", found.len()), key.expose_bytes().to_vec());
    }
    found
}

fn context_of(vault: [u8; 16], kind: Kind, wrap: &Value) -> WrapContext {
    let domain = &wrap["domain"];
    let number = |value: &Value| (!value.is_null()).then(|| value.clone());
    WrapContext {
        suite: suite_of(&wrap["suite"]),
        vault,
        kind,
        workspace: id_of(&domain["workspace"]),
        environment: number(&domain["environment"])
            .map(|word| serde_json::from_value::<Environment>(word).expect("an environment").number()),
        class: number(&domain["class"]).map(|word| serde_json::from_value::<Class>(word).expect("a class").number()),
        artifact: id_of(&wrap["artifact"]),
        version: id_of(&wrap["version"]),
        key_id: id_of(&wrap["key"]).expect("an id"),
        wrapping_key_id: id_of(&wrap["under"]).expect("an id"),
        wrapping_key_version: wrap["under_version"].as_u64().expect("a number") as u32,
    }
}

fn suite_of(word: &Value) -> seal::Suite {
    let word: Suite = serde_json::from_value(word.clone()).expect("a suite");
    seal::Suite::from_number(word.number().into()).expect("a suite")
}

fn id_of(value: &Value) -> Option<[u8; 16]> {
    let mut id = [0; 16];
    hex::decode_to_slice(value.as_str()?, &mut id).expect("32 digits");
    Some(id)
}

fn vault_id(sandbox: &Sandbox) -> api::terms::VaultId {
    client::vault::describe(&sandbox.vault()).expect("a vault").vault
}

/// Opens the vault as its owner.
pub fn open(sandbox: &Sandbox) -> Client {
    let roots = vec![RootMeans { root: None, unlock: RootUnlock::Keyfile(key_file(sandbox)) }];
    client::vault::open(&sandbox.vault(), roots, anchor(sandbox), Sitting::default()).expect("the vault opens")
}

/// Has a version's keys released and reads its list and map.
pub fn known(sandbox: &Sandbox, reference: &str) -> Known {
    let client = open(sandbox);
    // Restricted data asks for both.
    let (reason, confirm) = (Some("a test".to_owned()), reference.split('@').next().map(str::to_owned));
    let grant = client.seat().release(reference, Action::Read, &Why { reason, confirm }).expect("a release");
    let opened = Opened::new(client.store(), &grant).expect("a whole version object");
    let (mut list, mut map) = (opened.list().expect("a list"), opened.map().expect("a map"));
    list.seek_ordinal(0).expect("a first entry");
    map.seek(0).expect("a first place");
    let (mut entries, mut places) = (Vec::new(), Vec::new());
    while let Some((_, entry)) = list.next_entry().expect("an entry") {
        entries.push(entry);
        places.push(map.next_entry().expect("a place").expect("as many places as entries").1);
    }
    let pack_keys = map.into_pack_keys();
    client.close().expect("a closed vault");
    let map_key = grant.keys.map.expect("a map key");
    Known { record: grant.record, list_key: grant.keys.list, map_key, pack_keys, entries, places }
}

impl Known {
    /// The keys, by what they are.
    pub fn keys(&self) -> BTreeMap<String, Vec<u8>> {
        let packs =
            self.pack_keys.iter().enumerate().map(|(n, key)| (format!("pack-{n}"), key.expose_bytes().to_vec()));
        let list = ("list".to_owned(), self.list_key.expose_bytes().to_vec());
        packs.chain([list, ("map".to_owned(), self.map_key.expose_bytes().to_vec())]).collect()
    }

    /// Seals a list of these entries under the version's own key.
    pub fn seal_list(&self, entries: &[Entry]) -> (Vec<u8>, Sealed) {
        let mut out = Vec::new();
        let mut sink = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        let VersionRecord { suite, vault, version, .. } = self.record;
        let mut list = ListWriter::new(&self.list_key, suite, &vault, &version, &mut sink).expect("a list");
        for entry in entries {
            list.push(entry).expect("an entry");
        }
        let sealed = list.finish(Padding::for_class(self.record.class)).expect("a sealed list");
        (out, sealed)
    }

    /// The same for a map.
    pub fn seal_map(&self, places: &[MapEntry]) -> (Vec<u8>, Sealed) {
        let mut out = Vec::new();
        let mut sink = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        let VersionRecord { suite, vault, version, .. } = self.record;
        let mut map = MapWriter::new(&self.map_key, suite, &vault, &version, &mut sink).expect("a map");
        for place in places {
            map.push(place).expect("a place");
        }
        let copy = |key: &PackKey| PackKey::from_slice(key.expose_bytes()).expect("a key");
        let keys: Vec<_> =
            self.record.packs.iter().zip(&self.pack_keys).map(|(pack, key)| (pack.id, copy(key))).collect();
        let sealed = map.finish(&keys, Padding::for_class(self.record.class)).expect("a sealed map");
        (out, sealed)
    }

    /// The entry of a path.
    pub fn ordinal(&self, path: &str) -> usize {
        self.entries.iter().position(|entry| entry.path() == path.as_bytes()).expect("a path of the version")
    }
}
