//! The way to the keeper.

use api::terms::{PrincipalId, SessionId};
use api::wire::{Answer, Command, Problem, VaultInfo};

/// A session with a keeper, in process or over a network.
pub trait Connection: Send + Sync + std::fmt::Debug {
    /// What was pinned at enrolment.
    fn info(&self) -> &VaultInfo;
    /// Who acts.
    fn principal(&self) -> PrincipalId;
    /// The session, whose key signs requests.
    fn session(&self) -> SessionId;
    /// Answers one command.
    ///
    /// # Errors
    /// The keeper's refusal, or why it could not be reached.
    fn call(&self, command: Command) -> Result<Answer, Problem>;
    /// Adds a root to the vault: only where its keeper is in this process, so that nothing that opens it is sent anywhere.
    ///
    /// # Errors
    /// The keeper's refusal.
    #[cfg(feature = "embedded")]
    fn add_root(&self, _: &keeper::vault::RootAdd) -> Result<api::wire::RootAdded, Problem> {
        let why = "a root is added where the vault is opened";
        Err(Problem::new(api::terms::Code::Unsupported, "the root was refused", why))
    }
    /// Makes an escrow: only where its keeper is in this process, so that no share is sent anywhere.
    ///
    /// # Errors
    /// The keeper's refusal.
    #[cfg(feature = "embedded")]
    fn create_escrow(
        &self,
        _: &keeper::vault::EscrowWanted,
        _: &mut dyn FnMut(api::terms::KeyId, &keeper::vault::Shares) -> Result<(), Problem>,
    ) -> Result<api::wire::EscrowMade, Problem> {
        let why = "an escrow is made where the vault is opened";
        Err(Problem::new(api::terms::Code::Unsupported, "the escrow was refused", why))
    }
    /// Proves that shares bring everything back: only where its keeper is in this process.
    ///
    /// # Errors
    /// The keeper's refusal.
    #[cfg(feature = "embedded")]
    fn rehearse_escrow(&self, _: &keeper::vault::Shares) -> Result<api::wire::EscrowRehearsed, Problem> {
        let why = "shares are rehearsed where the vault is opened";
        Err(Problem::new(api::terms::Code::Unsupported, "the shares were refused", why))
    }
    /// How long the vault stays unlocked, if that is an agent's doing.
    fn unlocked(&self) -> Option<&crate::agent::Unlocked> {
        None
    }
    /// The depots, if they were told with the session's beginning.
    fn depots(&self) -> Option<&api::wire::DepotList> {
        None
    }
    /// Ends the session: what is pending in the log is integrated.
    ///
    /// # Errors
    /// When that cannot be done now; nothing is lost by it.
    fn close(self: Box<Self>) -> Result<(), Problem>;
}

/// A keeper in this process.
#[cfg(feature = "embedded")]
pub mod embedded {
    use super::{Answer, Command, Connection, PrincipalId, Problem, SessionId, VaultInfo};
    use keeper::{Keeper, Session};

    /// An opened vault and who acts on it.
    #[derive(Debug)]
    pub struct Embedded {
        keeper: Keeper,
        session: Session,
    }

    impl Embedded {
        /// Joins the two; the session must be of this keeper.
        pub fn new(keeper: Keeper, session: Session) -> Self {
            Self { keeper, session }
        }
    }

    impl Connection for Embedded {
        fn info(&self) -> &VaultInfo {
            self.keeper.info()
        }
        fn principal(&self) -> PrincipalId {
            self.session.principal()
        }
        fn session(&self) -> SessionId {
            self.session.id()
        }
        fn call(&self, command: Command) -> Result<Answer, Problem> {
            self.keeper.call(&self.session, command)
        }
        fn add_root(&self, wanted: &keeper::vault::RootAdd) -> Result<api::wire::RootAdded, Problem> {
            self.keeper.add_root(&self.session, wanted)
        }
        fn create_escrow(
            &self,
            wanted: &keeper::vault::EscrowWanted,
            hand_out: &mut dyn FnMut(api::terms::KeyId, &keeper::vault::Shares) -> Result<(), Problem>,
        ) -> Result<api::wire::EscrowMade, Problem> {
            self.keeper.create_escrow(&self.session, wanted, hand_out)
        }
        fn rehearse_escrow(&self, shares: &keeper::vault::Shares) -> Result<api::wire::EscrowRehearsed, Problem> {
            self.keeper.rehearse_escrow(&self.session, shares)
        }
        fn close(self: Box<Self>) -> Result<(), Problem> {
            self.keeper.close()
        }
    }
}
