//! The vault opened by the library in this process: what somebody knows who was given its keys.

use super::sandbox::Sandbox;
use api::terms::Action;
use client::opened::Opened;
use client::vault::{Root, Sitting};
use client::{Client, Why};
use seal::list::{Entry, ListWriter};
use seal::manifest::Sealed;
use seal::map::{MapEntry, MapWriter};
use seal::padme::Padding;
use seal::record::VersionRecord;
use seal::secret::{ListKey, MapKey, PackKey};
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

fn vault_id(sandbox: &Sandbox) -> api::terms::VaultId {
    client::vault::describe(&sandbox.vault()).expect("a vault").vault
}

/// Opens the vault as its owner.
pub fn open(sandbox: &Sandbox) -> Client {
    let root = Root::Keyfile(key_file(sandbox));
    client::vault::open(&sandbox.vault(), root, anchor(sandbox), Sitting::default()).expect("the vault opens")
}

/// Has a version's keys released and reads its list and map.
pub fn known(sandbox: &Sandbox, reference: &str) -> Known {
    let client = open(sandbox);
    let grant = client.seat().release(reference, Action::Read, &Why::default()).expect("a release");
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
