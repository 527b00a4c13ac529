use super::*;
use crate::chunked::{HEADER_LEN, SEALED_CHUNK_LEN, plaintext_len};

fn header() -> Header {
    let wrap = |root| Wrapped { root: [root; 16], sealed: vec![root; 104] };
    Header {
        suite: Suite::Default,
        vault: [1; 16],
        backup: [2; 16],
        made_ms: 1_790_000_000_000,
        mac_key: [3; 16],
        description: b"{\"strongroom\":1}".to_vec(),
        wraps: vec![wrap(4), wrap(5)],
    }
}

fn sealed(mac: &MacKey, pieces: &[&[u8]]) -> Vec<u8> {
    let header = header();
    let front = header.encode().unwrap();
    let mut file = front.clone();
    let mut sealer = BodySealer::new(mac, &header, &front, &mut file).unwrap();
    for piece in pieces {
        sealer.push(piece, &mut file).unwrap();
    }
    assert_eq!(sealer.finish(&mut file).unwrap(), pieces.iter().map(|piece| piece.len() as u64).sum::<u64>());
    file
}

fn opened(mac: &MacKey, file: &[u8]) -> Option<Vec<u8>> {
    let (header, front_len) = Header::decode(file).ok()?;
    let (front, body) = file.split_at(front_len);
    let opener = opener(mac, &header, front, body.first_chunk()?).ok()?;
    plaintext_len(body.len() as u64).ok()?;
    let mut plain = Vec::new();
    for (at, chunk) in (0..).zip(body[HEADER_LEN..].chunks(SEALED_CHUNK_LEN)) {
        let mut out = vec![0; chunk.len() - TAG_LEN];
        opener.open_chunk(at, chunk, &mut out).ok()?;
        plain.extend(out);
    }
    Some(plain)
}

#[test]
fn what_is_pushed_in_any_pieces_comes_back_whole() {
    let mac = MacKey::generate().unwrap();
    let plain: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    for cuts in [vec![], vec![1], vec![CHUNK_LEN], vec![CHUNK_LEN - 1, CHUNK_LEN, 3 * CHUNK_LEN], vec![50_000, 50_001]]
    {
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([plain.len()]) {
            pieces.push(&plain[from..cut]);
            from = cut;
        }
        assert_eq!(opened(&mac, &sealed(&mac, &pieces)).as_ref(), Some(&plain));
    }
    assert_eq!(opened(&mac, &sealed(&mac, &[&plain[..CHUNK_LEN]])).as_deref(), Some(&plain[..CHUNK_LEN]));
}

#[test]
fn no_byte_of_header_or_message_is_altered_unseen() {
    let mac = MacKey::generate().unwrap();
    let file = sealed(&mac, &[b"the database"]);
    assert!(opened(&mac, &file).is_some());
    for at in 0..file.len() {
        let mut altered = file.clone();
        altered[at] ^= 1;
        assert!(opened(&mac, &altered).is_none(), "byte {at}");
    }
    assert!(opened(&MacKey::generate().unwrap(), &file).is_none(), "another vault's key");
    for len in 0..file.len() {
        assert!(opened(&mac, &file[..len]).is_none(), "cut at {len}");
    }
}

#[test]
fn a_header_out_of_bounds_is_refused_when_it_is_written_too() {
    type Bad = fn(&mut Header);
    let bad: [Bad; 6] = [
        |header| header.description = vec![b' '; MAX_DESCRIPTION_LEN + 1],
        |header| header.wraps.clear(),
        |header| header.wraps.reverse(),
        |header| header.wraps[1].root = header.wraps[0].root,
        |header| header.wraps[0].sealed = vec![0; MAX_WRAP_LEN + 1],
        |header| header.made_ms = u64::MAX,
    ];
    for alter in bad {
        let mut header = header();
        alter(&mut header);
        assert!(header.encode().is_err(), "{:?}", header.wraps);
    }
    let mut long = header().encode().unwrap();
    long[MAGIC.len()..FRONT_LEN].copy_from_slice(&(MAX_HEADER_LEN as u32 + 1).to_be_bytes());
    assert_eq!(Header::decode(&long), Err(Malformed("a header that is too long")));
    assert_eq!(Header::decode(b"SQLite format 3\0"), Err(Malformed("this is no backup of a vault")));
}

#[test]
fn heads_of_items_come_back_and_odd_ones_are_refused() {
    let item = |kind, name: &str| Item { kind, name: name.to_owned(), len: 1 << 40 };
    for item in
        [item(ItemKind::Manifest, ""), item(ItemKind::LogFile, "tile/entries/x001/234"), item(ItemKind::End, "")]
    {
        let bytes = item.encode().unwrap();
        assert_eq!(Item::decode(&bytes), Ok(Some((item, bytes.len()))));
        for len in 0..bytes.len() {
            assert_eq!(Item::decode(&bytes[..len]), Ok(None), "{len}");
        }
    }
    for bad in [
        item(ItemKind::Database, "keeper.db"),
        item(ItemKind::LogFile, ""),
        item(ItemKind::LogFile, "a b"),
        item(ItemKind::LogFile, "é"),
    ] {
        assert!(Item::decode(&bad.encode().unwrap()).is_err(), "{bad:?}");
    }
    assert!(item(ItemKind::LogFile, &"a".repeat(MAX_NAME_LEN + 1)).encode().is_err());
    assert!(Item::decode(&[0, 0]).is_err() && Item::decode(&[6, 0]).is_err());
}

#[test]
fn the_seeds_of_the_fuzzer_are_headers() {
    let seeds = testkit::seeds::good("backup_header");
    assert!(seeds.len() >= 3);
    assert!(seeds.iter().all(|seed| Header::decode(seed).is_ok()));
}
