//! What a table says at which time, and what is refused.

use super::*;

const BASELINE: &str = Crypto::BASELINE;
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn parse(from: &str, to: &str) -> Result<Crypto, CryptoError> {
    assert!(BASELINE.contains(from), "{from}");
    Crypto::parse(&BASELINE.replacen(from, to, 1))
}

#[test]
fn the_baseline_writes_the_default_suite_and_reads_both() {
    let table = Crypto::baseline().unwrap();
    assert_eq!(table.vault(), Suite::Default);
    for (class, environment) in Class::ALL.iter().flat_map(|c| Environment::ALL.iter().map(move |e| (*c, *e))) {
        assert_eq!(table.writes(class, environment, NOW), Suite::Default);
        assert!(Suite::ALL.iter().all(|suite| table.reads(class, environment, *suite, NOW)));
    }
    let Stretch::Argon2id(argon) = table.stretch(Suite::Default, NOW) else { panic!("Argon2id") };
    assert_eq!((argon.memory_kib, argon.passes, argon.lanes), (65_536, 3, 4));
    assert_eq!(table.stretch(Suite::Nist, NOW), Stretch::Pbkdf2(Pbkdf2 { iterations: 600_000 }));
}

#[test]
fn a_class_or_one_environment_of_it_may_differ() {
    let class = "[class.restricted]\nwrite = \"default\"\nread = [\"default\", \"nist\"]";
    let nist = "[class.restricted]\nwrite = \"nist\"\nread = [\"nist\"]";
    let table = parse(class, nist).unwrap();
    for environment in Environment::ALL {
        assert_eq!(table.writes(Class::Restricted, *environment, NOW), Suite::Nist);
        assert!(!table.reads(Class::Restricted, *environment, Suite::Default, NOW));
        assert_eq!(table.writes(Class::Confidential, *environment, NOW), Suite::Default);
    }
    let prod = format!("{class}\n\n[class.restricted.prod]\nwrite = \"nist\"\nread = [\"nist\"]");
    let table = parse(class, &prod).unwrap();
    assert_eq!(table.writes(Class::Restricted, Environment::Prod, NOW), Suite::Nist);
    assert_eq!(table.writes(Class::Restricted, Environment::Staging, NOW), Suite::Default);
    assert!(!table.reads(Class::Restricted, Environment::Prod, Suite::Default, NOW));
    assert!(table.reads(Class::Restricted, Environment::Dev, Suite::Nist, NOW));
}

#[test]
fn a_table_that_is_not_one_is_refused() {
    for (from, to) in [
        ("suite = \"default\"", ""),
        ("suite = \"default\"", "suite = \"fips\""),
        ("suite = \"default\"", "suite = \"default\"\nmore = 1"),
        ("suite = \"default\"", "suite = \"default\"\nsuite = \"nist\""),
        ("[class.public]", "[class.secret]"),
        ("[class.public]", "[class.public.test]"),
        ("read = [\"default\", \"nist\"]", "read = \"default\""),
        ("read = [\"default\", \"nist\"]", ""),
        ("iterations = 600000", "iterations = -1"),
        ("iterations = 600000", "iterations = 4294967296"),
        ("lanes = 4", "lanes = 4\nhash = \"sha1\""),
    ] {
        assert!(matches!(parse(from, to), Err(CryptoError::Form(_))), "{from} -> {to}");
    }
    for read in ["[]", "[\"nist\"]"] {
        let refused = parse("read = [\"default\", \"nist\"]", &format!("read = {read}"));
        let (class, environment, suite, at) = (Class::Public, Environment::Dev, Suite::Default, BEGINNING);
        assert_eq!(refused, Err(CryptoError::Unreadable { class, environment, suite, at }));
    }
    let prod = "[class.public.prod]\nwrite = \"default\"\nread = [\"nist\"]\n\n[class.internal]";
    assert!(matches!(parse("[class.internal]", prod), Err(CryptoError::Unreadable { .. })));
    assert_eq!(Crypto::parse(&" ".repeat(Crypto::MAX_LEN_BYTES + 1)), Err(CryptoError::TooLong));
    for cut in 0..BASELINE.rfind("iterations = ").unwrap() {
        assert!(Crypto::parse(&BASELINE[..cut]).is_err(), "cut at {cut}");
    }
}

fn at(date: &str) -> Timestamp {
    date.parse().unwrap()
}

const CONFIDENTIAL: &str = "[class.confidential]\nwrite = \"default\"\nread = [\"default\", \"nist\"]";

fn confidential(lines: &str) -> Result<Crypto, CryptoError> {
    parse(CONFIDENTIAL, &format!("[class.confidential]\n{lines}"))
}

const PLACE: (Class, Environment) = (Class::Confidential, Environment::Dev);

#[test]
fn a_suite_writes_from_its_date_on_and_is_read_until_another() {
    let lines = "write = [\"default\", { suite = \"nist\", from = \"2027-01-01\" }]\n\
                 read = [{ suite = \"default\", until = \"2028-01-01T12:00:00Z\" }, \"nist\"]";
    let table = confidential(lines).unwrap();
    let (class, environment) = PLACE;
    for (date, writes, reads_default) in [
        ("2026-12-31T23:59:59.999Z", Suite::Default, true),
        ("2027-01-01", Suite::Nist, true),
        ("2028-01-01T11:59:59.999Z", Suite::Nist, true),
        ("2028-01-01T12:00:00Z", Suite::Nist, false),
        ("9999-12-31", Suite::Nist, false),
    ] {
        assert_eq!(table.writes(class, environment, at(date)), writes, "{date}");
        assert_eq!(table.reads(class, environment, Suite::Default, at(date)), reads_default, "{date}");
        assert!(table.reads(class, environment, Suite::Nist, at(date)), "{date}");
    }
    assert_eq!(table.dates(), [at("2027-01-01"), at("2028-01-01T12:00:00Z")]);
    let shut = |time| !table.reads(class, environment, Suite::Default, time);
    assert_eq!(table.since(at("2030-01-01"), shut), Some(at("2028-01-01T12:00:00Z")));
    assert_eq!(table.first(at("2026-01-01"), at("2030-01-01"), shut), Some(at("2028-01-01T12:00:00Z")));
    assert_eq!(table.first(at("2026-01-01"), at("2028-01-01"), shut), None);
    assert_eq!(table.first(at("2029-01-01"), at("2030-01-01"), shut), Some(at("2029-01-01")));
    assert_eq!(table.since(at("2030-01-01"), |time| table.reads(class, environment, Suite::Nist, time)), None);
}

#[test]
fn a_gap_is_refused_with_its_time() {
    let (class, environment) = PLACE;
    let both = "read = [\"default\", \"nist\"]";
    let unwritten = |date: &str| Err(CryptoError::Unwritten { class, environment, at: at(date) });
    for (write, date) in [
        ("[]", "1970-01-01"),
        ("{ suite = \"nist\", from = \"2027-01-01\" }", "1970-01-01"),
        ("{ suite = \"nist\", until = \"2027-01-01\" }", "2027-01-01"),
        (
            "[{ suite = \"default\", until = \"2027-01-01\" }, { suite = \"nist\", from = \"2027-01-02\" }]",
            "2027-01-01",
        ),
    ] {
        assert_eq!(confidential(&format!("write = {write}\n{both}")), unwritten(date), "{write}");
    }
    let write = "write = [\"default\", { suite = \"nist\", from = \"2027-06-01\" }]";
    for (read, suite, date) in [
        ("[{ suite = \"default\", until = \"2027-05-31\" }, \"nist\"]", Suite::Default, "2027-05-31"),
        ("[\"default\", { suite = \"nist\", from = \"2027-06-02\" }]", Suite::Nist, "2027-06-01"),
        ("[\"default\", { suite = \"nist\", until = \"2030-01-01\" }]", Suite::Nist, "2030-01-01"),
    ] {
        let refused = confidential(&format!("{write}\nread = {read}"));
        assert_eq!(refused, Err(CryptoError::Unreadable { class, environment, suite, at: at(date) }), "{read}");
    }
    let said = confidential(&format!("{write}\nread = [\"default\"]")).unwrap_err().to_string();
    assert!(said.contains("confidential") && said.contains("2027-06-01"), "{said}");
}

#[test]
fn roots_wrap_or_only_open_and_the_stricter_table_wins() {
    let lines = "write = \"default\"\nread = [\"default\"]\n\
                 wrap = [\"hsm\", \"escrow\", { root = \"passphrase\", until = \"2027-01-01\" }]\n\
                 open = [\"hsm\", \"escrow\", { root = \"keyfile\", until = \"2028-01-01\" }, \"passphrase\"]";
    let table = confidential(lines).unwrap();
    let class = Class::Confidential;
    for (environment, root, date, wraps, opens) in [
        (Environment::Dev, RootKind::Keyfile, "2026-12-01", false, true),
        (Environment::Dev, RootKind::Keyfile, "2028-01-01", false, false),
        (Environment::Dev, RootKind::Passphrase, "2026-12-01", true, true),
        (Environment::Dev, RootKind::Passphrase, "2027-01-01", false, true),
        (Environment::Dev, RootKind::Kms, "2026-12-01", false, false),
        (Environment::Prod, RootKind::Hsm, "2026-12-01", true, true),
        // The class table admits no key file in prod, whatever this one says.
        (Environment::Prod, RootKind::Keyfile, "2026-12-01", false, false),
    ] {
        assert_eq!(table.wraps(class, environment, root, at(date)), wraps, "{environment} {root} {date}");
        assert_eq!(table.opens(class, environment, root, at(date)), opens, "{environment} {root} {date}");
    }
    assert!(table.speaks_of_roots() && !Crypto::baseline().unwrap().speaks_of_roots());
    assert!(table.wraps(Class::Public, Environment::Prod, RootKind::Keyfile, NOW), "another class goes on");
}

#[test]
fn a_table_that_leaves_no_root_is_refused_with_the_time() {
    let suites = "write = \"default\"\nread = [\"default\"]";
    let class = Class::Confidential;
    let roots = |lines: &str| confidential(&format!("{suites}\n{lines}"));
    let unwrapped = |environment, date: &str| Err(CryptoError::Unwrapped { class, environment, at: at(date) });
    assert_eq!(roots("wrap = []"), unwrapped(Environment::Dev, "1970-01-01"));
    assert_eq!(roots("wrap = [\"escrow\"]"), unwrapped(Environment::Dev, "1970-01-01"), "an escrow opens nothing here");
    // Against the class table: no key file wraps confidential keys in prod.
    assert_eq!(roots("wrap = [\"keyfile\"]"), unwrapped(Environment::Prod, "1970-01-01"));
    let until = "wrap = [{ root = \"hsm\", until = \"2029-01-01\" }, { root = \"keyfile\", from = \"2028-01-01\" }]";
    assert_eq!(roots(until), unwrapped(Environment::Prod, "2029-01-01"));
    let unopened =
        roots("wrap = [\"hsm\", \"passphrase\"]\nopen = [\"hsm\", { root = \"passphrase\", from = \"2027-01-01\" }]");
    let (environment, root) = (Environment::Dev, RootKind::Passphrase);
    assert_eq!(unopened, Err(CryptoError::Unopened { class, environment, root, at: BEGINNING }));
    assert!(matches!(roots("open = [\"hsm\"]"), Err(CryptoError::Form(_))));
    // Of an environment the class's lines count where it has none.
    let own = roots("wrap = [\"hsm\"]\n\n[class.confidential.dev]\nwrite = \"nist\"\nread = [\"nist\"]").unwrap();
    assert!(!own.wraps(class, Environment::Dev, RootKind::Passphrase, NOW));
}

#[test]
fn costs_have_dates_and_what_is_made_is_opened() {
    let line = "[passphrase.default]\nmemory_kib = 65536\npasses = 3\nlanes = 4";
    let dated = "[[passphrase.default]]\nmemory_kib = 65536\npasses = 3\nlanes = 4\n\n\
                 [[passphrase.default]]\nmemory_kib = 262144\npasses = 3\nlanes = 4\nfrom = \"2027-01-01\"\n\n\
                 [passphrase.read.default]\nmemory_kib = 131072\npasses = 2\nfrom = \"2027-06-01\"";
    let table = parse(line, dated).unwrap();
    let weak = Stretch::Argon2id(Argon2id { memory_kib: 65_536, passes: 3, lanes: 4 });
    let strong = Stretch::Argon2id(Argon2id { memory_kib: 131_072, passes: 2, lanes: 1 });
    assert_eq!(table.stretch(Suite::Default, at("2026-12-31")), weak);
    assert_ne!(table.stretch(Suite::Default, at("2027-01-01")), weak);
    assert!(table.bears(weak, at("2027-05-31")) && !table.bears(weak, at("2027-06-01")));
    assert!(table.bears(strong, at("2027-06-01")));
    assert_eq!(table.costs().count(), 4);
    let late = dated.replace("from = \"2027-06-01\"", "from = \"2026-06-01\"");
    assert_eq!(parse(line, &late), Err(CryptoError::Weak { suite: Suite::Default, at: at("2026-06-01") }));
    let pbkdf2 = "iterations = 600000\n\n[passphrase.read.nist]\niterations = 600001";
    assert_eq!(parse("iterations = 600000", pbkdf2), Err(CryptoError::Weak { suite: Suite::Nist, at: BEGINNING }));
}

#[test]
fn entries_that_are_unclear_or_too_many_are_refused() {
    let both = "read = [\"default\", \"nist\"]";
    let many = vec!["{ suite = \"nist\", from = \"2027-01-01\" }"; 17].join(", ");
    for write in [
        "[\"default\", \"nist\"]",
        "{ suite = \"default\", from = \"2027-02-30\" }",
        "{ suite = \"default\", from = \"tomorrow\" }",
        "{ suite = \"default\", from = 2027 }",
        "{ suite = \"default\", since = \"2027-01-01\" }",
        "{ suite = \"default\", from = \"2027-01-01\", until = \"2027-01-01\" }",
        "{ from = \"2027-01-01\" }",
        "[[\"default\"]]",
        many.as_str(),
        &format!("[\"default\", {many}]"),
    ] {
        let refused = confidential(&format!("write = {write}\n{both}"));
        assert!(matches!(refused, Err(CryptoError::Form(_))), "{write}: {refused:?}");
    }
    for lines in ["wrap = \"hsm\"", "wrap = [{ suite = \"nist\" }]", "wrap = [\"floppy\"]", "wraps = [\"hsm\"]"] {
        let refused = confidential(&format!("write = \"default\"\n{both}\n{lines}"));
        assert!(matches!(refused, Err(CryptoError::Form(_))), "{lines}: {refused:?}");
    }
}
