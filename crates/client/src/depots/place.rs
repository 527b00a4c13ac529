//! Where a depot is: a folder or a bucket, named by the user, kept by the keeper, opened here.

use crate::fault;
use api::terms::{Code, DepotKind};
use api::wire::{DepotItem, Problem};
use depot::{Bucket, Local, Store, bucket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long one of several buckets is waited for when something is read, before the next depot is asked.
const PATIENCE: Duration = Duration::from_secs(10);
/// The place of the vault's own folder.
const OWN: &str = "depot";

/// Where a depot is. How to sign in to a bucket is in the environment or in a file, and never in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A bucket.
    Bucket {
        /// `s3://bucket/prefix`.
        url: String,
        /// The service's URL; none is AWS.
        endpoint: Option<String>,
        /// The service's region.
        region: Option<String>,
        /// A file that says how to sign in, which only its owner can read; none is the environment.
        credentials: Option<PathBuf>,
    },
}

/// What goes with a bucket.
#[derive(Debug, Clone, Default)]
pub struct BucketAt {
    /// The service's URL; none is AWS.
    pub endpoint: Option<String>,
    /// The service's region.
    pub region: Option<String>,
    /// A file that says how to sign in.
    pub credentials: Option<PathBuf>,
}

/// What somebody named as a depot: `s3://bucket/prefix`, or a folder, whose path becomes absolute and free of links.
///
/// # Errors
/// `bad-request` for other URLs and for what is no text; `unavailable` if the folder above is not there.
pub fn parse(text: &str, at: BucketAt) -> Result<Place, Problem> {
    let BucketAt { endpoint, region, credentials } = at;
    let bad = |why: String| Err(Problem::new(Code::BadRequest, format!("`{text}` cannot be a depot"), why));
    if text.starts_with("s3://") {
        if text.contains('@') || endpoint.as_ref().is_some_and(|endpoint| endpoint.contains('@')) {
            return bad("it names a user, and credentials are not kept in the vault".to_owned());
        }
        let url = text.trim_end_matches('/').to_owned();
        if let Err(error) = bucket::Settings::from_url(&url) {
            return bad(error.to_string());
        }
        let credentials = match credentials {
            Some(path) if path.to_str().is_none() => {
                return bad("the path of its credentials is no UTF-8 text".to_owned());
            }
            Some(path) => Some(std::path::absolute(&path).map_err(|e| fault::io("cannot look for", &path, &e))?),
            None => None,
        };
        return Ok(Place::Bucket { url, endpoint, region, credentials });
    }
    if text.contains("://") {
        return bad("a depot is a folder or s3://BUCKET/PREFIX".to_owned());
    }
    if endpoint.is_some() || region.is_some() || credentials.is_some() {
        return bad("a folder has no endpoint, no region and no credentials".to_owned());
    }
    let path = Path::new(text);
    let io = |e: std::io::Error| fault::io("cannot look for", path, &e);
    let absolute = std::path::absolute(path).map_err(io)?;
    // The folder itself may be made yet; whatever is above it has to be there.
    let real = match (absolute.canonicalize(), absolute.parent(), absolute.file_name()) {
        (Ok(real), _, _) => real,
        (Err(_), Some(above), Some(name)) => above.canonicalize().map_err(io)?.join(name),
        (Err(error), _, _) => return Err(io(error)),
    };
    match real.to_str() {
        Some(_) => Ok(Place::Folder(real)),
        None => bad("its path is no UTF-8 text".to_owned()),
    }
}

impl Place {
    /// Where the keeper says that a depot is.
    pub(crate) fn of(item: &DepotItem, dir: &Path) -> Result<Self, Problem> {
        Ok(match item.kind {
            DepotKind::Folder if item.place == OWN => Self::Folder(dir.join(OWN)),
            DepotKind::Folder => Self::Folder(PathBuf::from(&item.place)),
            DepotKind::Bucket => {
                let (url, endpoint, region) = (item.place.clone(), item.endpoint.clone(), item.region.clone());
                Self::Bucket { url, endpoint, region, credentials: item.credentials.as_ref().map(PathBuf::from) }
            }
        })
    }

    /// What it is.
    pub(crate) const fn kind(&self) -> DepotKind {
        match self {
            Self::Folder(_) => DepotKind::Folder,
            Self::Bucket { .. } => DepotKind::Bucket,
        }
    }

    /// As it is written.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Folder(path) => path.display().to_string(),
            Self::Bucket { url, .. } => url.clone(),
        }
    }

    /// Opens it; a folder must be there. One of several is not waited for as long as the only one.
    pub(crate) fn open(&self, several: bool) -> depot::Result<Arc<dyn Store>> {
        match self {
            Self::Folder(path) => Ok(Arc::new(Local::open(path)?)),
            Self::Bucket { url, endpoint, region, credentials } => {
                let mut settings = bucket::Settings::from_url(url)?;
                settings.endpoint.clone_from(endpoint);
                if let Some(region) = region {
                    settings.region.clone_from(region);
                }
                if let Some(path) = credentials {
                    settings.credentials = bucket::Credentials::File(path.clone());
                }
                let bucket = Bucket::connect(&settings)?;
                Ok(if several { Arc::new(bucket.with_patience(PATIENCE)) } else { Arc::new(bucket) })
            }
        }
    }

    /// Opens it; a folder is made if it is not there.
    pub(crate) fn made(&self) -> depot::Result<Arc<dyn Store>> {
        match self {
            Self::Folder(path) => Ok(Arc::new(Local::create(path)?)),
            Self::Bucket { .. } => self.open(true),
        }
    }

    /// Whether one lies in the other, as far as their names tell.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Folder(one), Self::Folder(other)) => {
                let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
                let (one, other) = (real(one), real(other));
                one.starts_with(&other) || other.starts_with(&one)
            }
            (Self::Bucket { url: one, endpoint: at, .. }, Self::Bucket { url: other, endpoint: there, .. }) => {
                let inside = |inner: &str, outer: &str| {
                    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                at == there && (inside(one, other) || inside(other, one))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(url: &str, endpoint: Option<&str>) -> Place {
        parse(url, BucketAt { endpoint: endpoint.map(str::to_owned), ..BucketAt::default() }).unwrap()
    }

    #[test]
    fn a_place_that_lies_in_another_overlaps_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| parse(folder.path().join(name).to_str().unwrap(), BucketAt::default()).unwrap();
        assert!(at("a").overlaps(&at("a")) && !at("a").overlaps(&at("ab")));
        std::fs::create_dir(folder.path().join("a")).unwrap();
        assert!(at("a/b").overlaps(&at("a")) && at("a").overlaps(&at("a/b")));
        std::os::unix::fs::symlink(folder.path().join("a"), folder.path().join("link")).unwrap();
        assert!(at("link").overlaps(&at("a")), "a link is another name of it");
        let one = bucket("s3://models/team/", None);
        assert!(one.overlaps(&bucket("s3://models", None)) && one.overlaps(&bucket("s3://models/team", None)));
        assert!(!one.overlaps(&bucket("s3://models/teams", None)));
        assert!(!one.overlaps(&bucket("s3://models/team", Some("https://elsewhere.example"))));
        assert!(!one.overlaps(&at("a")));
    }

    #[test]
    fn what_cannot_be_a_depot_is_refused() {
        for bad in ["s3://", "s3://UPPER", "http://models", "gs://models"] {
            assert_eq!(parse(bad, BucketAt::default()).unwrap_err().code, Code::BadRequest, "{bad}");
        }
        let at = BucketAt { endpoint: Some("https://x.example".into()), ..BucketAt::default() };
        assert!(parse("/tmp", at).is_err(), "a folder has no endpoint");
        assert!(parse("/no/such/folder/above", BucketAt::default()).is_err());
    }
}
