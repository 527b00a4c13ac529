//! Compromised keys, and what is done about them.

use crate::Client;
use crate::seat::unexpected;
use api::terms::{Code, IncidentId};
use api::wire::{Answer, Command, EvidenceWritten, IncidentDone, IncidentList, IncidentTold, KeyCompromise, Problem};
use std::path::Path;

impl Client {
    /// Marks a key as compromised, or goes on with what followed.
    ///
    /// # Errors
    /// `denied`, `not-found`; `conflict` for one of the vault's own keys.
    pub fn key_compromise(&self, wanted: KeyCompromise) -> Result<IncidentTold, Problem> {
        self.incident_told(Command::KeyCompromise(wanted))
    }

    /// The incidents of which the caller may know, newest first.
    ///
    /// # Errors
    /// The keeper's refusal.
    pub fn incidents(&self) -> Result<IncidentList, Problem> {
        match self.seat().call(Command::Incidents)? {
            Answer::Incidents(list) => Ok(list),
            other => Err(unexpected(&other)),
        }
    }

    /// The one incident whose id, or whose key's, begins so.
    ///
    /// # Errors
    /// `not-found`; `conflict` if several do.
    pub fn incident_named(&self, text: &str) -> Result<IncidentId, Problem> {
        if let Ok(id) = text.parse::<IncidentId>()
            && self.incident(id).is_ok()
        {
            return Ok(id);
        }
        let what = format!("no incident `{}`", text.chars().take(64).collect::<String>());
        let items = self.incidents()?.items;
        let begins = |id: &dyn ToString| !text.is_empty() && id.to_string().starts_with(text);
        let mut hits = items.into_iter().filter(|item| begins(&item.id) || begins(&item.key));
        match (hits.next(), hits.next()) {
            (Some(item), None) => Ok(item.id),
            (Some(_), Some(_)) => Err(Problem::new(Code::Conflict, what, "several ids begin so")),
            _ => Err(Problem::new(Code::NotFound, what, "no incident has this id, and none is of a key with it")
                .with_try("strongroom incident ls")),
        }
    }

    /// One incident.
    ///
    /// # Errors
    /// `denied`, `not-found`.
    pub fn incident(&self, incident: IncidentId) -> Result<IncidentTold, Problem> {
        self.incident_told(Command::IncidentShow { incident })
    }

    /// Says that a step was done by people.
    ///
    /// # Errors
    /// `denied`, `not-found`; `bad-request` for a step that the keeper sees for itself; `conflict` if it is closed.
    pub fn incident_done(&self, done: IncidentDone) -> Result<IncidentTold, Problem> {
        self.incident_told(Command::IncidentDone(done))
    }

    /// Closes an incident.
    ///
    /// # Errors
    /// `denied`, `not-found`; `conflict` while a step is open.
    pub fn incident_close(&self, incident: IncidentId) -> Result<IncidentTold, Problem> {
        self.incident_told(Command::IncidentClose { incident })
    }

    /// Writes the evidence to a new file.
    ///
    /// # Errors
    /// `denied`, `not-found`; `integrity` if the log does not give again what was written down.
    pub fn incident_evidence(&self, incident: IncidentId, file: &Path) -> Result<EvidenceWritten, Problem> {
        let whole = std::path::absolute(file).ok().and_then(|path| path.into_os_string().into_string().ok());
        let file = whole
            .ok_or_else(|| Problem::new(Code::BadRequest, "the evidence cannot be written", "the path is not UTF-8"))?;
        match self.seat().call(Command::IncidentEvidence { incident, file })? {
            Answer::Evidence(written) => Ok(written),
            other => Err(unexpected(&other)),
        }
    }

    fn incident_told(&self, command: Command) -> Result<IncidentTold, Problem> {
        match self.seat().call(command)? {
            Answer::Incident(told) => Ok(*told),
            other => Err(unexpected(&other)),
        }
    }
}
