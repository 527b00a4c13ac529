//! One login to one token: made, lost, made again.

use super::answer;
use super::error::{Result, TokenError};
use super::gcm::{Counts, Gcm, Secret};
use super::module::{Login, Module, Pin, Seat};
use super::wrapped::Wrapped;
use super::{LastTry, Place, SECRET_LEN, Settings, gcm, key};
use cryptoki::mechanism::MechanismType;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki::slot::{Slot, TokenInfo};
use std::sync::Arc;

/// Lives in the worker's thread.
pub(super) struct Link {
    place: Place,
    pin: Option<Arc<Pin>>,
    /// Why the PIN was forgotten.
    barred: Option<TokenError>,
    last_try: LastTry,
    open: Option<Open>,
    gcm: Gcm,
    counts: Arc<Counts>,
}

/// Ends in this order.
struct Open {
    session: Session,
    key: ObjectHandle,
    slot: Slot,
    _login: Arc<Login>,
    seat: Seat,
}

impl Link {
    fn new(place: Place, pin: Arc<Pin>, settings: Settings, counts: Arc<Counts>) -> Self {
        let last_try = settings.last_try;
        Self { place, pin: Some(pin), barred: None, last_try, open: None, gcm: Gcm::new(), counts }
    }

    pub(super) fn open(place: Place, pin: Arc<Pin>, settings: Settings, counts: Arc<Counts>) -> Result<Self> {
        let mut link = Self::new(place, pin, settings, counts);
        link.connect()?;
        Ok(link)
    }

    /// Makes the key that `place` names. One that does not wrap and unwrap is destroyed.
    pub(super) fn create(place: Place, pin: Arc<Pin>, settings: Settings, counts: Arc<Counts>) -> Result<Self> {
        let mut link = Self::new(place, pin, settings, counts);
        let (seat, at) = Seat::find(&link.place)?;
        check_mechanism(&seat, at.0)?;
        link.place.serial = Some(at.1.serial_number().to_owned());
        let session = seat.pkcs11.open_rw_session(at.0).map_err(answer::plain)?;
        let _login = link.login(&seat, &session, &at)?;
        key::make(&session, &link.place.key)?;
        match link.connect().and_then(|()| link.prove()) {
            Ok(()) => Ok(link),
            Err(error) => {
                // By id alone: a key that is unfit is found too.
                if let Ok(key) = key::only(&session, &link.place.key) {
                    let _ = session.destroy_object(key);
                }
                Err(error)
            }
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn wrap(&mut self, context: &[u8], secret: &[u8; SECRET_LEN]) -> Result<Vec<u8>> {
        self.twice(|gcm, counts, open| gcm.wrap((&open.session, open.key), counts, context, secret))
            .map(|wrapped| wrapped.encode())
    }

    pub(super) fn unwrap(&mut self, context: &[u8], wrapped: &Wrapped) -> Result<Secret> {
        self.twice(|gcm, counts, open| gcm.unwrap((&open.session, open.key), counts, context, wrapped))
    }

    /// Once only.
    pub(super) fn destroy_key(&mut self) -> Result<()> {
        if self.open.is_none() {
            self.connect()?;
        }
        let Some(open) = self.open.take() else { return Err(TokenError::Stopped) };
        // The login holds for every session of the process while one is open.
        let session = open.seat.pkcs11.open_rw_session(open.slot).map_err(answer::plain)?;
        session.destroy_object(open.key).map_err(answer::plain)
    }

    /// Does what changes nothing in the token, and once more on a new session where the old one was lost.
    fn twice<T>(&mut self, act: impl Fn(&mut Gcm, &Counts, &Open) -> Result<T>) -> Result<T> {
        let kept = self.open.is_some();
        let first = self.once(&act);
        match first {
            Err(error) if error.is_gone() && kept => self.once(&act),
            other => other,
        }
    }

    fn once<T>(&mut self, act: &impl Fn(&mut Gcm, &Counts, &Open) -> Result<T>) -> Result<T> {
        if self.open.is_none() {
            self.connect()?;
        }
        let Some(open) = &self.open else { return Err(TokenError::Stopped) };
        let result = act(&mut self.gcm, &self.counts, open);
        if result.as_ref().is_err_and(TokenError::is_gone) {
            self.open = None;
        }
        result
    }

    fn connect(&mut self) -> Result<()> {
        self.open = None;
        if let Some(error) = &self.barred {
            return Err(error.clone());
        }
        let (seat, at) = Seat::find(&self.place)?;
        check_mechanism(&seat, at.0)?;
        let session = seat.pkcs11.open_ro_session(at.0).map_err(answer::plain)?;
        let login = self.login(&seat, &session, &at)?;
        let key = key::find(&session, &self.place.key)?;
        self.open = Some(Open { session, key, slot: at.0, _login: login, seat });
        Ok(())
    }

    fn login(&mut self, module: &Module, session: &Session, at: &(Slot, TokenInfo)) -> Result<Arc<Login>> {
        let Some(pin) = &self.pin else { return Err(TokenError::Stopped) };
        let result = module.login(session, at, pin, self.last_try);
        if let Err(error) = &result
            && error.bars_pin()
        {
            self.pin = None;
            self.barred = Some(error.clone());
        }
        result
    }

    fn prove(&mut self) -> Result<()> {
        let (context, secret) = (b"strongroom/v1/token-proof", gcm::random()?);
        self.wrap(context, &secret).map(drop)
    }
}

/// AES-GCM with 256-bit keys, both ways.
fn check_mechanism(module: &Module, slot: Slot) -> Result<()> {
    match module.pkcs11.get_mechanism_info(slot, MechanismType::AES_GCM) {
        Ok(info) if info.encrypt() && info.decrypt() => Ok(()),
        Ok(_) | Err(cryptoki::error::Error::Pkcs11(cryptoki::error::RvError::MechanismInvalid, _)) => {
            Err(TokenError::Mechanism)
        }
        Err(error) => Err(answer::plain(error)),
    }
}
