use super::*;
use crate::Suite;
use crate::paper;
use crate::recovery::Pair;
use proptest::prelude::*;
use serde_json::Value;
use zeroize::Zeroizing;

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn id(value: &Value) -> Id {
    bytes(value).try_into().unwrap()
}

fn terms(threshold: u8, shares: u8) -> Terms {
    Terms { vault: [1; 16], root: [2; 16], generation: 2, made_ms: 1_795_305_600_000, threshold, shares }
}

fn made(threshold: u8, shares: u8) -> (Escrow, EscrowSeed, Vec<Share>) {
    Escrow::create(Suite::Default, terms(threshold, shares)).unwrap()
}

/// Another share of the same content: there is no `Clone`.
fn copy(share: &Share) -> Share {
    Share::new(*share.terms(), share.number(), ShareKey::from_bytes(Box::new(*share.key().expose_bytes())))
}

fn chosen(shares: &[Share], mask: u32) -> Vec<Share> {
    shares.iter().filter(|share| mask >> (share.number() - 1) & 1 == 1).map(copy).collect()
}

/// The one word of the vectors for an error, and the number it names.
fn why(error: Error) -> (&'static str, Option<u8>) {
    match error {
        Error::Long => ("long", None),
        Error::Form => ("form", None),
        Error::Slip(_) => ("slip", None),
        Error::Checksum => ("checksum", None),
        Error::Version(_) => ("version", None),
        Error::Foreign(share) => ("foreign", Some(share)),
        Error::Outdated { share, .. } => ("outdated", Some(share)),
        Error::Unknown { share, .. } => ("unknown", Some(share)),
        Error::Altered(share) => ("altered", Some(share)),
        Error::Duplicate(share) => ("duplicate", Some(share)),
        Error::TooFew { have, .. } => ("too-few", Some(have)),
        Error::Seed => ("seed", None),
        Error::Bounds | Error::Entropy(_) | Error::Cipher => panic!("{error:?}"),
    }
}

fn said(case: &Value) -> Terms {
    let number = |name: &str| case[name].as_u64().unwrap();
    Terms {
        vault: id(&case["vault"]),
        root: id(&case["root"]),
        generation: number("generation") as u16,
        made_ms: number("made"),
        threshold: number("needed") as u8,
        shares: number("count") as u8,
    }
}

#[test]
fn escrow_vectors() {
    let file: Value = serde_json::from_str(include_str!("../../../../vectors/escrow.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 240);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let suite = Suite::from_number(case["suite"].as_u64().unwrap() as u16).unwrap();
        let (vault, root) = (id(&case["vault"]), id(&case["root"]));
        let expected = case["expect"] == "ok";
        let refused = |error: Error| {
            let (word, about) = why(error);
            assert_eq!(case["why"], word, "{name}");
            assert!(case["about"].as_u64() == about.map(u64::from), "{name}: {error}");
            assert!(
                !matches!(error, Error::Slip(group) if case["slip"].as_u64().is_some_and(|slip| slip != group as u64))
            );
        };
        let holds = match case["do"].as_str().unwrap() {
            "share" => match Share::parse(case["text"].as_str().unwrap().as_bytes()) {
                Ok(share) => {
                    assert_eq!(
                        (*share.terms(), u64::from(share.number())),
                        (said(case), case["index"].as_u64().unwrap())
                    );
                    share.key().expose_bytes().as_slice() == bytes(&case["value"])
                }
                Err(error) => {
                    refused(error);
                    false
                }
            },
            "kept" => {
                Escrow::decode(suite, &vault, &root, &bytes(&case["bytes"])).is_ok_and(|it| *it.terms() == said(case))
            }
            "params" => {
                let read = Escrow::from_params(suite, &vault, &root, &bytes(&case["bytes"]));
                let key = RootKey::from_slice(&bytes(&case["key"])).unwrap();
                read.is_ok_and(|(_, sealed)| Pair::open(&key, suite, &vault, &root, &sealed).is_ok())
            }
            "key" => {
                let seed = EscrowSeed::from_slice(&bytes(&case["seed"])).unwrap();
                seed.root_key(suite, &vault, &root).unwrap().expose_bytes().as_slice() == bytes(&case["key"])
            }
            "combine" => {
                let texts = case["shares"].as_array().unwrap().iter();
                let shares: Vec<Share> =
                    texts.map(|text| Share::parse(text.as_str().unwrap().as_bytes()).unwrap()).collect();
                let escrow = Escrow::decode(suite, &vault, &root, &bytes(&case["kept"])).unwrap();
                match escrow.combine(&shares) {
                    Ok(seed) => seed.expose_bytes().as_slice() == bytes(&case["seed"]),
                    Err(error) => {
                        refused(error);
                        false
                    }
                }
            }
            other => panic!("{other}"),
        };
        assert_eq!(holds, expected, "{name}");
    }
}

#[test]
fn every_choice_of_enough_shares_gives_the_seed_and_no_choice_of_fewer() {
    for shares in MIN_THRESHOLD..=7 {
        for threshold in MIN_THRESHOLD..=shares {
            let (escrow, seed, all) = made(threshold, shares);
            for mask in 0..1_u32 << shares {
                let have = mask.count_ones() as u8;
                let found = escrow.combine(&chosen(&all, mask));
                if have < threshold {
                    assert_eq!(found.err(), Some(Error::TooFew { have, need: threshold }), "{mask:b}");
                } else {
                    assert_eq!(found.unwrap().expose_bytes(), seed.expose_bytes(), "{mask:b}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shares_in_any_order_give_the_seed(
        suite in proptest::sample::select(&Suite::ALL),
        (threshold, shares) in (MIN_THRESHOLD..=MAX_SHARES).prop_flat_map(|n| (MIN_THRESHOLD..=n, Just(n))),
        order in Just((0..MAX_SHARES.into()).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let (escrow, seed, all) = Escrow::create(suite, terms(threshold, shares)).unwrap();
        let mut picked: Vec<Share> = order.iter().filter_map(|at| all.get(*at)).map(copy).collect();
        picked.truncate(threshold.into());
        let found = escrow.combine(&picked).unwrap();
        prop_assert_eq!(found.expose_bytes(), seed.expose_bytes());
        picked.pop();
        let have = threshold - 1;
        prop_assert_eq!(escrow.combine(&picked).err(), Some(Error::TooFew { have, need: threshold }));
    }
}

/// The field once more, on its own: log and antilog to the base 3, as tables of AES are made.
struct Field {
    exp: [u8; 255],
    log: [usize; 256],
}

impl Field {
    fn new() -> Self {
        let (mut exp, mut log, mut power) = ([0; 255], [0; 256], 1_u16);
        for (at, slot) in exp.iter_mut().enumerate() {
            (*slot, log[power as usize]) = (power as u8, at);
            power ^= power << 1;
            power ^= if power > 255 { 0x11b } else { 0 };
        }
        assert_eq!(power, 1);
        Self { exp, log }
    }

    fn times(&self, a: u8, b: u8) -> u8 {
        if a == 0 || b == 0 { 0 } else { self.exp[(self.log[a as usize] + self.log[b as usize]) % 255] }
    }

    fn over(&self, a: u8, b: u8) -> u8 {
        if a == 0 { 0 } else { self.exp[(self.log[a as usize] + 255 - self.log[b as usize]) % 255] }
    }

    /// The polynomial of the least degree through the points, at `x`.
    fn through(&self, points: &[(u8, u8)], x: u8) -> u8 {
        points.iter().fold(0, |sum, (at, value)| {
            let others = points.iter().filter(|(other, _)| other != at);
            sum ^ others.fold(*value, |term, (other, _)| self.times(term, self.over(other ^ x, other ^ at)))
        })
    }
}

#[test]
fn one_share_less_than_needed_is_of_every_seed() {
    let field = Field::new();
    for (threshold, count) in [(2, 2), (2, 5), (3, 5), (5, 7), (16, 16)] {
        let (_, seed, shares) = made(threshold, count);
        let held = &shares[..usize::from(threshold) - 1];
        let missing = &shares[usize::from(threshold) - 1];
        let seeds =
            [*seed.expose_bytes(), [0; 32], [255; 32], std::array::from_fn(|n| n as u8), entropy::array().unwrap()];
        let mut found = Vec::new();
        for other in seeds {
            // The one share that makes it so, byte by byte: any seed has one, and exactly one, so none is likelier than another.
            let value: Vec<u8> = (0..32)
                .map(|byte| {
                    let mut points: Vec<_> = held.iter().map(|s| (s.number(), s.key().expose_bytes()[byte])).collect();
                    points.push((0, other[byte]));
                    field.through(&points, missing.number())
                })
                .collect();
            let key = ShareKey::from_slice(&value).unwrap();
            let places = held.iter().map(|share| (share.number(), share.key())).chain([(missing.number(), &key)]);
            assert_eq!(sharing::join(places).unwrap().expose_bytes(), &other, "{threshold} of {count}");
            found.push(value);
        }
        assert_eq!(found[0], missing.key().expose_bytes(), "of the true seed it is the true share");
        found.sort();
        found.dedup();
        assert_eq!(found.len(), seeds.len());
    }
}

#[test]
fn each_byte_of_randomness_is_a_coefficient_as_it_is() {
    // So coefficients are as uniform as the randomness, zero included: no value is left out, nothing is folded.
    let field = Field::new();
    let seed = EscrowSeed::generate().unwrap();
    for (threshold, count) in [(2, 3), (4, 6)] {
        let degree = usize::from(threshold) - 1;
        let mut random = vec![0; 33 * degree * 4];
        entropy::fill(&mut random).unwrap();
        random[..16].fill(0);
        let keys = sharing::split_with(&seed, threshold, count, Zeroizing::new(random.clone())).unwrap();
        for (number, key) in (1_u8..).zip(&keys) {
            for byte in 0..32 {
                let coefficient = |power: usize| random[(byte * degree + power - 1) * 4];
                let value = (1..=degree).rev().fold(0, |sum, power| field.times(sum ^ coefficient(power), number));
                assert_eq!(key.expose_bytes()[byte], value ^ seed.expose_bytes()[byte], "{number} {byte}");
            }
        }
        // The library asked for all of it, and for no more.
        for len in [0, random.len() - 4, random.len() + 4] {
            let random = Zeroizing::new(vec![7; len]);
            assert_eq!(sharing::split_with(&seed, threshold, count, random).err(), Some(Error::Cipher));
        }
    }
}

#[test]
fn bounds_are_held_at_both_ends() {
    for (threshold, shares) in [(0, 0), (0, 2), (1, 1), (1, 5), (3, 2), (2, 17), (17, 17), (255, 255)] {
        assert_eq!(Escrow::create(Suite::Default, terms(threshold, shares)).err(), Some(Error::Bounds));
    }
    let of = terms(2, 2);
    for of in [Terms { generation: 0, ..of }, Terms { made_ms: MAX_MADE_MS + 1, ..of }] {
        assert_eq!(Escrow::create(Suite::Default, of).err(), Some(Error::Bounds));
    }
    assert!(Escrow::create(Suite::Default, Terms { generation: u16::MAX, made_ms: MAX_MADE_MS, ..of }).is_ok());
}

/// A share's bytes with a right checksum for what they say, as groups.
fn forged(bytes: &[u8]) -> Zeroizing<String> {
    paper::shown(&[&bytes[..76], share::checksum(&bytes[..76]).as_slice()].concat(), 8)
}

#[test]
fn every_byte_of_a_share_that_is_altered_is_named() {
    let (escrow, _, shares) = made(3, 5);
    let right = shares[1].encode();
    for at in 0..right.len() {
        for change in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
            let mut bytes = right.to_vec();
            bytes[at] ^= change;
            // By somebody who writes right groups.
            let expected = if at == 0 { Error::Version(bytes[0]) } else { Error::Checksum };
            let found = Share::parse(paper::shown(&bytes, 8).as_bytes());
            assert_eq!(found.err(), Some(expected), "{at}");
            // By somebody who writes a right checksum as well.
            if at >= 76 {
                continue;
            }
            let refused = Share::parse(forged(&bytes).as_bytes()).and_then(|share| {
                let together = [copy(&shares[0]), copy(&shares[2]), copy(&shares[4]), share];
                escrow.combine(&together).map(drop)
            });
            let number = bytes[43];
            let known = match at {
                0 => refused == Err(Error::Version(bytes[0])),
                1..17 => refused == Err(Error::Foreign(2)),
                17..33 => matches!(refused, Err(Error::Unknown { share: 2, generation: 2 })),
                44.. => refused == Err(Error::Altered(2)),
                _ => refused == Err(Error::Form) || refused == Err(Error::Altered(number)),
            };
            assert!(known, "{at} {change}: {refused:?}");
        }
    }
    assert!(Share::parse(forged(&right).as_bytes()).is_ok());
}

#[test]
fn every_slip_in_a_share_is_named_with_its_group() {
    let text = made(2, 3).2[0].expose_text();
    let start = text.rfind("others\n").unwrap() + 7;
    let groups: Vec<usize> = (start..text.len()).filter(|at| text.as_bytes()[*at].is_ascii_alphanumeric()).collect();
    assert_eq!(groups.len(), SHARE_GROUPS * paper::GROUP_LEN);
    for (n, at) in groups.into_iter().enumerate() {
        let mut typed = text.as_bytes().to_vec();
        typed[at] = if typed[at] == b'7' { b'8' } else { b'7' };
        assert_eq!(Share::parse(&typed).err(), Some(Error::Slip(n / paper::GROUP_LEN + 1)), "{at}");
    }
}

#[test]
fn shares_of_two_escrows_are_told_apart() {
    let (now, _, shares) = made(2, 3);
    let of = terms(2, 3);
    let other = |of: Terms| Escrow::create(Suite::Default, of).unwrap().2;
    for (others, expected) in [
        (other(Terms { root: [9; 16], generation: 1, ..of }), Error::Outdated { share: 2, generation: 1 }),
        (other(Terms { root: [9; 16], generation: 2, ..of }), Error::Unknown { share: 2, generation: 2 }),
        (other(Terms { root: [9; 16], generation: 3, ..of }), Error::Unknown { share: 2, generation: 3 }),
        (other(Terms { vault: [9; 16], ..of }), Error::Foreign(2)),
        (other(Terms { vault: [9; 16], generation: 1, ..of }), Error::Foreign(2)),
        // Made a second time under the same name: a copy of the vault, or somebody's.
        (other(of), Error::Altered(2)),
    ] {
        assert_eq!(now.check(&others[1]), Err(expected));
        for mask in 0..8 {
            let mut mixed = chosen(&shares, mask);
            mixed.push(copy(&others[1]));
            assert_eq!(now.combine(&mixed).err(), Some(expected), "{mask:b}");
            mixed.rotate_right(1);
            assert_eq!(now.combine(&mixed).err(), Some(expected), "{mask:b}");
        }
    }
}

#[test]
fn a_share_that_is_there_twice_is_named_and_counts_once() {
    let (escrow, _, shares) = made(3, 5);
    for number in 1..=5_u8 {
        let share = &shares[usize::from(number) - 1];
        for mask in 0..32 {
            let mut picked = chosen(&shares, mask | 1 << (number - 1));
            picked.push(copy(share));
            assert_eq!(escrow.combine(&picked).err(), Some(Error::Duplicate(number)), "{mask:b}");
        }
    }
    let many: Vec<Share> = (0..300).map(|n| copy(&shares[n % 5])).collect();
    assert_eq!(escrow.combine(&many).err(), Some(Error::Duplicate(1)));
}

#[test]
fn what_the_vault_keeps_reads_the_same_and_is_bound_to_its_place() {
    for suite in Suite::ALL {
        let (escrow, seed, shares) = Escrow::create(suite, terms(16, 16)).unwrap();
        let (vault, root) = (terms(2, 2).vault, terms(2, 2).root);
        let kept = escrow.encode();
        assert_eq!(Escrow::decode(suite, &vault, &root, &kept).as_ref(), Ok(&escrow));
        // Moved to another place, no share is its own.
        let moved = |suite, vault, root| Escrow::decode(suite, vault, root, &kept).unwrap().combine(&shares).err();
        let other = if suite == Suite::Default { Suite::Nist } else { Suite::Default };
        assert_eq!(moved(other, &vault, &root), Some(Error::Altered(1)));
        assert_eq!(moved(suite, &[9; 16], &root), Some(Error::Foreign(1)));
        assert_eq!(moved(suite, &vault, &[9; 16]), Some(Error::Unknown { share: 1, generation: 2 }));

        let pair = Pair::generate(suite).unwrap();
        let key = seed.root_key(suite, &vault, &root).unwrap();
        let sealed = pair.seal(&key, &vault, &root).unwrap();
        let params = escrow.params(&sealed);
        let (again, private) = Escrow::from_params(suite, &vault, &root, &params).unwrap();
        let key = again.combine(&shares).unwrap().root_key(suite, &vault, &root).unwrap();
        assert_eq!(Pair::open(&key, suite, &vault, &root, &private).unwrap().public(), pair.public());
        // The code of a recovery root is no seed of an escrow.
        let code = paper::shown(seed.expose_bytes(), 13);
        let code = crate::recovery::Code::parse(code.as_bytes()).unwrap().root_key(suite, &vault).unwrap();
        assert!(Pair::open(&code, suite, &vault, &root, &private).is_err());

        // No byte of it can change and be read as the same; what changed in the escrow itself is found by the shares.
        for at in 0..params.len() {
            let mut changed = params.clone();
            changed[at] ^= 1;
            let Ok((escrow, private)) = Escrow::from_params(suite, &vault, &root, &changed) else { continue };
            let opened = escrow.combine(&shares).is_ok_and(|seed| {
                let key = seed.root_key(suite, &vault, &root).unwrap();
                Pair::open(&key, suite, &vault, &root, &private).is_ok()
            });
            assert!(!opened, "{at}");
        }
        for len in 0..params.len() {
            assert!(Escrow::from_params(suite, &vault, &root, &params[..len]).is_err(), "{len}");
        }
    }
    let largest = Terms { generation: u16::MAX, made_ms: MAX_MADE_MS, ..terms(16, 16) };
    let (largest, ..) = Escrow::create(Suite::Nist, largest).unwrap();
    assert_eq!(largest.encode().len(), MAX_ESCROW_LEN);
    assert_eq!(largest.params(&[0; PRIVATE_SEALED_LEN]).len(), MAX_PARAMS_LEN);
}

#[test]
fn a_share_is_shown_with_what_people_ask_of_it() {
    let share = Share::new(terms(3, 5), 2, ShareKey::from_bytes(Box::new([7; 32])));
    let text = share.expose_text();
    let (comment, groups) = text.split_at(text.find("\n04").unwrap() + 1);
    assert_eq!(
        comment,
        "# strongroom escrow: share 2 of 5; any 3 of them open the vault\n\
         # vault 01010101010101010101010101010101, escrow 2 (02020202020202020202020202020202), made 2026-11-22\n\
         # keep it secret, and apart from the others\n"
    );
    assert!(groups.lines().all(|line| line.len() == 47 && line.split('-').count() == 8));
    assert_eq!(groups.lines().count(), 4);
    assert!(text.len() < MAX_TEXT_LEN / 4 && text.is_ascii());
    let read = Share::parse(text.as_bytes()).unwrap();
    assert_eq!((read.terms(), read.number(), read.key().expose_bytes()), (&terms(3, 5), 2, &[7; 32]));
}

#[test]
fn debug_and_errors_show_nothing_of_a_share() {
    let (escrow, seed, shares) = made(2, 3);
    assert_eq!(format!("{:?} {seed:?}", shares[1]), "Share(2 of 3, ..) EscrowSeed(..)");
    let secret = hex::encode(shares[1].key().expose_bytes());
    assert!(!format!("{escrow:?}").contains(&secret) && !hex::encode(escrow.encode()).contains(&secret));
    for error in [Error::Altered(2), Error::Slip(3), Error::TooFew { have: 1, need: 2 }, Error::Seed] {
        assert!(error.to_string().len() < 100);
    }
    assert_eq!(Error::TooFew { have: 1, need: 3 }.to_string(), "1 of the 3 shares that are needed");
}

#[test]
fn the_seeds_of_the_fuzzer_are_shares() {
    let seeds = testkit::seeds::good("escrow_share");
    assert!(seeds.len() >= 3);
    assert!(seeds.iter().all(|seed| Share::parse(seed).is_ok()));
}
