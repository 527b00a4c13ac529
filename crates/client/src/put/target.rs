//! Where new segments go: one pack, its objects registered with the keeper before they are uploaded.

use crate::seat::Seat;
use crate::{fault, seat};
use api::terms::{ObjectId, VersionId};
use api::wire::{Answer, Command, Problem};
use depot::sealed::SegmentWriter;
use depot::{Key, Store};
use seal::Suite;
use seal::secret::PackKey;
use seal::segment::SegmentContext;
use std::sync::Arc;

/// The pack of this put.
pub(super) struct Target<'a> {
    pub(super) seat: &'a Seat,
    pub(super) store: &'a dyn Store,
    pub(super) vault: [u8; 16],
    pub(super) version: VersionId,
    pub(super) suite: Suite,
    pub(super) pack: [u8; 16],
    pub(super) key: Arc<PackKey>,
    /// An object registered when the version was opened, for the first segment.
    pub(super) first: Option<ObjectId>,
}

impl Target<'_> {
    /// Starts a segment.
    pub(super) fn start(&mut self, index: u32) -> Result<(SegmentWriter, [u8; 16]), Problem> {
        let object = match self.first.take() {
            Some(object) => object,
            None => self.register()?,
        };
        let context = SegmentContext { vault: self.vault, pack: self.pack, index };
        let key = Key::new(self.vault, *object.as_bytes());
        let writer = SegmentWriter::create(self.store, &key, self.suite, &self.key, &context);
        Ok((writer.map_err(|e| fault::sealed("cannot start a segment", &e))?, *object.as_bytes()))
    }

    fn register(&self) -> Result<ObjectId, Problem> {
        let object = random_object()?;
        match self.seat.call(Command::Extend { version: self.version, objects: vec![object] })? {
            Answer::Done => Ok(object),
            other => Err(seat::unexpected(&other)),
        }
    }
}

/// A fresh name for an object.
pub(super) fn random_object() -> Result<ObjectId, Problem> {
    Ok(ObjectId::from_bytes(random()?))
}

/// 16 random bytes.
pub(super) fn random() -> Result<[u8; 16], Problem> {
    seal::entropy::array().map_err(|e| fault::internal("cannot draw an id", e))
}
