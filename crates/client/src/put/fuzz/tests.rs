use super::*;
use testkit::seeds::good as seeds;

#[test]
fn the_seeds_of_the_fuzzer_are_what_a_put_writes() {
    let records = seeds("put_journal");
    assert!(records.len() >= 3);
    for (suite, record) in Suite::ALL.iter().flat_map(|suite| records.iter().map(move |record| (*suite, record))) {
        assert_eq!(journal_record(suite, record).unwrap().as_slice(), record);
    }
    let caches = seeds("put_cache");
    assert!(caches.len() >= 3);
    for seed in caches {
        let plain = &seed[4..];
        let path = plain[2..2 + usize::from(u16::from_be_bytes([plain[0], plain[1]]))].to_vec();
        let known = cached(&sealed_cache(plain).unwrap(), &BTreeSet::from([path])).unwrap();
        assert!(matches!(known.as_slice(), [Some(_)]), "its first path is known");
    }
}
