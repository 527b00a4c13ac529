//! Where settings come from: flag, environment, project, user, in this order.

use super::sandbox::{Sandbox, end};

#[test]
fn a_flag_comes_before_the_environment_the_project_and_the_user() {
    let sandbox = Sandbox::solo();
    let id = |args: &[&str]| sandbox.run(["--format", "json"].iter().chain(args)).exits(0).json()["vault"].clone();
    // One vault for each source of the setting, and the one of the folder for none.
    let sources = ["flag", "environment", "project", "user"];
    for source in sources {
        id(&["--vault", &format!("{source}.vault"), "init", "--no-recovery"]);
    }
    let shown = |vault: &str| id(&["--vault", vault, "status"]);
    let user = "config/strongroom/config.toml";
    for given in 0..16_u32 {
        let has = |source: usize| given & (1 << source) != 0;
        let line = |source: usize, base: &str| match has(source) {
            true => format!("vault = '{base}{}.vault'", sources[source]),
            false => String::new(),
        };
        sandbox.write("strongroom.toml", line(2, ""));
        sandbox.write(user, line(3, &format!("{}/", sandbox.path().display())));
        let flag = if has(0) { &["--vault", "flag.vault"][..] } else { &[] };
        let mut command = sandbox.command(["--format", "json", "status"].iter().chain(flag));
        if has(1) {
            command.env("STRONGROOM_VAULT", "environment.vault");
        }
        let told = end(command).exits(0).json()["vault"].clone();
        let first = (0..4).find(|source| has(*source));
        let expected = first.map_or(".strongroom".to_owned(), |source| format!("{}.vault", sources[source]));
        sandbox.write("strongroom.toml", "");
        sandbox.write(user, "");
        assert_eq!(told, shown(&expected), "{given:04b}");
    }
}

#[test]
fn each_setting_of_one_run_comes_from_its_own_source() {
    let sandbox = Sandbox::rehearsal();
    sandbox.run(["principal", "add", "wanda", "--clearance", "confidential", "--grant", "lab=writer"]).exits(0);
    sandbox.write("f", b"data");
    sandbox.write("strongroom.toml", "vault = 'nowhere'\nformat = 'human'\nclass = 'internal'\nenv = 'staging'");
    sandbox.write("config/strongroom/config.toml", "vault = 'nowhere'\nformat = 'jsonl'\nas = 'wanda'");
    let mut put = sandbox.command(["--vault", ".strongroom", "put", "f", "lab/a", "--class", "public"]);
    // The vault from the flag, the format from the environment, where it goes from the project, who acts from the user.
    put.env("STRONGROOM_VAULT", "nowhere").env("STRONGROOM_FORMAT", "json").env("STRONGROOM_PUT_CLASS", "restricted");
    let put = end(put).exits(0).json();
    assert_eq!((put["class"].as_str(), put["environment"].as_str()), (Some("public"), Some("staging")), "{put}");
    let shown = sandbox.run(["--vault", ".strongroom", "--format", "json", "show", "lab/a"]).exits(0).json();
    assert_eq!(shown["creator"], "wanda");
}

#[test]
fn a_variable_is_of_one_command() {
    let sandbox = Sandbox::solo();
    sandbox.write("f", b"data");
    let run = |args: &[&str], variable: &str, value: &str| {
        let mut command = sandbox.command(["--format", "json"].iter().chain(args));
        command.env(variable, value);
        end(command)
    };
    let class = |variable: &str, artifact: &str| {
        run(&["put", "f", artifact], variable, "public").exits(0).json()["class"].as_str().unwrap().to_owned()
    };
    assert_eq!(class("STRONGROOM_PUT_CLASS", "lab/a"), "public");
    assert_eq!(class("STRONGROOM_KEY_ROTATE_CLASS", "lab/b"), "confidential");
    assert_eq!(class("STRONGROOM_CLASS", "lab/c"), "confidential");
    run(&["put", "f", "lab/d"], "STRONGROOM_PUT_CLASS", "secret").exits(2);
    // A switch is one as people write it, and a slip is no yes.
    for (value, code) in [("1", 0), ("true", 0), ("yes", 0), ("0", 2), ("false", 2), ("yess", 2)] {
        let file = sandbox.write("extra.cedar", "").display().to_string();
        run(&["policy", "apply", &file], "STRONGROOM_YES", value).exits(code);
    }
}

#[test]
fn a_switch_that_its_variable_denies_is_not_given() {
    let sandbox = Sandbox::solo();
    let run = |args: &[&str], variable: &str, value: &str| {
        let mut command = sandbox.command(args);
        command.env(variable, value);
        end(command)
    };
    let ours = "@id(\"extra\") @reason(\"never matches\") @owner(\"tests\")
        forbid (principal, action == Action::\"export\", resource is Artifact) when { resource.owner == \"nobody\" };";
    sandbox.write("ours.cedar", ours);
    let hash = || sandbox.run(["--format", "json", "policy", "show"]).exits(0).json()["hash"].clone();
    let baseline = hash();
    sandbox.run(["policy", "apply", "ours.cedar", "--yes"]).exits(0);
    let ours = hash();
    assert_ne!(ours, baseline);
    let apply = ["policy", "apply", "--yes"];
    for (value, code) in [("0", 2), ("false", 2), ("No", 2), ("off", 2), ("nay", 2), ("", 2), ("1", 8)] {
        // What it would move to is in force: the variable that says yes is obeyed.
        run(&apply, "STRONGROOM_POLICY_APPLY_BASELINE", value).exits(code);
        assert_eq!(hash(), ours, "{value}: the organisation's policies are still in force");
    }
    run(&["policy", "apply", "--yes", "--baseline"], "STRONGROOM_POLICY_APPLY_BASELINE", "0").exits(8);
    std::fs::create_dir(sandbox.at("empty")).unwrap();
    sandbox.run(["policy", "apply", "empty", "--yes"]).exits(2);

    for (value, code) in [("0", 0), ("no", 0), ("1", 2), ("nay", 2)] {
        run(&["-v", "status"], "STRONGROOM_QUIET", value).exits(code);
        run(&["audit", "verify", "--new-anchor", "--yes"], "STRONGROOM_AUDIT_VERIFY_REPLAY", value).exits(code);
    }
    // What one switch requires is not fulfilled by a no.
    let revoke = ["principal", "add", "alice", "--revoke", "lab"];
    run(&revoke, "STRONGROOM_PRINCIPAL_ADD_CHANGE", "0").exits(2);
}
