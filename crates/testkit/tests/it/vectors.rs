//! The language-neutral cases: mostly about what must be refused, and read by more than one implementation.

use super::{files, read, root};
use serde_json::Value;
use std::path::PathBuf;

/// What the independent decryptor reads; of the others, Python is the writer alone (`spec/vectors/check.py`).
const READ_BY_PYTHON: [&str; 5] = ["escrow", "list", "map", "segment", "tree"];
/// The lists of a file that hold cases to be refused by their very place.
const REJECTED: &str = "rejected";

/// How many cases a file has, and how many of them must be refused.
fn counted(file: &Value) -> (usize, usize) {
    let lists = file.as_object().expect("an object").iter().filter_map(|(name, list)| Some((name, list.as_array()?)));
    let (mut all, mut negative) = (0, 0);
    for (name, cases) in lists {
        all += cases.len();
        negative += cases
            .iter()
            .filter(|case| match (&case["expect"], &case["ok"]) {
                (Value::String(word), Value::Null) => word == "error",
                (Value::Null, Value::Bool(ok)) => !ok,
                (Value::Null, Value::Null) => name == REJECTED,
                other => panic!("{name}: {other:?}"),
            })
            .count();
    }
    (all, negative)
}

#[test]
fn three_quarters_of_every_file_of_vectors_are_negative() {
    let found = files("vectors", &[".json"]);
    assert!(found.len() >= 15, "the vectors were found");
    for path in found {
        let (all, negative) = counted(&serde_json::from_str(&read(&path)).expect("JSON"));
        assert!(all >= 8 && negative * 4 >= all * 3, "{}: {negative} of {all} are negative", path.display());
        assert!(negative < all, "{}: nothing is accepted", path.display());
    }
}

#[test]
fn all_vectors_are_read_by_rust_and_by_python_what_its_decryptor_reads() {
    let rust: Vec<String> = files("crates", &[".rs"]).iter().map(|path| read(path)).collect();
    let python = read(&root().join("spec/vectors/check.py"));
    // The reader names what it reads, and writes nothing.
    let writes = |path: &&PathBuf| path.file_name().is_some_and(|name| name != "check.py");
    let writers: String = files("spec/vectors", &[".py"]).iter().filter(writes).map(|path| read(path)).collect();
    for path in files("vectors", &[".json"]) {
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let named = format!("vectors/{name}.json");
        assert!(rust.iter().any(|text| text.contains(&named)), "{named} is read by no Rust");
        let quoted = format!("\"{name}\"");
        assert!(writers.contains(&quoted) || writers.contains(&format!("{name}.json")), "{named} has no writer");
        assert_eq!(python.contains(&quoted), READ_BY_PYTHON.contains(&name), "{named} and the decryptor");
    }
}
