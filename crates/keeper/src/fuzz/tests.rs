use super::*;
use api::terms::Mode;
use log::keys::Signers;
use log::tree;
use proptest::prelude::*;
use proptest::sample::Index;
use seal::passphrase::{Cost, Params};
use testkit::seeds::good as seeds;

const VAULT: [u8; 16] = [1; 16];
const KEY: [u8; 16] = [3; 16];
const SECRET: [u8; 32] = [9; 32];
const SLOT_LEN: usize = 8192;

fn key_file_of(root: [u8; 16], key: [u8; 32]) -> Vec<u8> {
    let (root, vault) = (KeyId::from_bytes(root), VaultId::from_bytes(VAULT));
    format!("strongroom-root-v1 {vault} {root} {}\n", hex::encode(key)).into_bytes()
}

fn signers() -> Signers {
    Signers::from_seeds(&format!("strongroom/{}/1", "07".repeat(16)), &[1; 32], &[2; 32]).unwrap()
}

fn slots(notes: &[Vec<u8>]) -> Vec<u8> {
    let slot = |note: &Vec<u8>| [note.as_slice(), &vec![0; SLOT_LEN - note.len()]].concat();
    notes.iter().flat_map(slot).collect()
}

#[test]
fn the_seeds_of_the_fuzzer_are_what_the_keeper_writes() {
    let files = seeds("vault_file");
    assert!(files.len() >= 3);
    files.iter().for_each(|text| assert_eq!(vault_file(text).as_deref(), Some(text.as_slice())));
    let files = seeds("key_file");
    assert!(files.len() >= 3);
    files.iter().for_each(|text| assert_eq!(key_file(text, VAULT).as_deref(), Some(text.as_slice())));
    let files = seeds("anchor");
    assert!(files.len() >= 3);
    files.iter().for_each(|bytes| assert!(anchor(bytes, signers().keys()).is_some()));
    let mut tables = std::collections::BTreeSet::new();
    for bytes in seeds("row_body") {
        let (table, body) = bytes.split_first().unwrap();
        match TABLES.get(usize::from(*table)) {
            Some(table) => assert_eq!(row(table, body).as_deref(), Some(body), "{table}"),
            None => assert_eq!(mac_key(body, VAULT, &key_file_of([2; 16], [5; 32]), KEY), Some(SECRET)),
        }
        tables.insert(*table);
    }
    assert_eq!(tables.len(), TABLES.len() + 1, "each table, and the row that is read before its MAC");
}

#[test]
fn the_row_mac_key_opens_in_its_place_only() {
    let file = key_file_of([2; 16], [5; 32]);
    let body = mac_key_row(SECRET, VAULT, &file, KEY).unwrap();
    assert_eq!(mac_key(&body, VAULT, &file, KEY), Some(SECRET));
    assert_eq!(mac_key(&body, VAULT, &file, [4; 16]), None);
    assert_eq!(mac_key(&body, VAULT, &key_file_of([2; 16], [6; 32]), KEY), None);
    assert_eq!(mac_key(&body, VAULT, &key_file_of([7; 16], [5; 32]), KEY), None);
}

fn vault_files() -> impl Strategy<Value = VaultFile> {
    let root = (any::<[u8; 16]>(), prop::option::of(any::<(u32, u32, u32, [u8; 16])>()), any::<[u8; 32]>());
    let mode = (prop::sample::select(Mode::ALL), prop::sample::select(Suite::ALL));
    (any::<[u8; 16]>(), mode, prop::collection::vec(root, 1..=MAX_ROOTS)).prop_map(|(vault, (mode, suite), roots)| {
        let mut file = VaultFile::new(VaultId::from_bytes(vault), mode, suite);
        for (id, params, key) in roots {
            let text = format!("strongroom-root-v1 {} {} {}", file.vault, KeyId::from_bytes(id), hex::encode(key));
            let root = KeyfileRoot::parse(text.as_bytes(), file.vault).unwrap();
            let params = params.map(|(memory, passes, lanes, salt)| {
                let cost = match suite {
                    Suite::Default => Cost::Argon2id {
                        memory_kib: 8192 + memory % 1_000_000,
                        passes: 1 + passes % 16,
                        lanes: 1 + lanes % 16,
                    },
                    Suite::Nist => Cost::Pbkdf2 { iterations: 600_000 + memory % 1_000_000 },
                };
                Params::new(cost, salt).unwrap().encode()
            });
            file.add(&root, params);
        }
        file
    })
}

proptest! {
    #[test]
    fn a_vault_file_reads_as_it_was_written_and_an_altered_byte_is_harmless(
        file in vault_files(), at in any::<Index>(), to in any::<u8>(),
    ) {
        let text = file.encoded().unwrap();
        prop_assert_eq!(VaultFile::parse(&text).ok(), Some(file));
        prop_assert_eq!(vault_file(&text), Some(text.clone()));
        let mut altered = text.clone();
        let at = at.index(text.len());
        altered[at] = to;
        if let Some(again) = vault_file(&altered) {
            prop_assert_eq!(vault_file(&again), Some(again.clone()));
            // Only white space does not show.
            prop_assert!(again != text || altered == text || text[at].is_ascii_whitespace() && to.is_ascii_whitespace());
        }
        // The line's end may be missing, nothing else.
        prop_assert_eq!(VaultFile::parse(&text[..at]).is_ok(), at + 1 == text.len());
    }

    #[test]
    fn a_key_file_reads_as_it_was_written_and_an_altered_byte_is_harmless(
        id in any::<[u8; 16]>(), key in any::<[u8; 32]>(), at in any::<Index>(), to in any::<u8>(),
    ) {
        let text = key_file_of(id, key);
        prop_assert_eq!(key_file(&text, VAULT), Some(text.clone()));
        prop_assert!(key_file(&text, KEY).is_none(), "another vault's");
        let mut altered = text.clone();
        let at = at.index(text.len());
        altered[at] = to;
        if let Some(again) = key_file(&altered, VAULT) {
            prop_assert_eq!(again, altered.to_ascii_lowercase(), "another key, never another length or vault");
        }
        // The line's end may be missing, nothing else.
        prop_assert_eq!(key_file(&text[..at], VAULT).is_some(), at + 1 == text.len());
        prop_assert!(key_file(&[text.as_slice(), &[to]].concat(), VAULT).is_none());
    }
}

proptest! {
    // Signing takes its time.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_anchor_holds_one_of_the_heads_that_were_signed(
        sizes in any::<(u32, u32)>(), root in any::<[u8; 4]>(), cut in any::<bool>(), at in any::<Index>(), flip in 1..=255u8,
    ) {
        let (signers, root) = (signers(), tree::leaf(&root));
        let note = |size: u32| signers.sign(size.into(), &root, 1).unwrap();
        let (first, second) = (note(sizes.0), note(sizes.1));
        let newest = u64::from(sizes.0.max(sizes.1));
        let whole = slots(&[first.clone(), second.clone()]);
        let read = |bytes: &[u8]| anchor(bytes, signers.keys());
        let (head, next) = read(&whole).unwrap();
        prop_assert_eq!((head.size, head.root), (newest, root));
        // The older one is overwritten next.
        prop_assert!(sizes.0 == sizes.1 || next == Some(usize::from(sizes.0 > sizes.1)));
        let (head, next) = read(&second).unwrap();
        prop_assert_eq!((head.size, next), (u64::from(sizes.1), None));

        let at = at.index(whole.len());
        let mut altered = whole.clone();
        if cut { altered.truncate(at) } else { altered[at] ^= flip }
        let left = |slot: usize, len: usize| !cut && !(slot * SLOT_LEN..=slot * SLOT_LEN + len).contains(&at);
        let left = [(left(0, first.len()), sizes.0), (left(1, second.len()), sizes.1)];
        let slots = left.into_iter().filter_map(|(left, size)| left.then_some(u64::from(size))).max();
        let expected = if cut && at == first.len() { Some(sizes.0.into()) } else { slots };
        prop_assert_eq!(read(&altered).map(|(head, _)| head.size), expected);
    }
}
