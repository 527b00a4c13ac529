//! Lists and maps: what Rust writes it reads, and what others wrote.

use std::cell::Cell;

use proptest::prelude::*;
use seal::list::{self, Entry, ListReader, ListWriter, Node};
use seal::manifest::{Error, Sealed, SinkFailed, Source, WriteError};
use seal::map::{self, Extent, MapEntry, MapReader, MapWriter};
use seal::padme::{Padding, padded_len};
use seal::record::{Pack, Segment, VersionRecord};
use seal::secret::{ListKey, MapKey, PackKey};
use seal::{Corrupt, Suite};

use crate::case::{Case, cases, unhex};
use crate::record::sample;
use crate::suites;

const VAULT: [u8; 16] = [1; 16];
const VERSION: [u8; 16] = [3; 16];

fn list_key() -> ListKey {
    ListKey::from_bytes(Box::new([5; 32]))
}

fn map_key() -> MapKey {
    MapKey::from_bytes(Box::new([6; 32]))
}

fn file(path: impl Into<Vec<u8>>, size: u64) -> Entry {
    Entry::new(path.into(), 0o644, Node::File { size }).unwrap()
}

fn seal_list(suite: Suite, entries: &[Entry], padding: Padding) -> (Vec<u8>, Sealed) {
    let mut out = Vec::new();
    let mut sink = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    let mut writer = ListWriter::new(&list_key(), suite, &VAULT, &VERSION, &mut sink).unwrap();
    for (ordinal, entry) in entries.iter().enumerate() {
        assert_eq!(writer.push(entry).unwrap(), ordinal as u64);
    }
    let sealed = writer.finish(padding).unwrap();
    (out, sealed)
}

fn seal_map(suite: Suite, entries: &[MapEntry], packs: &[([u8; 16], PackKey)]) -> (Vec<u8>, Sealed) {
    let mut out = Vec::new();
    let mut sink = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    let mut writer = MapWriter::new(&map_key(), suite, &VAULT, &VERSION, &mut sink).unwrap();
    for entry in entries {
        writer.push(entry).unwrap();
    }
    let sealed = writer.finish(packs, Padding::Padme).unwrap();
    (out, sealed)
}

fn record(suite: Suite, list: Sealed, map: Sealed) -> VersionRecord {
    VersionRecord { suite, list: list.at(0), map: map.at(list.stored_len), ..sample() }
}

/// A record whose list is this one; its map is not looked at.
fn with_list(suite: Suite, sealed: Sealed) -> VersionRecord {
    record(suite, sealed, sealed)
}

fn read_list(object: &[u8], record: &VersionRecord) -> Result<Vec<Entry>, Error<Corrupt>> {
    let mut reader = ListReader::open(&list_key(), record, object)?;
    let mut entries = Vec::new();
    while let Some((ordinal, entry)) = reader.next_entry()? {
        assert_eq!(ordinal, entries.len() as u64);
        entries.push(entry);
    }
    assert_eq!(reader.entries(), entries.len() as u64);
    Ok(entries)
}

/// Sorted, long and short paths, of every kind: several levels of index.
fn many(count: usize) -> Vec<Entry> {
    (0..count)
        .map(|n| {
            let path = format!("data/part-{n:06}/{}", "x".repeat(n % 90 * 8)).trim_end_matches('/').as_bytes().to_vec();
            match n % 3 {
                0 => Entry::new(path, 0o755, Node::Folder).unwrap(),
                1 => Entry::new(path, 0o777, Node::Symlink { target: vec![0xff; n % 50 + 1] }).unwrap(),
                _ => file(path, n as u64),
            }
        })
        .collect()
}

/// Counts what is read.
struct Counting<'a>(&'a [u8], &'a Cell<u64>);

impl Source for Counting<'_> {
    type Error = Corrupt;
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), Corrupt> {
        self.1.set(self.1.get() + out.len() as u64);
        self.0.read_at(offset, out)
    }
}

#[test]
fn list_vectors() {
    for case in cases(include_str!("../../../../vectors/list.json"), 80) {
        let found = read_vector_list(&case);
        assert_eq!(found.is_ok(), case.ok(), "{}: {found:?}", case.name());
        let Ok(found) = found else { continue };
        let expected = case.value("entries").as_array().unwrap();
        assert_eq!(found.len(), expected.len());
        for (entry, expected) in found.iter().zip(expected) {
            let node = match expected[2].as_u64().unwrap() {
                0 => Node::File { size: expected[3].as_u64().unwrap() },
                1 => Node::Folder,
                _ => Node::Symlink { target: unhex(&expected[3]) },
            };
            let mode = expected[1].as_u64().unwrap() as u16;
            assert_eq!(entry, &Entry::new(unhex(&expected[0]), mode, node).unwrap());
        }
    }
}

fn read_vector_list(case: &Case) -> Result<Vec<Entry>, Error<Corrupt>> {
    let record = VersionRecord::decode(&case.bytes("record")).unwrap();
    let key = ListKey::from_slice(&case.bytes("list_key")).unwrap();
    let object = case.bytes("object");
    let mut reader = ListReader::open(&key, &record, object.as_slice())?;
    let mut entries = Vec::new();
    while let Some((_, entry)) = reader.next_entry()? {
        entries.push(entry);
    }
    Ok(entries)
}

#[test]
fn map_vectors() {
    for case in cases(include_str!("../../../../vectors/map.json"), 40) {
        let found = read_vector_map(&case);
        assert_eq!(found.is_ok(), case.ok(), "{}: {found:?}", case.name());
        let Ok((found, keys)) = found else { continue };
        let expected = case.value("entries").as_array().unwrap();
        assert_eq!(found.len(), expected.len());
        for (entry, expected) in found.iter().zip(expected) {
            let digest = (!expected[1].is_null()).then(|| unhex(&expected[1]).try_into().unwrap());
            let number = |value: &serde_json::Value| value.as_u64().unwrap();
            let extents = expected[0].as_array().unwrap().iter().map(|e| Extent {
                pack: number(&e[0]) as u32,
                segment: number(&e[1]) as u32,
                offset: number(&e[2]),
                len: number(&e[3]),
            });
            assert_eq!(entry, &MapEntry { extents: extents.collect(), digest });
        }
        let expected = case.value("pack_keys").as_array().unwrap().iter().map(unhex);
        assert!(keys.into_iter().eq(expected), "{}", case.name());
    }
}

type MapAndKeys = (Vec<MapEntry>, Vec<Vec<u8>>);

fn read_vector_map(case: &Case) -> Result<MapAndKeys, Error<Corrupt>> {
    let record = VersionRecord::decode(&case.bytes("record")).unwrap();
    let key = MapKey::from_slice(&case.bytes("map_key")).unwrap();
    let object = case.bytes("object");
    let mut reader = MapReader::open(&key, &record, object.as_slice())?;
    let mut entries = Vec::new();
    while let Some((_, entry)) = reader.next_entry()? {
        entries.push(entry);
    }
    let keys = reader.into_pack_keys().iter().map(|key| key.expose_bytes().to_vec()).collect();
    Ok((entries, keys))
}

#[test]
fn lists_of_every_size_come_back() {
    for suite in Suite::ALL {
        for count in [0, 1, 2, 300, 20_000] {
            let entries = many(count);
            let (object, sealed) = seal_list(suite, &entries, Padding::None);
            assert_eq!(object.len() as u64, sealed.stored_len);
            assert!(read_list(&object, &with_list(suite, sealed)).unwrap() == entries, "{count}");
        }
    }
}

#[test]
fn a_name_is_found_and_a_page_read_with_few_blocks() {
    for suite in Suite::ALL {
        let entries: Vec<Entry> = (0..100_000).map(|n| file(format!("folder-{:03}/file-{n:06}", n / 200), n)).collect();
        let (object, sealed) = seal_list(suite, &entries, Padding::None);
        let read = Cell::new(0);
        let record = with_list(suite, sealed);
        let mut reader = ListReader::open(&list_key(), &record, Counting(&object, &read)).unwrap();
        assert_eq!(reader.total_len(), (0..100_000).sum::<u64>());
        let opened = read.get();
        for n in [0usize, 1, 777, 50_000, 99_999] {
            let (ordinal, entry) = reader.find(entries[n].path()).unwrap().unwrap();
            assert_eq!((ordinal, &entry), (n as u64, &entries[n]));
            reader.seek_ordinal(n as u64).unwrap();
            assert_eq!(reader.next_entry().unwrap().unwrap().1, entries[n]);
        }
        assert!(read.get() - opened < 10 * 4 * 66_000, "{} bytes", read.get() - opened);
        assert!(reader.find(b"folder-003/file-000600x").unwrap().is_none());
        assert!(reader.find(b"").unwrap().is_none());
        assert!(reader.find(b"zzz").unwrap().is_none());
        reader.seek_path(b"folder-003/").unwrap();
        let mut page = Vec::new();
        while let Some((_, entry)) = reader.next_entry().unwrap().filter(|(_, e)| e.path().starts_with(b"folder-003/"))
        {
            page.push(entry);
        }
        assert!(page == entries[600..800]);
    }
}

#[test]
fn padding_hides_the_length_of_a_list() {
    for suite in Suite::ALL {
        let (short, sealed) = seal_list(suite, &many(1_000), Padding::Padme);
        let (_, plain) = seal_list(suite, &many(1_000), Padding::None);
        assert_eq!(sealed.plaintext_len, padded_len(plain.plaintext_len));
        assert!(sealed.plaintext_len > plain.plaintext_len);
        assert!(read_list(&short, &with_list(suite, sealed)).unwrap() == many(1_000));
    }
}

#[test]
fn a_list_or_map_of_one_suite_does_not_open_as_the_other() {
    for (suite, other) in [(Suite::Default, Suite::Nist), (Suite::Nist, Suite::Default)] {
        let (list, sealed_list) = seal_list(suite, &many(3), Padding::None);
        let (map, sealed_map) = seal_map(suite, &[MapEntry::default()], &[]);
        let object = [list, map].concat();
        let told = VersionRecord { packs: Vec::new(), ..record(suite, sealed_list, sealed_map) };
        assert!(ListReader::open(&list_key(), &told, object.as_slice()).is_ok());
        assert!(MapReader::open(&map_key(), &told, object.as_slice()).is_ok());
        let told = VersionRecord { suite: other, ..told };
        let (list, map) = (
            ListReader::open(&list_key(), &told, object.as_slice()).err(),
            MapReader::open(&map_key(), &told, object.as_slice()).err(),
        );
        assert!(matches!(list, Some(Error::Corrupt(_))), "{list:?}");
        assert!(matches!(map, Some(Error::Corrupt(_))), "{map:?}");
    }
}

#[test]
fn entries_out_of_order_are_not_written() {
    for suite in Suite::ALL {
        let mut sink = |_: &[u8]| Ok(());
        let mut writer = ListWriter::new(&list_key(), suite, &VAULT, &VERSION, &mut sink).unwrap();
        writer.push(&file("b", 0)).unwrap();
        assert_eq!(writer.push(&file("b", 0)), Err(WriteError::Order));
        assert_eq!(writer.push(&file("a/z", 0)), Err(WriteError::Order));
        writer.push(&file([b'b', 0xff], 0)).unwrap();
    }
}

#[test]
fn a_failing_sink_is_reported() {
    for suite in Suite::ALL {
        let mut sink = |_: &[u8]| Err(SinkFailed);
        let writer = ListWriter::new(&list_key(), suite, &VAULT, &VERSION, &mut sink).unwrap();
        assert_eq!(writer.finish(Padding::None).err(), Some(WriteError::Sink(SinkFailed)));
    }
}

#[test]
fn every_flipped_byte_of_a_small_list_is_caught() {
    for suite in Suite::ALL {
        let (object, sealed) = seal_list(suite, &many(20), Padding::None);
        let record = with_list(suite, sealed);
        for at in 0..object.len() {
            let mut flipped = object.clone();
            flipped[at] ^= 1;
            assert!(matches!(read_list(&flipped, &record), Err(Error::Corrupt(_))), "byte {at}");
        }
        assert!(matches!(read_list(&object[..object.len() - 1], &record), Err(Error::Source(_))));
    }
}

#[test]
fn a_flipped_byte_of_a_large_list_is_caught_where_it_is() {
    for suite in Suite::ALL {
        let entries = many(20_000);
        let (mut object, sealed) = seal_list(suite, &entries, Padding::None);
        object[700_000] ^= 1;
        match read_list(&object, &with_list(suite, sealed)) {
            Err(Error::Corrupt(corrupt)) => assert_eq!(corrupt.offset(), 56 + 10 * 65_600),
            other => panic!("{:?}", other.map(|entries| entries.len())),
        }
    }
}

#[test]
fn maps_come_back_and_lie_inside_their_packs() {
    for suite in Suite::ALL {
        let segment = |n: u8, plaintext_len| Segment { object: [n; 16], plaintext_len, stored_len: 0, digest: [n; 32] };
        let packs = vec![
            Pack {
                id: [5; 16],
                owner: VERSION,
                segments: vec![segment(1, 1 << 30), segment(2, 1 << 30), segment(3, 10)],
            },
            Pack { id: [6; 16], owner: VERSION, segments: vec![segment(4, 1 << 30)] },
        ];
        let entries: Vec<MapEntry> = (0..30_000u64)
            .map(|n| match n % 4 {
                0 => MapEntry::default(),
                1 => MapEntry { extents: Vec::new(), digest: Some([0; 32]) },
                2 => MapEntry {
                    extents: vec![Extent { pack: 1, segment: 0, offset: n, len: n }],
                    digest: Some([n as u8; 32]),
                },
                _ => MapEntry {
                    extents: vec![
                        Extent { pack: 0, segment: 1, offset: (1 << 30) - 7, len: 17 },
                        Extent { pack: 0, segment: 0, offset: 5, len: (2 << 30) + 5 },
                    ],
                    digest: Some([1; 32]),
                },
            })
            .collect();
        let keys = || {
            vec![([5; 16], PackKey::from_bytes(Box::new([1; 32]))), ([6; 16], PackKey::from_bytes(Box::new([2; 32])))]
        };
        let (list, sealed_list) = seal_list(suite, &many(3), Padding::None);
        let (map, sealed_map) = seal_map(suite, &entries, &keys());
        let object = [list, map].concat();
        let record = VersionRecord { packs: packs.clone(), ..record(suite, sealed_list, sealed_map) };
        let mut reader = MapReader::open(&map_key(), &record, object.as_slice()).unwrap();
        assert_eq!(reader.entries(), 30_000);
        assert_eq!(reader.total_len(), entries.iter().map(|entry| entry.size().unwrap()).sum::<u64>());
        assert_eq!(reader.pack_key(1).unwrap().expose_bytes(), &[2; 32]);
        assert!(reader.pack_key(2).is_none());
        for n in [29_999, 0, 12_345, 3] {
            assert_eq!(reader.find(n).unwrap().unwrap(), entries[n as usize]);
        }
        assert!(reader.find(30_000).unwrap().is_none());
        let long = entries[3].extents[1];
        let pieces: Vec<_> = reader.pieces(&long).map(|p| (p.segment, p.offset, p.len)).collect();
        assert_eq!(pieces, [(0, 5, (1 << 30) - 5), (1, 0, 1 << 30), (2, 0, 10)]);
        reader.seek(0).unwrap();
        for expected in &entries {
            assert_eq!(&reader.next_entry().unwrap().unwrap().1, expected);
        }
        assert!(reader.next_entry().unwrap().is_none());

        // The same map under a record whose packs are shorter, fewer, or other ones.
        let mut shorter = record.clone();
        shorter.packs[0].segments.pop();
        let mut reader = MapReader::open(&map_key(), &shorter, object.as_slice()).unwrap();
        assert!(matches!(reader.find(3), Err(Error::Malformed(_))));
        for packs in [vec![packs[0].clone()], vec![packs[1].clone(), packs[0].clone()]] {
            let other = VersionRecord { packs, ..record.clone() };
            let opened = MapReader::open(&map_key(), &other, object.as_slice());
            assert!(matches!(opened.err(), Some(Error::Malformed(_))));
        }
        // List and map swapped, and the list key for the map.
        let swapped = VersionRecord { list: record.map, map: record.list, ..record.clone() };
        assert!(MapReader::open(&map_key(), &swapped, object.as_slice()).is_err());
        let list_as_map = MapKey::from_slice(list_key().expose_bytes()).unwrap();
        assert!(MapReader::open(&list_as_map, &swapped, object.as_slice()).is_err());
    }
}

fn entry() -> impl Strategy<Value = Entry> {
    let path = "[a-c\u{e9}/.]{1,12}".prop_map(String::into_bytes);
    let node = prop_oneof![
        (0u64..1 << 46).prop_map(|size| Node::File { size }),
        Just(Node::Folder),
        proptest::collection::vec(1u8.., 1..20).prop_map(|target| Node::Symlink { target }),
    ];
    (path, 0u16..0o10000, node).prop_filter_map("a path", |(path, mode, node)| Entry::new(path, mode, node).ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_sorted_entries_come_back(suite in suites(), mut entries in proptest::collection::vec(entry(), 0..60), pad: bool) {
        entries.sort_by(|a, b| a.path().cmp(b.path()));
        entries.dedup_by(|a, b| a.path() == b.path());
        let (object, sealed) = seal_list(suite, &entries, if pad { Padding::Padme } else { Padding::None });
        prop_assert_eq!(read_list(&object, &with_list(suite, sealed)).unwrap(), entries);
    }

    #[test]
    fn any_bytes_are_blocks_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = list::decode_entries(&bytes);
        let _ = map::decode_entries(&bytes);
    }

    #[test]
    fn a_changed_block_decodes_to_something_else(entries in proptest::collection::vec(entry(), 1..5), at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = block(&entries);
        prop_assert_eq!(&list::decode_entries(&bytes).unwrap(), &entries);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = list::decode_entries(&bytes) {
            prop_assert_ne!(other, entries);
        }
    }
}

/// A block, written by hand: short heads only.
fn block(entries: &[Entry]) -> Vec<u8> {
    let head = |major: u8, n: u64| match n {
        0..24 => vec![major << 5 | n as u8],
        24..256 => vec![major << 5 | 24, n as u8],
        256..65_536 => [vec![major << 5 | 25], (n as u16).to_be_bytes().to_vec()].concat(),
        65_536..0x1_0000_0000 => [vec![major << 5 | 26], (n as u32).to_be_bytes().to_vec()].concat(),
        _ => [vec![major << 5 | 27], n.to_be_bytes().to_vec()].concat(),
    };
    let string = |bytes: &[u8]| [head(2, bytes.len() as u64), bytes.to_vec()].concat();
    let mut out = head(4, entries.len() as u64);
    for entry in entries {
        let node = match entry.node() {
            Node::File { size } => [vec![0], head(0, *size)].concat(),
            Node::Folder => vec![1, 0xf6],
            Node::Symlink { target } => [vec![2], string(target)].concat(),
        };
        out.extend([vec![0x84], string(entry.path()), head(0, entry.mode().into()), node].concat());
    }
    out
}
