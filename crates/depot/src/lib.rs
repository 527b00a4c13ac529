//! The data plane: where sealed bytes lie.
//!
//! [`Store`] is the contract; [`Local`] keeps objects in a folder, [`Bucket`] in an object store, [`Several`] reads what lies in more than one.
//! [`sealed`] writes and reads sealed segments over
//! either. The crate is blocking; a bucket runs its own small event loop inside.
//!
//! Guarantees: objects show whole or not at all, survive a crash once acknowledged, and are never overwritten; names cannot leave their vault's
//! prefix; no symbolic link is followed. Not guaranteed: that stored bytes come back unchanged. A depot is not trusted, and everything that matters
//! is verified above it, by [`sealed`], before a byte is given out.
//!
//! ```
//! use depot::{Key, Local, Store, Upload};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let store = Local::create(folder.path())?;
//! let key = Key::new([1; 16], [2; 16]);
//!
//! let upload = store.create(&key)?;
//! upload.write_at(6, b"bytes")?; // any order, any thread
//! upload.write_at(0, b"sealed")?;
//! upload.finish()?; // durable from here on
//!
//! let mut tail = [0; 5];
//! store.read_at(&key, 6, &mut tail)?;
//! assert_eq!(&tail, b"bytes");
//! # Ok(())
//! # }
//! ```

pub mod bucket;
pub mod error;
#[cfg(any(test, feature = "fault"))]
pub mod fault;
pub mod key;
pub mod local;
pub mod sealed;
pub mod several;
pub mod store;

pub use bucket::Bucket;
pub use error::{Error, Place, Result};
pub use key::Key;
pub use local::Local;
pub use seal::{Fault, Id};
pub use several::{Member, Missed, Several};
pub use store::{Entry, Object, Store, Sweep, Swept, Upload, finish_all};
