//! `man`: the manual, a page for each command.

use super::Context;
use crate::output::{Failure, print};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use std::path::Path;

pub fn man(context: &Context, folder: Option<&Path>) -> Result<u8, Failure> {
    let pages = pages()?;
    let Some(folder) = folder else {
        let first = pages.first().map(|page| page.text.as_slice()).unwrap_or_default();
        return print(first).map(|()| 0);
    };
    let failed = |e: std::io::Error| Failure::from_io(&format!("cannot write to `{}`", folder.display()), &e);
    if !context.global.dry_run {
        std::fs::create_dir_all(folder).map_err(failed)?;
        for page in &pages {
            std::fs::write(folder.join(&page.name), &page.text).map_err(failed)?;
        }
    }
    context.output.say(&format!("{} pages in {}", pages.len(), folder.display()));
    Ok(0)
}

struct Page {
    /// Of its file: `strongroom-put.1`.
    name: String,
    text: Vec<u8>,
}

fn pages() -> Result<Vec<Page>, Failure> {
    let mut root = crate::args::command();
    root.build();
    let mut pages = Vec::new();
    collect(&root, None, &mut pages).map_err(|e| Failure::internal("cannot write the manual", &e))?;
    Ok(pages)
}

/// The page of a command, then those of the commands below it.
fn collect(command: &clap::Command, above: Option<&str>, pages: &mut Vec<Page>) -> std::io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    pages.push(Page { name: format!("{name}.1"), text: page(command, &name, above)? });
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        collect(below, Some(&name), pages)?;
    }
    Ok(())
}

fn page(command: &clap::Command, name: &str, above: Option<&str>) -> std::io::Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .title(name)
        .section("1")
        .source(concat!(env!("CARGO_BIN_NAME"), " ", env!("CARGO_PKG_VERSION")))
        .manual("Strongroom Manual");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    if let Some(more) = command.get_after_help() {
        section(&mut text, "NOTES", &more.to_string())?;
    }
    if let Some(above) = above {
        section(&mut text, "SEE ALSO", &format!("{above}(1)"))?;
    }
    Ok(text)
}

fn section(text: &mut Vec<u8>, title: &str, lines: &str) -> std::io::Result<()> {
    let mut roff = Roff::default();
    roff.control("SH", [title]);
    for (at, line) in lines.lines().enumerate() {
        if at > 0 {
            roff.control("br", []);
        }
        roff.text([roman(line)]);
    }
    roff.to_writer(text)
}
