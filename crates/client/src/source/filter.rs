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
}
