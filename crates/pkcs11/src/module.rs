//! Modules of this process, and who is logged in.
//!
//! A PKCS#11 module is started, and a user logged in, once for a whole process. So modules are shared, stay loaded until the process
//! ends (to unload one under threads is not safe), and are stopped only while nobody uses them: that ends every session.

use super::answer;
use super::error::{Result, TokenError, Tries};
use super::{LastTry, MAX_PIN_LEN, Place};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::RawAuthPin;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A user PIN.
pub(super) struct Pin(Zeroizing<Vec<u8>>);

impl Pin {
    pub(super) fn new(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() || bytes.len() > MAX_PIN_LEN {
            return Err(TokenError::PinShape);
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }
}

/// A module, loaded.
pub(super) struct Module {
    pub(super) pkcs11: Pkcs11,
    users: Mutex<Users>,
}

/// Who uses a module.
#[derive(Default)]
struct Users {
    seats: usize,
    logins: Vec<(Slot, Weak<Login>)>,
}

/// The right to call a module. Sessions end before it.
pub(super) struct Seat(Arc<Module>);

/// With which PIN this process is logged in: a second login is answered without a look at the PIN.
pub(super) struct Login(Arc<Pin>);

type Shelf = BTreeMap<PathBuf, Arc<Mutex<Option<Arc<Module>>>>>;
static MODULES: LazyLock<Mutex<Shelf>> = LazyLock::new(Mutex::default);

impl Drop for Seat {
    fn drop(&mut self) {
        let mut users = self.0.users();
        users.seats = users.seats.saturating_sub(1);
    }
}

impl std::ops::Deref for Seat {
    type Target = Module;
    fn deref(&self) -> &Module {
        &self.0
    }
}

/// Whether the module has just read its configuration.
#[derive(PartialEq, Eq)]
enum Known {
    Fresh,
    Before,
}

impl Seat {
    /// Loads the module that a place names, and finds its token.
    ///
    /// Some modules, SoftHSM among them, learn of tokens that came only when they start. So where the token is missing and nobody
    /// else in this process uses the module, it is started again.
    pub(super) fn find(place: &Place) -> Result<(Self, (Slot, TokenInfo))> {
        let module = Module::load(&place.module)?;
        let (seat, known) = module.sit()?;
        match seat.slot(place) {
            Err(TokenError::Missing(_)) if known == Known::Before => {
                drop(seat);
                module.restart()?;
                let (seat, _) = module.sit()?;
                let at = seat.slot(place)?;
                Ok((seat, at))
            }
            other => other.map(|at| (seat, at)),
        }
    }
}

impl Module {
    /// Loads a module, or finds it loaded.
    fn load(path: &Path) -> Result<Arc<Self>> {
        if !path.is_absolute() {
            return Err(TokenError::ModulePath(path.to_owned()));
        }
        let real = trusted(path)?;
        let place = {
            let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(modules.entry(real.clone()).or_default())
        };
        // Each module has its own lock, because what is loaded may hang.
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = place.as_ref() {
            return Ok(Arc::clone(module));
        }
        let pkcs11 = Pkcs11::new(&real).map_err(|error| match error {
            Error::LibraryLoading(why) => TokenError::ModuleLoad { path: path.to_owned(), why: why.to_string() },
            Error::MissingSymbol(_) | Error::NullFunctionPointer => TokenError::NotAModule(path.to_owned()),
            other => answer::plain(other),
        })?;
        let module = Arc::new(Self { pkcs11, users: Mutex::default() });
        *place = Some(Arc::clone(&module));
        Ok(module)
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the module where it is not, each time: others in the process may have stopped it.
    fn sit(self: &Arc<Self>) -> Result<(Seat, Known)> {
        let mut users = self.users();
        let known = match self.pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) => Known::Fresh,
            Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Known::Before,
            Err(error) => return Err(answer::plain(error)),
        };
        users.seats = users.seats.saturating_add(1);
        Ok((Seat(Arc::clone(self)), known))
    }

    /// Stops the module, if nobody sits.
    fn restart(&self) -> Result<()> {
        let users = self.users();
        if users.seats > 0 {
            return Ok(());
        }
        match self.pkcs11.clone().finalize() {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiNotInitialized, _)) => Ok(()),
            Err(error) => Err(answer::plain(error)),
        }
    }

    /// The one slot whose token a place names.
    fn slot(&self, place: &Place) -> Result<(Slot, TokenInfo)> {
        let mut found = None;
        for slot in self.pkcs11.get_slots_with_token().map_err(answer::plain)? {
            // Tokens of others may be ill, or leave just now.
            let Ok(info) = self.pkcs11.get_token_info(slot) else { continue };
            let serial = place.serial.as_deref().is_none_or(|serial| serial == info.serial_number());
            if !info.token_initialized() || info.label() != place.token || !serial {
                continue;
            }
            if found.replace((slot, info)).is_some() {
                return Err(TokenError::Ambiguous(place.token.clone()));
            }
        }
        found.ok_or_else(|| TokenError::Missing(place.token.clone()))
    }

    /// Logs in, once.
    pub(super) fn login(
        &self,
        session: &Session,
        (slot, info): &(Slot, TokenInfo),
        pin: &Arc<Pin>,
        last: LastTry,
    ) -> Result<Arc<Login>> {
        if info.user_pin_locked() {
            return Err(TokenError::PinLocked);
        }
        let mut users = self.users();
        users.logins.retain(|(_, login)| login.strong_count() > 0);
        let known = users.logins.iter().filter(|(of, _)| of == slot).find_map(|(_, login)| login.upgrade());
        // Where this process is logged in, no try is counted.
        if known.is_none() && info.user_pin_final_try() && last == LastTry::Refuse {
            return Err(TokenError::PinLastTry);
        }
        let shown = RawAuthPin::new(Box::new(pin.0.to_vec()));
        match session.login_with_raw(UserType::User, &shown) {
            Ok(()) => {}
            Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => match known {
                Some(known) if bool::from(known.0.0.as_slice().ct_eq(pin.0.as_slice())) => {}
                Some(_) => return Err(TokenError::PinWrong(Tries::Unknown)),
                None => return Err(TokenError::LoggedIn),
            },
            Err(error) => return Err(answer::login(error, || self.tries(*slot))),
        }
        let login = Arc::new(Login(Arc::clone(pin)));
        users.logins.push((*slot, Arc::downgrade(&login)));
        Ok(login)
    }

    fn tries(&self, slot: Slot) -> Tries {
        match self.pkcs11.get_token_info(slot) {
            Ok(info) if info.user_pin_locked() => Tries::None,
            Ok(info) if info.user_pin_final_try() => Tries::Last,
            Ok(info) if info.user_pin_count_low() => Tries::Few,
            _ => Tries::Unknown,
        }
    }
}

/// The file behind a path, which only root and this user can change. The folders above it are theirs to guard.
fn trusted(path: &Path) -> Result<PathBuf> {
    let missing =
        |error: std::io::Error| TokenError::ModuleLoad { path: path.to_owned(), why: error.kind().to_string() };
    let real = path.canonicalize().map_err(missing)?;
    let about = std::fs::metadata(&real).map_err(missing)?;
    let ours = [0, rustix::process::geteuid().as_raw()].contains(&about.uid());
    if !ours || about.mode() & 0o022 != 0 { Err(TokenError::ModuleTrust(path.to_owned())) } else { Ok(real) }
}
