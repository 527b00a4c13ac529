//! Who may, and who did: questions of those who answer for data, for access and for the log.

mod can;
mod did;
mod then;

pub(crate) use can::who_can;
pub(crate) use did::who_did;
