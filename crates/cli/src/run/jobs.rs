//! `jobs`.

use super::Context;
use crate::args::JobsCommand;
use crate::output::{Failure, table};
use api::wire::{JobItem, JobList, JobRan};

pub fn jobs(context: &Context, command: &JobsCommand) -> Result<u8, Failure> {
    context.with(|client| match command {
        JobsCommand::Ls => {
            let jobs = client.jobs()?;
            context.output.list("jobs", &jobs, "items", || jobs_text(&jobs.items))?;
            Ok(0)
        }
        JobsCommand::Run { name } => {
            if context.global.dry_run {
                let due = |job: &JobItem| name.as_ref().map_or(job.overdue, |name| *name == job.name);
                let jobs = JobList { items: client.jobs()?.items.into_iter().filter(due).collect() };
                context.output.list("jobs", &jobs, "items", || jobs_text(&jobs.items))?;
                return Ok(0);
            }
            let terminal = context.terminal();
            let ran = client.jobs_run(name.as_deref(), &terminal);
            terminal.clear();
            let ran = ran?;
            context.output.list("jobs-ran", &ran, "items", || ran_text(&ran.items))?;
            Ok(u8::from(ran.items.iter().any(|job| job.failed.is_some())))
        }
    })
}

fn jobs_text(items: &[JobItem]) -> String {
    let row = |job: &JobItem| {
        let due = match job.due {
            Some(_) if job.overdue => "now".to_owned(),
            Some(due) => due.to_string(),
            None => "-".to_owned(),
        };
        vec![job.name.clone(), due, job.about.clone()]
    };
    table(&["job", "due", "what it does"], &items.iter().map(row).collect::<Vec<_>>())
}

fn ran_text(items: &[JobRan]) -> String {
    if items.is_empty() {
        return "nothing was due\n".to_owned();
    }
    let row = |job: &JobRan| {
        let outcome = job.failed.clone().unwrap_or_else(|| "done".to_owned());
        vec![job.name.clone(), outcome, job.done.to_string()]
    };
    table(&["job", "outcome", "done"], &items.iter().map(row).collect::<Vec<_>>())
}
