//! Forgeries by somebody who was given every key of the version and writes the depot: the ciphers accept each of them, only digests do not.

use super::{Attack, GROUPS, LATEST, LIST, MAP, RECORD, SEGMENT, Scene, TREE};
use seal::label::{Label, lp};
use seal::list::Entry;
use seal::record::VersionRecord;
use seal::segment::{SegmentContext, SegmentSealer, block_group_count, sealed_groups_len};
use seal::tree::{self, Digest};
use testkit::suites;

/// The pack of the segment that only the latest version has, by its number in the record.
fn own_pack(scene: &Scene) -> usize {
    scene.latest.places[scene.latest.ordinal("a.bin")].extents[0].pack as usize
}

fn context(scene: &Scene) -> SegmentContext {
    let record = &scene.latest.record;
    SegmentContext { vault: record.vault, pack: record.packs[own_pack(scene)].id, index: 0 }
}

/// Other bytes sealed as that segment, tree included; and the root of the tree.
fn resealed(scene: &Scene, plain: &[u8]) -> (Vec<u8>, Digest) {
    let key = &scene.latest.pack_keys[own_pack(scene)];
    let sealer = SegmentSealer::new(scene.latest.record.suite, key, &context(scene)).expect("a sealer");
    let mut stored = vec![0; sealed_groups_len(0, plain.len())];
    let mut leaves = vec![Digest::default(); block_group_count(plain.len())];
    sealer.seal_groups(0, plain, &mut stored, &mut leaves).expect("sealed groups");
    let (tail, info) = sealer.finish(&leaves).expect("a tree");
    stored.extend_from_slice(&tail);
    (stored, *info.digest())
}

/// The segment with chunk 5 replaced by one with a valid tag under the old salt.
fn with_forged_chunk(scene: &Scene) -> Vec<u8> {
    let mut stored = scene.own();
    let SegmentContext { vault, pack, index } = context(scene);
    let context =
        lp(Label::Segment, &[&scene.latest.record.suite.number().to_be_bytes(), &vault, &pack, &index.to_be_bytes()])
            .expect("a context");
    let key = scene.latest.pack_keys[own_pack(scene)].expose_bytes();
    let forged = testkit::forge::chunk(key, &stored, &context, 5, &[0x66; 16_384]);
    let at = 56 + 5 * 16_400;
    stored[at..at + 16_400].copy_from_slice(&forged);
    stored
}

/// Makes the tree of a stored segment say what its groups are.
fn with_its_tree(scene: &Scene, mut stored: Vec<u8>) -> Vec<u8> {
    let suite = scene.latest.record.suite;
    let sealed = stored.len() - 32 * (GROUPS + 1);
    let (message, tail) = stored.split_at_mut(sealed);
    let (first, rest) = message.split_at(56 + 65_600);
    let leaves: Vec<Digest> =
        std::iter::once(first).chain(rest.chunks(65_600)).map(|group| tree::leaf(suite, group)).collect();
    assert_eq!(leaves.len(), GROUPS);
    let digests = std::iter::once(tree::root(suite, &leaves)).chain(leaves.iter().copied());
    for (place, digest) in tail.chunks_mut(32).zip(digests) {
        place.copy_from_slice(digest.as_bytes());
    }
    stored
}

/// The entries with two names of one length exchanged for others.
fn renamed(entries: &[Entry]) -> Vec<Entry> {
    let rename = |entry: &Entry| {
        let path = if entry.path() == b"b.bin" { b"c.bin".to_vec() } else { entry.path().to_vec() };
        Entry::new(path, entry.mode(), entry.node().clone()).expect("an entry")
    };
    entries.iter().map(rename).collect()
}

#[test]
fn forgeries_by_somebody_who_holds_the_keys_are_found() {
    suites::each(|| {
        let scene = Scene::new();
        let (record, own) = (&scene.latest.record, scene.own_id());
        let plain = vec![0x66; scene.files["a.bin"].len()];
        let (stored, digest) = resealed(&scene, &plain);
        let original = scene.own();
        assert_eq!(stored.len(), original.len());
        let forged = with_forged_chunk(&scene);
        let others = forged.iter().zip(&original).filter(|(a, b)| a != b).count();
        assert!((16_000..=16_400).contains(&others), "one chunk is another: {others} bytes");

        let attacks: [(&str, &'static [&'static str], Vec<u8>); 4] = [
            ("the whole segment sealed again", TREE, stored.clone()),
            ("its groups sealed again under the old tree", SEGMENT, {
                let tree = original.len() - 32 * (GROUPS + 1);
                [&stored[..tree], &original[tree..]].concat()
            }),
            ("a chunk with a valid tag", &["group 1"], forged.clone()),
            ("a chunk with a valid tag and its tree", TREE, with_its_tree(&scene, forged)),
        ];
        for (how, called, bytes) in attacks {
            scene.refuses(&Attack::new(how, called).with(&own, bytes, &scene), &[LATEST]);
        }

        let whole = scene.object();
        let (list_end, map_end) =
            (record.list.stored_len as usize, (record.map.offset + record.map.stored_len) as usize);
        let (list, list_sealed) = scene.latest.seal_list(&renamed(&scene.latest.entries));
        let mut places = scene.latest.places.clone();
        let [first, last] = ["s/000", "s/099"].map(|path| scene.latest.ordinal(path));
        places.swap(first, last);
        let (map, _) = scene.latest.seal_map(&places);
        assert_eq!((list.len(), map.len()), (list_end, map_end - list_end), "of the lengths that the record tells");
        let attacks: [(&str, &'static [&'static str], Vec<u8>); 3] = [
            ("a list sealed again with another name", LIST, [&list[..], &whole[list_end..]].concat()),
            (
                "a map sealed again with two files exchanged",
                MAP,
                [&whole[..list_end], &map, &whole[map_end..]].concat(),
            ),
            ("both sealed again", LIST, [&list[..], &map, &whole[map_end..]].concat()),
        ];
        for (how, called, bytes) in attacks {
            scene.refuses(&Attack::new(how, called).with(&record.object, bytes, &scene), &[LATEST]);
        }

        // A whole version that agrees with itself: segment, list, map, record. Only the digest outside of the depot is another.
        let mut places = scene.latest.places.clone();
        places[scene.latest.ordinal("a.bin")].digest = Some(*tree::digest(record.suite, &plain).as_bytes());
        let (map, map_sealed) = scene.latest.seal_map(&places);
        let mut made =
            VersionRecord { list: list_sealed.at(0), map: map_sealed.at(list.len() as u64), ..record.clone() };
        made.packs[own_pack(&scene)].segments[0].digest = *digest.as_bytes();
        let mut object = [list, map].concat();
        seal::object::append(&made.encode().expect("a record"), &mut object).expect("an object");
        let attack = Attack::new("a whole version that agrees with itself", RECORD);
        let attack = attack.with(&record.object, object, &scene).with(&own, stored, &scene);
        scene.refuses(&attack, &[LATEST]);

        // The same sealed bytes under a record of a lower class.
        let mut object = whole[..map_end].to_vec();
        let lowered = VersionRecord { class: 0, ..record.clone() };
        seal::object::append(&lowered.encode().expect("a record"), &mut object).expect("an object");
        scene
            .refuses(&Attack::new("a record of a lower class", RECORD).with(&record.object, object, &scene), &[LATEST]);
        scene.sandbox.run(["verify", "--all"]).exits(0);
    });
}
