//! The manual: a page for each command, sound to the tools that show it.

use super::sandbox::Sandbox;
use std::process::{Command, Output};

fn checked(command: &mut Command) -> Output {
    let output = command.output().expect("groff and mandoc are installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn every_command_has_a_manual_page_that_groff_takes_without_a_warning_and_mandoc_without_an_error() {
    let sandbox = Sandbox::new();
    sandbox.run(["man", "pages"]).exits(0);
    let mut names: Vec<String> = std::fs::read_dir(sandbox.at("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in ["strongroom.1", "strongroom-put.1", "strongroom-key.1", "strongroom-key-rotate.1", "strongroom-man.1"]
    {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    let help = sandbox.run(["--help"]).exits(0).text();
    let commands = help.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    // What is further in goes on with the line above.
    let named = commands.filter(|line| !line.starts_with("   "));
    for command in named.filter_map(|line| line.split_whitespace().next()) {
        assert!(names.contains(&format!("strongroom-{command}.1")), "{command}");
    }
    for name in &names {
        let path = sandbox.at("pages").join(name);
        let formatted = checked(Command::new("groff").args(["-man", "-Tutf8", "-ww", "-P-c"]).arg(&path));
        assert!(formatted.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&formatted.stderr));
        let linted = checked(Command::new("mandoc").args(["-T", "lint", "-W", "error"]).arg(&path));
        assert!(linted.stdout.is_empty(), "{name}: {}", String::from_utf8_lossy(&linted.stdout));
    }
    let page =
        checked(Command::new("groff").args(["-man", "-Tascii", "-P-cbou"]).arg(sandbox.at("pages/strongroom-put.1")));
    let text = String::from_utf8_lossy(&page.stdout).replace('\u{8}', "");
    for part in ["STRONGROOM-PUT(1)", "SYNOPSIS", "WORKSPACE/ARTIFACT", "SEE ALSO"] {
        assert!(text.to_uppercase().contains(part), "{part}: {text}");
    }
    // Without a folder the first page goes to standard output, as others do.
    let first = sandbox.run(["man"]).exits(0).stdout;
    assert_eq!(first, std::fs::read(sandbox.at("pages/strongroom.1")).unwrap());
    sandbox.run(["--dry-run", "man", "nothing"]).exits(0);
    assert!(!sandbox.at("nothing").exists());
}
