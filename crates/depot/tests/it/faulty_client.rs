//! A bucket client that fails as a plan says, over an in-memory bucket.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartId, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use testkit::fault::Plan;

/// Faults: `refuse` (fails, does nothing), `lose-ack` (works, then fails), `repeat` (done twice, the second answer counts), `torn` (a completion
/// that says yes and keeps a part of the bytes), `lie` (a completion that says yes and does nothing), `flip`, `short` and `long` bodies, `shifted` (another range), `stale-list`.
#[derive(Debug, Clone)]
pub struct FaultyClient {
    bucket: Arc<InMemory>,
    pub plan: Arc<Plan>,
}

impl FaultyClient {
    pub fn new(plan: Plan) -> Self {
        Self { bucket: Arc::new(InMemory::new()), plan: Arc::new(plan) }
    }

    fn refuse(&self) -> Result<()> {
        self.plan.strike("refuse").map_or(Ok(()), |_| Err(struck()))
    }

    fn lose<T>(&self, answer: T) -> Result<T> {
        self.plan.strike("lose-ack").map_or(Ok(answer), |_| Err(struck()))
    }
}

impl fmt::Display for FaultyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyClient")
    }
}

fn struck() -> Error {
    Error::Generic { store: "faulty", source: "a fault of the test's plan struck".into() }
}

#[async_trait]
impl ObjectStore for FaultyClient {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.refuse()?;
        let first = self.bucket.put_opts(location, payload.clone(), opts.clone()).await?;
        if self.plan.strike("repeat").is_some() {
            return self.bucket.put_opts(location, payload, opts).await;
        }
        self.lose(first)
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.bucket.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.refuse()?;
        let head = options.head;
        let answer = self.bucket.get_opts(location, options).await?;
        if head {
            return self.lose(answer);
        }
        let (meta, mut range) = (answer.meta.clone(), answer.range.clone());
        let mut bytes = answer.bytes().await?.to_vec();
        if let Some(shape) = self.plan.strike("flip")
            && !bytes.is_empty()
        {
            let at = (shape >> 3) as usize % bytes.len();
            bytes[at] ^= 1 << (shape & 7);
        }
        if let Some(shape) = self.plan.strike("short") {
            bytes.truncate((shape as usize).checked_rem(bytes.len()).unwrap_or(0));
        } else if self.plan.strike("long").is_some() {
            bytes.extend_from_slice(&[0; 100_000]);
        }
        if self.plan.strike("shifted").is_some() {
            range = range.start + 1..range.end + 1;
        }
        // In pieces, as from a network.
        let pieces: Vec<Result<Bytes>> = bytes.chunks(10_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let payload = GetResultPayload::Stream(stream::iter(pieces).boxed());
        Ok(GetResult { payload, meta, range, attributes: Default::default(), extensions: Default::default() })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let inner = self.bucket.delete_stream(locations);
        inner.and_then(move |path| futures::future::ready(this.refuse().and_then(|()| this.lose(path)))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if let Err(error) = self.refuse() {
            return stream::iter([Err(error)]).boxed();
        }
        let stale = self.plan.strike("stale-list").map_or(usize::MAX, |shape| shape as usize % 3);
        self.bucket.list(prefix).take(stale).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.bucket.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.bucket.copy_opts(from, to, options).await
    }
}

#[async_trait]
impl MultipartStore for FaultyClient {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        self.refuse()?;
        let id = self.bucket.create_multipart(path).await?;
        self.lose(id)
    }

    async fn put_part(&self, path: &Path, id: &MultipartId, index: usize, data: PutPayload) -> Result<PartId> {
        self.refuse()?;
        let part = self.bucket.put_part(path, id, index, data.clone()).await?;
        if self.plan.strike("repeat").is_some() {
            return self.bucket.put_part(path, id, index, data).await;
        }
        self.lose(part)
    }

    async fn complete_multipart(&self, path: &Path, id: &MultipartId, parts: Vec<PartId>) -> Result<PutResult> {
        self.refuse()?;
        if self.plan.strike("lie").is_some() {
            return Ok(PutResult { e_tag: None, version: None, extensions: Default::default() });
        }
        let done = self.bucket.complete_multipart(path, id, parts).await?;
        if let Some(shape) = self.plan.strike("torn") {
            let whole = self.bucket.get(path).await?.bytes().await?;
            let cut = whole.slice(..shape as usize % whole.len());
            return self.bucket.put(path, cut.into()).await;
        }
        if self.plan.strike("repeat").is_some() {
            return Err(Error::NotFound { path: path.to_string(), source: "the upload is gone".into() });
        }
        self.lose(done)
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        self.bucket.abort_multipart(path, id).await
    }
}
