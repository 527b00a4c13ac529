//! Work that waits: the keeper's, and what takes the depot.

use crate::Client;
use crate::depots::Repair;
use crate::seat::unexpected;
use crate::verify::{JOB, Share};
use crate::watch::Watch;
use api::wire::{Answer, Command, JobBy, JobItem, JobRan, JobsRan, Problem};

impl Client {
    /// Runs the jobs that are due, or one of them whether it is due or not.
    ///
    /// # Errors
    /// `bad-request` for a job that does not exist; `denied`. A job that fails says so in the answer.
    pub fn jobs_run(&self, name: Option<&str>, watch: &dyn Watch) -> Result<JobsRan, Problem> {
        let mut ran = match self.seat().call(Command::JobsRun { name: name.map(str::to_owned) })? {
            Answer::JobsRan(ran) => ran,
            other => return Err(unexpected(&other)),
        };
        let ours = |job: &JobItem| job.by == JobBy::Client && name.map_or(job.overdue, |name| name == job.name);
        for job in self.jobs()?.items.into_iter().filter(ours) {
            let (done, failed) = match job.name.as_str() {
                JOB => self.looked_at(watch),
                crate::depots::JOB => self.copied(watch),
                _ => (0, Some("this program does not know how to run it".to_owned())),
            };
            ran.items.push(JobRan { name: job.name, done, failed });
        }
        Ok(ran)
    }

    /// What the depots lacked: how many objects were copied, and what is in the way.
    fn copied(&self, watch: &dyn Watch) -> (u64, Option<String>) {
        match self.depot_copy(None, watch) {
            Ok(report) => (report.copied(), report.first_failure()),
            Err(problem) => (0, Some(problem.to_string())),
        }
    }

    /// A sample of what is read, and of each depot alone where there are several, because reading hides what one of them lacks: how many
    /// objects were looked at, and what is wrong.
    fn looked_at(&self, watch: &dyn Watch) -> (u64, Option<String>) {
        let (objects, wrong) = self.looked_at_all(watch);
        if wrong.is_some() || self.depots().all().len() < 2 {
            return (objects, wrong);
        }
        match self.depot_check(None, Some(Share::OF_THE_JOB), Repair::No, watch) {
            Ok(report) => (objects, report.first_failure()),
            Err(problem) => (objects, Some(problem.to_string())),
        }
    }

    fn looked_at_all(&self, watch: &dyn Watch) -> (u64, Option<String>) {
        match self.verify_sample(&[], Share::OF_THE_JOB, watch) {
            Ok(report) if report.ok => (report.checked.objects, None),
            Ok(report) => {
                let first = report.failures.first().map(|failure| failure.what.clone()).unwrap_or_default();
                (report.checked.objects, Some(format!("{first}: see strongroom verify --all")))
            }
            Err(problem) => (0, Some(problem.to_string())),
        }
    }
}
