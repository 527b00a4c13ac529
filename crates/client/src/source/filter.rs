//! `--include` and `--exclude`.

use super::as_path;
use globset::{Candidate, Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// Which entries of a folder are put. A pattern without a slash matches a name at any depth; `*` stops at a slash, `**` does not.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    include: Option<GlobSet>,
    exclude: Option<GlobSet>,
}

/// A pattern that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad pattern `{glob}`: {why}")]
pub struct BadGlob {
    /// The pattern, cut to 100 characters.
    pub glob: String,
    /// What is wrong with it.
    pub why: String,
}

/// The most patterns of one kind.
const MAX_GLOBS: usize = 1_000;

impl Filter {
    /// From patterns; no `include` at all means everything.
    ///
    /// # Errors
    /// [`BadGlob`] names the pattern.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, BadGlob> {
        Ok(Self { include: set(include)?, exclude: set(exclude)? })
    }

    /// Whether this path and everything below it is left out.
    pub fn excludes(&self, path: &[u8]) -> bool {
        self.exclude.as_ref().is_some_and(|set| set.is_match_candidate(&Candidate::new(as_path(path))))
    }

    /// Whether only what matches is wanted.
    pub fn chooses(&self) -> bool {
        self.include.is_some()
    }

    /// Whether a file, link or folder of this path is wanted.
    pub fn includes(&self, path: &[u8]) -> bool {
        self.include.as_ref().is_none_or(|set| set.is_match_candidate(&Candidate::new(as_path(path))))
    }
}

fn set(globs: &[String]) -> Result<Option<GlobSet>, BadGlob> {
    if globs.is_empty() {
        return Ok(None);
    }
    let bad = |glob: &str, why: String| BadGlob { glob: glob.chars().take(100).collect(), why };
    if globs.len() > MAX_GLOBS {
        return Err(bad("...", format!("more than {MAX_GLOBS} patterns")));
    }
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        let text = glob.trim_end_matches('/').trim_start_matches("./");
        let anchored = if text.contains('/') { text.trim_start_matches('/').to_owned() } else { format!("**/{text}") };
        builder.add(parsed(&anchored).map_err(|e| bad(glob, e.kind().to_string()))?);
        builder.add(parsed(&format!("{anchored}/**")).map_err(|e| bad(glob, e.kind().to_string()))?);
    }
    builder.build().map(Some).map_err(|e| bad("...", e.kind().to_string()))
}

fn parsed(glob: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(glob).literal_separator(true).build()
}

#[cfg(test)]
mod tests {
    use super::{BadGlob, Filter};
    use proptest::prelude::*;

    #[test]
    fn names_match_at_any_depth_and_paths_from_the_root() -> Result<(), BadGlob> {
        let filter = Filter::new(&[], &["*.tmp".into(), "/build".into(), "a/*/c".into(), ".git".into()])?;
        for out in ["x.tmp", "d/e/x.tmp", "build", "build/x/y", "a/b/c", "a/b/c/d", "sub/.git/config"] {
            assert!(filter.excludes(out.as_bytes()), "{out}");
        }
        for kept in ["x.tmpl", "a/b/d", "a/b/b/c", "git"] {
            assert!(!filter.excludes(kept.as_bytes()), "{kept}");
        }
        assert!(filter.includes(b"anything"));
        Ok(())
    }

    #[test]
    fn includes_keep_only_what_matches() -> Result<(), BadGlob> {
        let filter = Filter::new(&["*.bin".into()], &[])?;
        assert!(filter.includes(b"a/b.bin") && filter.includes(b"\xff.bin") && !filter.includes(b"a/b.txt"));
        Ok(())
    }

    #[test]
    fn a_bad_pattern_is_named() {
        assert_eq!(Filter::new(&["[".into()], &[]).err().map(|e| e.glob), Some("[".into()));
    }

    /// Few letters, so that names meet patterns.
    fn names() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[ab.]{1,3}", 1..5)
    }

    fn globs() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("(/|\\./)?[ab.*?]{1,3}(/[ab*]{1,2}){0,2}/?", 1..4)
    }

    proptest! {
        #[test]
        fn what_lies_in_an_excluded_folder_is_excluded(globs in globs(), names in names(), below in names()) {
            let filter = Filter::new(&[], &globs).unwrap();
            let folder = names.join("/");
            if filter.excludes(folder.as_bytes()) {
                let inside = format!("{folder}/{}", below.join("/"));
                prop_assert!(filter.excludes(inside.as_bytes()), "{:?}: {} is out, {} is not", globs, folder, inside);
            }
        }

        #[test]
        fn a_name_as_pattern_matches_it_anywhere_and_nothing_else(name in "[ab]{1,3}", names in names()) {
            let filter = Filter::new(&[], std::slice::from_ref(&name)).unwrap();
            let path = names.join("/");
            prop_assert_eq!(filter.excludes(path.as_bytes()), names.contains(&name), "{} in {}", name, path);
            let rooted = Filter::new(&[], &[format!("/{name}")]).unwrap();
            prop_assert_eq!(rooted.excludes(path.as_bytes()), names.first() == Some(&name), "/{} in {}", name, path);
        }

        #[test]
        fn including_chooses_what_excluding_leaves_out(globs in globs(), names in names()) {
            let (include, exclude) = (Filter::new(&globs, &[]).unwrap(), Filter::new(&[], &globs).unwrap());
            let path = names.join("/");
            prop_assert_eq!(include.includes(path.as_bytes()), exclude.excludes(path.as_bytes()));
            prop_assert!(!include.excludes(path.as_bytes()) && exclude.includes(path.as_bytes()));
        }

        #[test]
        fn any_text_is_a_pattern_or_refused_by_name(glob in ".{0,40}", names in prop::collection::vec("[^/\0]{1,6}", 1..4)) {
            match Filter::new(std::slice::from_ref(&glob), &[]) {
                Ok(filter) => prop_assert!(!filter.excludes(names.join("/").as_bytes()), "only what is excluded is left out"),
                Err(bad) => prop_assert_eq!(bad.glob, glob),
            }
        }
    }
}
