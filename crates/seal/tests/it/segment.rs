//! Segments: vectors, properties, and a forger who holds the key.

use std::ops::Range;

use proptest::prelude::*;
use seal::Suite;
use seal::chunked::HEADER_LEN;
use seal::secret::PackKey;
use seal::segment::{
    BLOCK_LEAVES, BadInfo, Error, GROUP_LEN, MAX_PLAINTEXT_LEN, Outboard, SEALED_GROUP_LEN, SegmentContext,
    SegmentInfo, SegmentOpener, SegmentSealer, block_group_count, sealed_groups_len,
};
use seal::tree::{self, Digest};
use serde::Deserialize;

use crate::suites;
use crate::vectors::{Pattern, Splice, array, edited, unhex};

#[derive(Deserialize)]
struct Vectors {
    segments: Vec<Segment>,
    opens: Vec<Case>,
    rejected: Vec<Case>,
}

#[derive(Deserialize)]
struct Segment {
    suite: u16,
    key: String,
    vault: String,
    pack: String,
    index: u32,
    plaintext: Pattern,
    stored_len: u64,
    digest: String,
    stored: String,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    segment: usize,
    suite: Option<u16>,
    splices: Vec<Splice>,
    range: Option<[u64; 2]>,
    offset: Option<u64>,
    key: Option<String>,
    vault: Option<String>,
    pack: Option<String>,
    index: Option<u32>,
    digest: Option<String>,
    plaintext_len: Option<u64>,
    stored_len: Option<u64>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../../vectors/segment.json")).unwrap()
}

/// Opens a stored segment the way a depot reader does. A whole read loads the tail; a range read the tops and one block at a time.
fn open(
    key: &PackKey,
    context: &SegmentContext,
    info: SegmentInfo,
    stored: &[u8],
    range: Option<Range<u64>>,
) -> Opened {
    let part = |range: Range<u64>| &stored[range.start as usize..range.end as usize];
    if stored.len() as u64 != info.stored_len() {
        return Err(Refused::ByLength);
    }
    let outboard = match &range {
        None => Outboard::whole(info, part(info.tail_range()))?,
        Some(_) => Outboard::from_tops(info, part(info.tops_range()))?,
    };
    let whole = range.is_none();
    let range = range.unwrap_or(0..info.plaintext_len());
    let opener = SegmentOpener::new(key, context, outboard, part(info.header_range()))?;
    let groups = info.groups_of(&range);
    for block in opener.outboard().missing_blocks(&groups).collect::<Vec<_>>() {
        opener.outboard().load_block(block, part(info.block_range(block)))?;
    }
    if whole {
        opener.outboard().verify_groups(0, part(0..info.sealed_len()))?;
    }
    let mut out = vec![0xee; (range.end - range.start) as usize];
    let opened = opener.open_range(range, part(info.groups_range(&groups)), &mut out);
    assert!(opened.is_ok() || out.iter().all(|byte| *byte == 0), "a failed open leaves zeros");
    opened?;
    Ok(out)
}

/// The plaintext, or where the damage is.
type Opened = Result<Vec<u8>, Refused>;

#[derive(Debug, PartialEq)]
enum Refused {
    ByLength,
    At(u64),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::At(error.corrupt_offset().unwrap())
    }
}

fn run(base: &Segment, case: &Case) -> Opened {
    let text = |own: &Option<String>, base: &String| own.clone().unwrap_or_else(|| base.clone());
    let key = PackKey::from_slice(&unhex(&text(&case.key, &base.key))).unwrap();
    let context = SegmentContext {
        vault: array(&text(&case.vault, &base.vault)),
        pack: array(&text(&case.pack, &base.pack)),
        index: case.index.unwrap_or(base.index),
    };
    let suite = Suite::from_number(case.suite.unwrap_or(base.suite)).unwrap();
    let info = SegmentInfo::new(
        suite,
        case.plaintext_len.unwrap_or(base.plaintext.len),
        case.stored_len.unwrap_or(base.stored_len),
        Digest::from(array(&text(&case.digest, &base.digest))),
    );
    let stored = edited(&unhex(&base.stored), &case.splices);
    open(&key, &context, info.map_err(|_| Refused::ByLength)?, &stored, case.range.map(|[start, end]| start..end))
}

#[test]
fn vectors_open() {
    let Vectors { segments, opens, .. } = vectors();
    for base in &segments {
        let key = PackKey::from_slice(&unhex(&base.key)).unwrap();
        let context = SegmentContext { vault: array(&base.vault), pack: array(&base.pack), index: base.index };
        let suite = Suite::from_number(base.suite).unwrap();
        let info = SegmentInfo::new(suite, base.plaintext.len, base.stored_len, array(&base.digest).into()).unwrap();
        assert_eq!(open(&key, &context, info, &unhex(&base.stored), None), Ok(base.plaintext.bytes()));
    }
    assert!(opens.len() >= 14);
    for case in opens {
        let base = &segments[case.segment];
        let [start, end] = case.range.unwrap();
        assert_eq!(
            run(base, &case),
            Ok(base.plaintext.bytes()[start as usize..end as usize].to_vec()),
            "{}",
            case.name
        );
    }
}

#[test]
fn rejected_vectors_do_not_open_and_say_where() {
    let Vectors { segments, opens, rejected } = vectors();
    assert!(rejected.len() >= 3 * (segments.len() + opens.len()));
    for case in rejected {
        let refused = run(&segments[case.segment], &case).expect_err(&case.name);
        if let Some(offset) = case.offset {
            assert_eq!(refused, Refused::At(offset), "{}", case.name);
        }
    }
}

fn context() -> SegmentContext {
    SegmentContext { vault: [1; 16], pack: [2; 16], index: 3 }
}

/// Seals in blocks of this many groups, in an order that threads might take.
fn sealed(
    suite: Suite,
    key: &PackKey,
    plaintext: &[u8],
    block_groups: usize,
    backwards: Order,
) -> (Vec<u8>, SegmentInfo) {
    let sealer = SegmentSealer::new(suite, key, &context()).unwrap();
    let mut blocks: Vec<(u64, &[u8])> =
        (0..).step_by(block_groups).zip(plaintext.chunks(block_groups * GROUP_LEN)).collect();
    if plaintext.len().is_multiple_of(GROUP_LEN) {
        blocks.push(((plaintext.len() / GROUP_LEN) as u64, &[]));
    }
    if backwards == Order::Backwards {
        blocks.reverse();
    }
    let mut done: Vec<(u64, Vec<u8>, Vec<Digest>)> = Vec::new();
    for (first, block) in blocks {
        let mut out = vec![0; sealed_groups_len(first, block.len())];
        let mut leaves = vec![Digest::default(); block_group_count(block.len())];
        let mut plain = vec![Digest::default(); block.len().div_ceil(GROUP_LEN)];
        sealer.seal_groups_digesting(first, block, &mut out, &mut leaves, &mut plain).unwrap();
        assert_eq!(plain, tree::leaves(suite, block).collect::<Vec<_>>());
        done.push((first, out, leaves));
    }
    done.sort_by_key(|(first, ..)| *first);
    let leaves: Vec<Digest> = done.iter().flat_map(|(.., leaves)| leaves).copied().collect();
    let mut stored: Vec<u8> = done.iter().flat_map(|(_, bytes, _)| bytes).copied().collect();
    let (tail, info) = sealer.finish(&leaves).unwrap();
    stored.extend(tail);
    (stored, info)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Forwards,
    Backwards,
}

fn key() -> PackKey {
    PackKey::from_slice(&[9; 32]).unwrap()
}

#[test]
fn an_empty_segment_is_one_group_of_one_empty_chunk() {
    for suite in Suite::ALL {
        let (stored, info) = sealed(suite, &key(), &[], 1, Order::Forwards);
        assert_eq!((info.plaintext_len(), info.group_count(), info.sealed_len(), info.stored_len()), (0, 1, 72, 136));
        assert_eq!(info.groups_of(&(0..0)), 0..0);
        assert_eq!(open(&key(), &context(), info, &stored, None), Ok(vec![]));
        assert_eq!(*info.digest(), tree::leaf(suite, &stored[..72]));
    }
}

#[test]
fn a_segment_of_several_blocks_reads_in_ranges_across_their_borders() {
    for suite in Suite::ALL {
        let plaintext = Pattern { len: 2 * BLOCK_LEAVES * GROUP_LEN as u64 + 70_000, seed: 1 }.bytes();
        let (stored, info) = sealed(suite, &key(), &plaintext, 100, Order::Backwards);
        assert_eq!((info.group_count(), info.block_count()), (514, 3));
        let border = BLOCK_LEAVES * GROUP_LEN as u64;
        for range in [0..1, border - 1..border + 1, 2 * border - 4096..2 * border + 70_000, border + 5..border + 5] {
            let expected = plaintext[range.start as usize..range.end as usize].to_vec();
            assert_eq!(open(&key(), &context(), info, &stored, Some(range)), Ok(expected));
        }
        let block = info.block_range(1).start;
        let mut damaged = stored.clone();
        damaged[block as usize + 77] ^= 1;
        assert_eq!(open(&key(), &context(), info, &damaged, None), Err(Refused::At(block)));
        assert_eq!(open(&key(), &context(), info, &damaged, Some(border..border + 1)), Err(Refused::At(block)));
        assert!(open(&key(), &context(), info, &damaged, Some(0..1)).is_ok());
    }
}

#[test]
fn a_group_whose_block_is_not_loaded_is_not_opened() {
    for suite in Suite::ALL {
        let (stored, info) = sealed(suite, &key(), &[5; 100], 1, Order::Forwards);
        let tops = &stored[info.tops_range().start as usize..info.tops_range().end as usize];
        let outboard = Outboard::from_tops(info, tops).unwrap();
        let opener = SegmentOpener::new(&key(), &context(), outboard, &stored[..HEADER_LEN]).unwrap();
        let mut out = [1; 100];
        let opened = opener.open_range(0..100, &stored[..info.sealed_len() as usize], &mut out);
        assert_eq!((opened, out), (Err(Error::NotLoaded(0)), [0; 100]));
        assert!(matches!(opener.outboard().load_block(1, &[]), Err(Error::Misuse(_))));
        assert!(matches!(opener.outboard().load_block(u64::MAX, &[]), Err(Error::Misuse(_))));
    }
}

#[test]
fn a_group_is_never_sealed_twice() {
    for suite in Suite::ALL {
        let sealer = SegmentSealer::new(suite, &key(), &context()).unwrap();
        let (mut out, mut leaves) = (vec![0; sealed_groups_len(1, 2 * GROUP_LEN)], [Digest::default(); 2]);
        sealer.seal_groups(1, &vec![0; 2 * GROUP_LEN], &mut out, &mut leaves).unwrap();
        let again = sealer.seal_groups(2, &vec![1; GROUP_LEN], &mut out[..SEALED_GROUP_LEN], &mut leaves[..1]);
        assert!(matches!(again, Err(Error::Misuse(_))));
    }
}

#[test]
fn an_unfinished_segment_is_refused() {
    for suite in Suite::ALL {
        let no_end = SegmentSealer::new(suite, &key(), &context()).unwrap();
        assert!(matches!(no_end.finish(&[]), Err(Error::Misuse(_))));

        let a_gap = SegmentSealer::new(suite, &key(), &context()).unwrap();
        let mut leaves = [Digest::default(); 1];
        a_gap.seal_groups(1, b"end", &mut vec![0; sealed_groups_len(1, 3)], &mut leaves).unwrap();
        a_gap.seal_groups(5, &[0; GROUP_LEN], &mut vec![0; SEALED_GROUP_LEN], &mut leaves).unwrap();
        assert!(matches!(a_gap.finish(&[Digest::default(); 2]), Err(Error::Misuse(_))));

        let two_ends = SegmentSealer::new(suite, &key(), &context()).unwrap();
        two_ends.seal_groups(0, b"end", &mut vec![0; sealed_groups_len(0, 3)], &mut leaves).unwrap();
        let second = two_ends.seal_groups(1, b"end", &mut vec![0; sealed_groups_len(1, 3)], &mut leaves);
        assert!(matches!(second, Err(Error::Misuse(_))));
    }
}

#[test]
fn more_than_one_gib_is_refused() {
    for suite in Suite::ALL {
        let sealer = SegmentSealer::new(suite, &key(), &context()).unwrap();
        let last = MAX_PLAINTEXT_LEN / GROUP_LEN as u64;
        let mut leaves = [Digest::default(); 1];
        assert!(matches!(sealer.seal_groups(last, b"x", &mut [0; 17], &mut leaves), Err(Error::Misuse(_))));
        assert!(matches!(sealer.seal_groups(u64::MAX, b"x", &mut [0; 17], &mut leaves), Err(Error::Misuse(_))));
        let sealer = SegmentSealer::new(suite, &key(), &context()).unwrap();
        assert!(sealer.seal_groups(last, b"", &mut [0; 16], &mut leaves).is_ok());
    }
}

#[test]
fn only_the_exact_stored_length_is_accepted() {
    for suite in Suite::ALL {
        let digest = Digest::default();
        assert_eq!(
            SegmentInfo::new(suite, MAX_PLAINTEXT_LEN + 1, 0, digest),
            Err(BadInfo::TooLong(MAX_PLAINTEXT_LEN + 1))
        );
        for plaintext in [0, 1, 65_535, 65_536, 65_537, 16_777_215, 16_777_216, MAX_PLAINTEXT_LEN] {
            let groups = plaintext / 65_536 + 1;
            let stored = 56 + plaintext + (plaintext / 16_384 + 1) * 16 + (groups + groups.div_ceil(256)) * 32;
            assert!(SegmentInfo::new(suite, plaintext, stored, digest).is_ok());
            for wrong in [0, stored - 1, stored + 1, u64::MAX] {
                assert!(SegmentInfo::new(suite, plaintext, wrong, digest).is_err());
            }
        }
    }
}

#[test]
fn debug_shows_no_key() {
    for suite in Suite::ALL {
        let (stored, info) = sealed(suite, &key(), b"x", 1, Order::Forwards);
        let outboard = Outboard::whole(info, &stored[info.sealed_len() as usize..]).unwrap();
        let opener = SegmentOpener::new(&key(), &context(), outboard, &stored[..HEADER_LEN]).unwrap();
        assert_eq!(format!("{opener:?}"), format!("SegmentOpener {{ info: {info:?}, .. }}"));
        assert_eq!(format!("{:?}", SegmentSealer::new(suite, &key(), &context()).unwrap()), "SegmentSealer(..)");
    }
}

/// Nothing in the bytes says the suite; a reader who is told the other one opens nothing, whichever part it looks at.
#[test]
fn a_segment_of_one_suite_does_not_open_as_the_other() {
    for (suite, other) in [(Suite::Default, Suite::Nist), (Suite::Nist, Suite::Default)] {
        let (stored, info) = sealed(suite, &key(), &[5; 200_000], 1, Order::Forwards);
        let told = SegmentInfo::new(other, info.plaintext_len(), info.stored_len(), *info.digest()).unwrap();
        // The root over one top is that top in both; the leaves below it give another, and the header has another context.
        assert_eq!(open(&key(), &context(), told, &stored, None), Err(Refused::At(info.block_range(0).start)));
        assert_eq!(open(&key(), &context(), told, &stored, Some(0..1)), Err(Refused::At(0)));
        // By a holder of the key, with the other suite's tree around the same message.
        let (first, rest) = stored[..info.sealed_len() as usize].split_at(HEADER_LEN + SEALED_GROUP_LEN);
        let groups = std::iter::once(first).chain(rest.chunks(SEALED_GROUP_LEN));
        let leaves: Vec<Digest> = groups.map(|group| tree::leaf(other, group)).collect();
        let root = tree::root(other, &leaves);
        let tail = std::iter::once(root).chain(leaves).flat_map(|digest| *digest.as_bytes());
        let forged: Vec<u8> = stored[..info.sealed_len() as usize].iter().copied().chain(tail).collect();
        let told = SegmentInfo::new(other, info.plaintext_len(), info.stored_len(), root).unwrap();
        assert_eq!(open(&key(), &context(), told, &forged, None), Err(Refused::At(0)), "the context has the suite");
    }
}

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..200usize,
        (0..5usize, 0..3usize).prop_map(|(g, d)| (g * GROUP_LEN + d).saturating_sub(1)),
        0..300_000usize
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_sealed_opens_whole_and_in_ranges(suite in suites(), len in lengths(), block in 1..4usize, backwards: bool, a: prop::sample::Index, b: prop::sample::Index,
    ) {
        let plaintext = Pattern { len: len as u64, seed: 3 }.bytes();
        let order = if backwards { Order::Backwards } else { Order::Forwards };
        let (stored, info) = sealed(suite, &key(), &plaintext, block, order);
        prop_assert_eq!(SegmentInfo::new(suite, len as u64, stored.len() as u64, *info.digest()), Ok(info));
        prop_assert_eq!(open(&key(), &context(), info, &stored, None), Ok(plaintext.clone()));
        let (a, b) = (a.index(len + 1), b.index(len + 1));
        let range = a.min(b)..a.max(b);
        let expected = plaintext[range.clone()].to_vec();
        prop_assert_eq!(open(&key(), &context(), info, &stored, Some(range.start as u64..range.end as u64)), Ok(expected));
    }

    #[test]
    fn any_flipped_bit_is_found_where_it_is(suite in suites(), len in lengths(), at: prop::sample::Index, bit in 0..8u8) {
        let (mut stored, info) = sealed(suite, &key(), &vec![4; len], 4, Order::Forwards);
        let at = at.index(stored.len());
        stored[at] ^= 1 << bit;
        let unit = match info.group_at(at as u64) {
            Some(group) => info.groups_range(&(group..group + 1)),
            None if info.tops_range().contains(&(at as u64)) => info.tops_range(),
            None => info.block_range(0),
        };
        prop_assert!(unit.contains(&(at as u64)));
        prop_assert_eq!(open(&key(), &context(), info, &stored, None), Err(Refused::At(unit.start)));
    }

    #[test]
    fn buffers_of_other_lengths_are_refused(suite in suites(), start in 0..200_000u64, len in 0..70_000u64, wrong in 1..100usize) {
        let (stored, info) = sealed(suite, &key(), &vec![4; 200_000], 4, Order::Forwards);
        let outboard = Outboard::whole(info, &stored[info.sealed_len() as usize..]).unwrap();
        let opener = SegmentOpener::new(&key(), &context(), outboard, &stored[..HEADER_LEN]).unwrap();
        let range = start..start + len;
        let groups = info.groups_range(&info.groups_of(&range));
        let bytes = &stored[groups.start as usize..groups.end as usize];
        let mut out = vec![1; len as usize + wrong];
        prop_assert!(matches!(opener.open_range(range.clone(), bytes, &mut out), Err(Error::Misuse(_))));
        let mut out = vec![1; len as usize];
        let cut = &bytes[..bytes.len().saturating_sub(wrong)];
        let opened = opener.open_range(range.clone(), cut, &mut out);
        prop_assert!(matches!(opened, Err(Error::Misuse(_))) || (range.is_empty() && range.end <= 200_000));
    }
}
