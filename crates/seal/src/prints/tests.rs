//! What has prints, what has none, and that they are found again.

use super::*;
use std::collections::HashSet;

fn printer(key: u8) -> Printer {
    Printer::new(PrintKey::from_bytes(Box::new([key; 32])))
}

fn made(bytes: &[u8], what_for: For) -> HashSet<(Kind, u64)> {
    let mut found = HashSet::new();
    printer(1).content(bytes, Edges::WHOLE, what_for, &mut |kind, print| {
        found.insert((kind, print));
    });
    found
}

/// How many prints of a file are found in another.
fn shared(kept: &[u8], looked_at: &[u8], kind: Kind) -> usize {
    let kept = made(kept, For::Keeping);
    made(looked_at, For::Looking).iter().filter(|print| print.0 == kind && kept.contains(print)).count()
}

/// Numbers that nothing else has (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.roll() as u8).collect()
    }
    fn table(&mut self, rows: usize) -> Vec<String> {
        let cell = |dice: &mut Self| format!("{}.{:04}", dice.roll() % 1_000, dice.roll() % 10_000);
        (0..rows).map(|_| (0..6).map(|_| cell(self)).collect::<Vec<_>>().join(",")).collect()
    }
}

const HEAD: &str = "radius,texture,perimeter,area,smoothness,compactness\n";

fn csv(rows: &[String]) -> Vec<u8> {
    format!("{HEAD}{}\n", rows.join("\n")).into_bytes()
}

#[test]
fn rows_are_found_wherever_they_are_pasted_and_however_they_are_written() {
    let rows = Dice(1).table(200);
    let kept = csv(&rows);
    let some: Vec<String> = rows.iter().step_by(10).cloned().collect();
    assert_eq!(shared(&kept, &csv(&some), Kind::Row), 20);
    let numbered: Vec<String> = some.iter().enumerate().map(|(at, row)| format!("{at},{row}")).collect();
    assert_eq!(shared(&kept, &csv(&numbered), Kind::Row), 20, "with an index before");
    let tabs = some.join("\n").replace(',', "\t");
    assert_eq!(shared(&kept, tabs.as_bytes(), Kind::Row), 20, "as columns");
    let shown: Vec<String> =
        some.iter().enumerate().map(|(at, row)| format!("{at}   {}", row.replace(',', "   "))).collect();
    assert_eq!(shared(&kept, shown.join("\n").as_bytes(), Kind::Row), 20, "as it is shown");
    let quoted: Vec<String> =
        some.iter().map(|row| row.split(',').map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join("; ")).collect();
    assert_eq!(shared(&kept, quoted.join("\n").as_bytes(), Kind::Row), 20, "quoted");
    let zeros: Vec<String> =
        some.iter().map(|row| row.split(',').map(|c| format!("{c}000")).collect::<Vec<_>>().join(",")).collect();
    assert_eq!(shared(&kept, zeros.join("\n").as_bytes(), Kind::Row), 20, "with zeros behind");
    let columns: Vec<String> = rows.iter().map(|row| row.split(',').take(4).collect::<Vec<_>>().join(",")).collect();
    assert!(shared(&kept, columns.join("\n").as_bytes(), Kind::Cells) > 20, "some of the columns");
}

#[test]
fn tables_with_the_same_head_share_nothing() {
    let (one, other) = (csv(&Dice(1).table(500)), csv(&Dice(2).table(500)));
    for kind in Kind::PARTS {
        assert_eq!(shared(&one, &other, kind), 0, "{kind:?}");
    }
    let names = |prefix: &str| format!("feature_1,feature_2,feature_3,feature_4,feature_5\n{prefix}");
    let (one, other) = (names(&Dice(1).table(9).join("\n")), names(&Dice(2).table(9).join("\n")));
    assert_eq!(shared(one.as_bytes(), other.as_bytes(), Kind::Cells), 0);
}

#[test]
fn what_unrelated_files_share_has_no_prints() {
    let counting: Vec<u8> = (0..4_000_u64).flat_map(u64::to_le_bytes).collect();
    let small: Vec<u8> = (0..8_000_u32).flat_map(u32::to_le_bytes).collect();
    let floats: Vec<u8> = std::iter::repeat_n(1.0_f32, 4_000).flat_map(f32::to_le_bytes).collect();
    let names: Vec<u8> =
        (0..2_000).flat_map(|n| format!("\0\x01encoder.layer.{n}.attention.weight").into_bytes()).collect();
    for (what, bytes) in
        [("zeros", vec![0; 100_000]), ("longs", counting), ("ints", small), ("ones", floats), ("names", names)]
    {
        assert!(made(&bytes, For::Looking).is_empty(), "{what}");
    }
    let text = "\n\n  \n// Licensed under the terms of some licence, which is long enough to be a line\n0,0,0,0\n0,0,0,0\n0,0,0,0\n\n";
    assert!(made(text.repeat(50).as_bytes(), For::Looking).is_empty());
    let code = "parser.add_argument(\"--lr\", type=float, default=1e-3)\n".repeat(4);
    assert!(made(code.as_bytes(), For::Looking).iter().all(|(kind, _)| *kind == Kind::Lines));
    // The same names and shapes before other numbers.
    let header =
        br#"{"__metadata__":{"format":"pt"},"a.weight":{"dtype":"F32","shape":[64,64],"data_offsets":[0,16384]}}"#;
    let tensors = |seed| [&(header.len() as u64).to_le_bytes()[..], header, &Dice(seed).bytes(16_384)].concat();
    assert_eq!(shared(&tensors(1), &tensors(2), Kind::Window), 0);
    assert!(shared(&tensors(1), &tensors(1), Kind::Window) > 20);
}

#[test]
fn bytes_are_found_in_parts_and_at_any_place() {
    let kept = Dice(3).bytes(64 << 10);
    let all = made(&kept, For::Keeping).len();
    assert!((150..400).contains(&all), "one of 256: {all}");
    assert!(shared(&kept, &kept[10_001..30_011], Kind::Window) > 40, "a part");
    let inside = [&Dice(4).bytes(7_777)[..], &kept[..], &Dice(5).bytes(999)].concat();
    assert!(shared(&kept, &inside, Kind::Window) + 2 >= all, "inside something else");
    assert_eq!(shared(&kept, &Dice(6).bytes(1 << 20), Kind::Window), 0);
}

#[test]
fn lines_of_text_are_found_in_other_text() {
    let line = |n: u64| format!("the patient {} was seen on day {n} and sent home", Dice(n).roll());
    let kept: Vec<String> = (0..100).map(line).collect();
    let quoted = format!("something before\n{}\nsomething behind", kept[20..40].join("\n"));
    assert!(shared(kept.join("\n").as_bytes(), quoted.as_bytes(), Kind::Lines) >= 18);
    let long: Vec<String> = (0..30).map(|n| format!("{} {}", line(n), line(n + 1_000))).collect();
    let few: Vec<&str> = long.iter().step_by(7).map(String::as_str).collect();
    assert_eq!(shared(long.join("\n").as_bytes(), few.join("\n").as_bytes(), Kind::Row), few.len());
}

/// Prints are kept for as long as their version: later programs make the same.
#[test]
fn prints_stay_what_they_are() {
    let letter = |c: char| if c.is_ascii_digit() { (c as u8 - b'0' + b'a') as char } else { ' ' };
    let line = |row: &String| format!("read {}", row.chars().map(letter).collect::<String>());
    let text: Vec<String> = Dice(7).table(40).iter().map(line).collect();
    let content = [csv(&Dice(1).table(40)), text.join("\n").into_bytes(), Dice(3).bytes(40_000)];
    let mut hasher = blake3::Hasher::new();
    let mut counts = [0; 5];
    for content in &content {
        let mut prints: Vec<(Kind, u64)> = made(content, For::Keeping).into_iter().collect();
        prints.sort_unstable();
        for (kind, print) in prints {
            counts[usize::from(kind.number())] += 1;
            hasher.update(&[kind.number()]).update(&print.to_be_bytes());
        }
    }
    assert_eq!(counts, [0, 40, 20, 38, 156]);
    let kept = "0085b24317a697b5308b637eb559e9112ea4b951cb844e708b649d051c6f09e6";
    assert_eq!(hasher.finalize().to_hex().as_str(), kept);
}

#[test]
fn without_the_key_prints_are_other_prints() {
    let bytes = Dice(7).bytes(50_000);
    let (mut one, mut other) = (HashSet::new(), HashSet::new());
    printer(1).content(&bytes, Edges::WHOLE, For::Keeping, &mut |_, print| one.extend([print]));
    printer(2).content(&bytes, Edges::WHOLE, For::Keeping, &mut |_, print| other.extend([print]));
    assert!(one.len() > 100 && one.is_disjoint(&other));
    let digest = Digest::from_bytes([9; 32]);
    assert_ne!(printer(1).whole(5, &digest), printer(2).whole(5, &digest));
    assert_ne!(printer(1).whole(5, &digest), printer(1).whole(6, &digest));
}

#[test]
fn a_set_opens_for_its_version_only_and_in_one_form() {
    let list = |byte| ListKey::from_bytes(Box::new([byte; 32]));
    let mut builder = Builder::default();
    for (file, seed) in (0..40).zip(100..) {
        let mut dice = Dice(seed);
        (0..50).for_each(|_| builder.part(Kind::Row, dice.roll()));
        builder.advance(5_000);
        builder.end(file, Some((dice.roll(), 5_000)));
    }
    let set = builder.finish(41);
    assert_eq!((set.wholes.len(), set.parts[0].len(), set.files), (40, 2_000, 41));
    // What a file begins with is kept, however much follows.
    let mut long = Builder::default();
    (0..5_000).for_each(|print| long.part(Kind::Row, u64::MAX - print));
    long.end(0, None);
    let long = long.finish(1);
    let kept = |print: u64| long.parts[0].iter().any(|entry| entry.print == u64::MAX - print);
    assert!((0..16).all(kept) && !kept(100) && kept(4_999) && long.parts[0].len() < 600);
    let (vault, version) = ([1; 16], [2; 16]);
    let sealed = set.seal(&list(3), &vault, &version).unwrap();
    assert_eq!(Set::open(&sealed, &list(3), &vault, &version), Ok(set.clone()));
    assert!(Set::open(&sealed, &list(4), &vault, &version).is_err());
    assert!(Set::open(&sealed, &list(3), &version, &version).is_err());
    assert!(Set::open(&sealed, &list(3), &vault, &vault).is_err());
    for at in (0..sealed.len()).step_by(97) {
        let mut other = sealed.clone();
        other[at] ^= 1;
        assert!(Set::open(&other, &list(3), &vault, &version).is_err(), "{at}");
    }
    // Lengths say little.
    let empty = Builder::default().finish(0).seal(&list(3), &vault, &version).unwrap();
    let mut one = Builder::default();
    one.end(0, Some((1, 100)));
    assert_eq!(empty.len(), one.finish(1).seal(&list(3), &vault, &version).unwrap().len());
    // A file that did not change brings its prints along, under its new number.
    let carried = Carried::from(set.clone());
    let mut later = Builder::default();
    later.carry(&carried, 7, 3);
    let later = later.finish(1);
    let of = |set: &Set, file| set.parts[0].iter().filter(|e| e.file == file).map(|e| e.print).collect::<HashSet<_>>();
    assert_eq!((of(&later, 3), later.wholes.len()), (of(&set, 7), 1));

    let key = PrintKey::from_bytes(Box::new([8; 32]));
    let sealed = seal_key(&key, &list(3), &vault, &version).unwrap();
    assert_eq!(open_key(&sealed, &list(3), &vault, &version).unwrap().expose_bytes(), key.expose_bytes());
    assert!(open_key(&sealed, &list(4), &vault, &version).is_err());
    assert!(open_key(&sealed, &list(3), &vault, &vault).is_err());
}

#[test]
fn a_set_is_bounded_however_much_is_put() {
    let mut builder = Builder::default();
    let mut dice = Dice(9);
    for file in 0..30_000_u32 {
        for kind in Kind::PARTS {
            builder.part(kind, dice.roll());
        }
        builder.end(file, Some((dice.roll(), 1)));
    }
    let set = builder.finish(30_000);
    let list = ListKey::from_bytes(Box::new([3; 32]));
    let sealed = set.seal(&list, &[1; 16], &[2; 16]).unwrap();
    assert!(sealed.len() <= MAX_SEALED_LEN, "{}", sealed.len());
    assert_eq!(Set::open(&sealed, &list, &[1; 16], &[2; 16]), Ok(set));
}

#[test]
fn bytes_that_are_no_set_are_refused() {
    let mut dice = Dice(10);
    for len in 0..300 {
        assert_eq!(Set::decode(&dice.bytes(len)), None);
    }
}

#[test]
fn files_that_many_hold_are_known_by_their_names() {
    for name in ["LICENSE", "a/b/LICENSE.txt", "COPYING", "x/.gitattributes", "notice.md"] {
        assert!(is_common_name(name.as_bytes()), "{name}");
    }
    for name in ["licenses.csv", "data/rows.csv", "", "a/"] {
        assert!(!is_common_name(name.as_bytes()), "{name}");
    }
    assert!(!says_enough(&[0; 1_000]) && !says_enough(b"\n\n\n") && says_enough(b"a line of words"));
}
