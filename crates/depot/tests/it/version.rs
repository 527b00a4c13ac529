//! Version objects: list, map and record in one object.

use depot::sealed::{Appender, Error, Unit, VersionObject};
use depot::{Bucket, Key, Store};
use seal::Suite;
use seal::list::{Entry, ListReader, ListWriter, Node};
use seal::manifest::{Sealed, SinkFailed};
use seal::map::{MapEntry, MapReader, MapWriter};
use seal::padme::Padding;
use seal::record::{VersionDigest, VersionRecord};
use seal::secret::{ListKey, MapKey};

use crate::conformance::{key, whole};

pub struct Written {
    pub key: Key,
    pub digest: VersionDigest,
    list_key: ListKey,
    map_key: MapKey,
}

pub const NAMES: usize = 3000;

fn name(n: usize) -> Vec<u8> {
    format!("folder/{n:05}").into_bytes()
}

pub fn write(store: &dyn Store, object: u8) -> Written {
    let (list_key, map_key) = (ListKey::generate().unwrap(), MapKey::generate().unwrap());
    let (vault, version) = ([1; 16], [object; 16]);
    let mut out = Appender::create(store, &key(1, object)).unwrap();
    let list = seal_list(&list_key, &version, &mut out);
    let map_at = out.position();
    let map = seal_map(&map_key, &version, &mut out).at(map_at);
    let record = VersionRecord {
        suite: Suite::Default,
        vault,
        artifact: [4; 16],
        version,
        previous: None,
        class: 1,
        environment: None,
        packs: Vec::new(),
        object: [object; 16],
        list: list.at(0),
        map,
    };
    let mut end = Vec::new();
    seal::object::append(&record.encode().unwrap(), &mut end).unwrap();
    out.append(&end).unwrap();
    out.close().unwrap().finish().unwrap();
    Written { key: key(1, object), digest: record.digest().unwrap(), list_key, map_key }
}

fn seal_list(list_key: &ListKey, version: &[u8; 16], out: &mut Appender) -> Sealed {
    let mut sink = |bytes: &[u8]| out.append(bytes).map_err(|_| SinkFailed);
    let mut writer = ListWriter::new(list_key, Suite::Default, &[1; 16], version, &mut sink).unwrap();
    for n in 0..NAMES {
        writer.push(&Entry::new(name(n), 0o644, Node::File { size: 0 }).unwrap()).unwrap();
    }
    writer.finish(Padding::None).unwrap()
}

fn seal_map(map_key: &MapKey, version: &[u8; 16], out: &mut Appender) -> Sealed {
    let mut sink = |bytes: &[u8]| out.append(bytes).map_err(|_| SinkFailed);
    let mut writer = MapWriter::new(map_key, Suite::Default, &[1; 16], version, &mut sink).unwrap();
    for _ in 0..NAMES {
        writer
            .push(&MapEntry { extents: Vec::new(), digest: Some(*seal::tree::digest(Suite::Default, &[]).as_bytes()) })
            .unwrap();
    }
    writer.finish(&[], Padding::None).unwrap()
}

/// Reads everything; answers the number of names.
fn read(store: &dyn Store, version: &Written) -> Result<usize, String> {
    let object = VersionObject::open(store, &version.key).map_err(|e| e.to_string())?;
    let record = object.record(&version.digest).map_err(|e| e.to_string())?;
    read_from(&object, &record, version)
}

/// The same of an object that is opened by its record, whose copies are asked.
pub fn read_of(store: &dyn Store, version: &Written) -> Result<usize, String> {
    let object = VersionObject::open(store, &version.key).map_err(|e| e.to_string())?;
    let record = object.record(&version.digest).map_err(|e| e.to_string())?;
    let object = VersionObject::of(store, &record).map_err(|e| e.to_string())?;
    read_from(&object, &record, version)
}

fn read_from(object: &VersionObject, record: &VersionRecord, version: &Written) -> Result<usize, String> {
    let mut list = ListReader::open(&version.list_key, record, object).map_err(|e| format!("{e:?}"))?;
    list.seek_ordinal(0).map_err(|e| format!("{e:?}"))?;
    let mut names = 0;
    while let Some((_, entry)) = list.next_entry().map_err(|e| format!("{e:?}"))? {
        assert_eq!(entry.path(), name(names), "an unauthenticated name was given out");
        names += 1;
    }
    let mut map = MapReader::open(&version.map_key, record, object).map_err(|e| format!("{e:?}"))?;
    map.seek(0).map_err(|e| format!("{e:?}"))?;
    while map.next_entry().map_err(|e| format!("{e:?}"))?.is_some() {}
    Ok(names)
}

#[test]
fn list_map_and_record_come_back_from_one_object() {
    let store = Bucket::in_memory().unwrap();
    let version = write(&store, 1);
    assert_eq!(read(&store, &version), Ok(NAMES));
}

#[test]
fn flipped_cut_or_swapped_version_objects_are_refused() {
    let store = Bucket::in_memory().unwrap();
    let (one, two) = (write(&store, 1), write(&store, 2));
    let stored = whole(&store, &one.key);
    let step = stored.len() / 150;
    for position in (0..stored.len()).step_by(step).chain(stored.len() - 400..stored.len()) {
        let mut bytes = stored.clone();
        bytes[position] ^= 0x10;
        store.delete(&one.key).unwrap();
        store.put_small(&one.key, &bytes).unwrap();
        assert!(read(&store, &one).is_err(), "{position}");
    }
    for bytes in [
        &stored[..0],
        &stored[..7],
        &stored[..stored.len() - 1],
        &whole(&store, &two.key)[..],
        &[&stored[..], &[0]].concat(),
        &[&stored[..], &stored[..]].concat(),
        &[&[0], &stored[..]].concat(),
    ] {
        store.delete(&one.key).unwrap();
        store.put_small(&one.key, bytes).unwrap();
        let object = VersionObject::open(&store, &one.key).unwrap();
        assert!(matches!(object.record(&one.digest), Err(Error::Corrupt { what: Unit::Record, .. })));
    }
}
