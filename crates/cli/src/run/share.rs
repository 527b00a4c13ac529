//! `share`: an export for others.

use super::{Context, near};
use crate::args::ShareArgs;
use crate::output::{Failure, bytes_shown, printable};
use api::terms::Action;
use api::wire::Explain;
use client::Why;
use client::dest::Existing;
use client::share::Share;

pub fn share(context: &Context, args: ShareArgs) -> Result<u8, Failure> {
    let reference = super::data::reference(&args.reference)?;
    let why = Why { reason: Some(args.purpose), confirm: args.confirm };
    context.with(|client| {
        if context.global.dry_run {
            let question = Explain {
                reference: Some(reference.without_path().to_string()),
                reason: why.reason.clone(),
                confirm: why.confirm.clone(),
                ..Explain::of(Action::Export)
            };
            let answer = super::policy::explained(client, &question)?;
            return super::policy::answered(context, &question, &answer);
        }
        context.with_reasons(why.clone(), |why| {
            let share = Share {
                reference: reference.clone(),
                recipients: args.with.clone(),
                why: why.clone(),
                dest: args.dest.clone(),
                existing: if args.force { Existing::Replace } else { Existing::Keep },
            };
            let terminal = context.terminal();
            let done = client.share(&share, &terminal);
            terminal.clear();
            let done = done.map_err(|problem| near::told(client, &reference, problem.into()))?;
            context.output.result("share", &done, || {
                let (bytes, dest) = (bytes_shown(done.bytes), printable(&done.dest));
                let what = if done.form == "tar" { " as a tar archive" } else { "" };
                format!(
                    "shared {}  {bytes} in {} files{what} -> {dest}\nfor {} recipients; it cannot be recalled\n",
                    done.version, done.files, done.recipients
                )
            })?;
            Ok(0)
        })
    })
}
