//! What a thread does with a block: read, verify, decrypt, write.

use super::feed::Block;
use crate::dest::{LastFolder, Stage};
use crate::fault;
use api::wire::Problem;
use depot::sealed::Scratch;
use zeroize::Zeroizing;

/// One thread's buffers.
pub(super) struct Worker<'a> {
    stage: Option<&'a Stage>,
    folder: LastFolder,
    /// Wiped at the end, and never grown in place, which would leave a copy behind.
    buffer: Zeroizing<Vec<u8>>,
    scratch: Scratch,
}

impl<'a> Worker<'a> {
    pub(super) fn new(stage: Option<&'a Stage>) -> Self {
        Self { stage, folder: LastFolder::default(), buffer: Zeroizing::default(), scratch: Scratch::default() }
    }

    /// Writes a block's files; answers how many bytes that were.
    pub(super) fn process(&mut self, block: Block) -> Result<u64, Problem> {
        let outside = || fault::internal("cannot read a segment", "a part outside the block");
        let len = usize::try_from(block.len).map_err(|_| outside())?;
        if self.buffer.len() < len {
            self.buffer = Zeroizing::new(vec![0; len]);
        }
        let plain = self.buffer.get_mut(..len).ok_or_else(outside)?;
        block
            .reader
            .read(block.start, plain, &mut self.scratch)
            .map_err(|e| fault::sealed("cannot read a segment", &e))?;
        let mut bytes = 0;
        for part in &block.parts {
            let (from, to) = (part.at as usize, (part.at + part.len) as usize);
            let plain = plain.get(from..to).ok_or_else(outside)?;
            part.file.write(part.offset, plain, self.stage, &mut self.folder)?;
            bytes += part.len;
        }
        Ok(bytes)
    }
}
