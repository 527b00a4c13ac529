//! `encrypt`, `decrypt`, `key create`: with the vault opened by the command, and through an agent.

use super::agent::with_runtime;
use super::sandbox::Sandbox;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

const ABOUT: [&str; 2] = ["--context", "service=billing"];

/// Runs a command with its output into a file, as a shell does.
fn into_file(sandbox: &Sandbox, args: &[&str], file: &str) -> i32 {
    let mut command: Command = sandbox.command(args);
    command.stdout(std::fs::File::create(sandbox.at(file)).unwrap());
    command.arg0("strongroom").status().unwrap().code().unwrap()
}

/// A value that was sealed, in the file `token`.
fn sealed(sandbox: &Sandbox, key: &str) -> String {
    sandbox.run(["key", "create", key, "--class", "internal"]).exits(0);
    sandbox.write("secret", b"horse\nbattery\n");
    let token = sandbox.run(["encrypt", "--key", key, "secret"].iter().chain(&ABOUT)).exits(0);
    let token = String::from_utf8(token.stdout).unwrap();
    assert_eq!(token.lines().count(), 1, "{token}");
    sandbox.write("token", &token);
    token
}

#[test]
fn a_value_comes_back_byte_for_byte() {
    let sandbox = with_runtime(Sandbox::solo());
    // In a new workspace, which an owner makes along with it.
    let token = sealed(&sandbox, "app/config");
    assert!(token.starts_with("strongroom:1:") && token.contains(":app/config:v1:"), "{token}");
    let opens = |sandbox: &Sandbox| {
        let opened = sandbox.run(["decrypt", "token"].iter().chain(&ABOUT)).exits(0);
        assert_eq!(opened.stdout, b"horse\nbattery\n");
        let told = sandbox.run(["--format", "json", "decrypt", "token"].iter().chain(&ABOUT)).exits(0).json();
        assert_eq!((told["value"].as_str(), told["version"].as_u64()), (Some("aG9yc2UKYmF0dGVyeQo="), Some(1)));
    };
    opens(&sandbox);
    // Through an agent as well, where the key is; and what it sealed opens without it.
    sandbox.run(["unlock", "--for", "10m"]).exits(0);
    opens(&sandbox);
    let again = sandbox.run(["encrypt", "--key", "app/config", "secret"].iter().chain(&ABOUT)).exits(0);
    sandbox.run(["lock"]).exits(0);
    sandbox.write("token", again.stdout);
    opens(&sandbox);
    // In a file it is an export, which the owner may.
    assert_eq!(into_file(&sandbox, &["decrypt", "token", ABOUT[0], ABOUT[1]], "opened"), 0);
    assert_eq!(std::fs::read(sandbox.at("opened")).unwrap(), b"horse\nbattery\n");
    let log = sandbox.run(["--format", "json", "audit", "query", "--act", "value.decrypt"]).exits(0).text();
    assert!(log.contains(r#""to":"disk""#) && !log.contains("horse") && !log.contains("aG9yc2U"), "{log}");
}

#[test]
fn sixty_four_kib_are_sealed_and_a_byte_more_is_refused() {
    let sandbox = Sandbox::solo();
    sealed(&sandbox, "app/config");
    sandbox.write("largest", vec![b'x'; 65_536]);
    sandbox.write("larger", vec![b'x'; 65_537]);
    let token = sandbox.run(["encrypt", "--key", "app/config", "largest"]).exits(0).stdout;
    sandbox.write("token", token);
    assert_eq!(sandbox.run(["decrypt", "token"]).exits(0).stdout.len(), 65_536);
    let refused = sandbox.run(["encrypt", "--key", "app/config", "larger"]).exits(2).stderr;
    assert!(refused.contains("64 KiB"), "{refused}");
    // Something else that lies in the way is no token, and is not read to its end.
    for (file, code) in [("larger", 2), ("secret", 2)] {
        let refused = sandbox.run(["decrypt", file]).exits(code).stderr;
        assert!(refused.contains("token"), "{refused}");
    }
}

#[test]
fn each_refusal_says_what_to_do() {
    let sandbox = Sandbox::solo();
    let token = sealed(&sandbox, "app/config");
    let refused = sandbox.run(["decrypt", "token"]).exits(7).stderr;
    assert!(refused.contains("try: give each --context as it was given when the value was sealed"), "{refused}");
    let refused = sandbox.run(["key", "create", "app/config"]).exits(8).stderr;
    assert!(refused.contains("try: strongroom key ls"), "{refused}");
    assert!(sandbox.run(["key", "ls"]).exits(0).text().contains("app/config"));
    let other = Sandbox::solo();
    other.write("token", &token);
    let refused = other.run(["decrypt", "token"]).exits(8).stderr;
    assert!(refused.contains("try: name the vault that sealed it with --vault"), "{refused}");
    let vault = sandbox.vault();
    let mut named = sandbox.command(["decrypt", "token", "--vault", vault.to_str().unwrap(), ABOUT[0], ABOUT[1]]);
    assert!(named.status().unwrap().success());
    sandbox.run(["encrypt", "--key", "app/gone", "secret"]).exits(3);
    sandbox.run(["encrypt", "--key", "app/config@v1", "secret"]).exits(2);
    sandbox.run(["encrypt", "--key", "app/config", "secret", "--context", "x"]).exits(2);
    sandbox.run(["encrypt", "--key", "app/config", "secret", "--context", "x=1", "--context", "x=2"]).exits(2);
    sandbox.run(["encrypt", "secret"]).exits(2);
}

#[test]
fn rotation_and_renewal_by_the_command_line() {
    let sandbox = Sandbox::solo();
    sealed(&sandbox, "app/config");
    let rotate = ["key", "rotate", "--workspace", "app", "--name", "config"];
    assert!(sandbox.run(rotate.iter().chain(&["-n"])).exits(0).text().contains("app/config"));
    assert!(sandbox.run(rotate).exits(0).text().contains("1 named keys rotated"));
    let renew = |file: &str| sandbox.run(["encrypt", "--renew", file].iter().chain(&ABOUT)).exits(0).stdout;
    let renewed = String::from_utf8(renew("token")).unwrap();
    assert!(renewed.contains(":app/config:v2:"), "{renewed}");
    sandbox.write("token", renewed);
    assert_eq!(sandbox.run(["decrypt", "token"].iter().chain(&ABOUT)).exits(0).stdout, b"horse\nbattery\n");
    let listed = sandbox.run(["--format", "json", "key", "ls"]).exits(0).json();
    let of = |key: &&serde_json::Value| key["name"] == "config" && key["state"] == "active";
    let id = listed["keys"].as_array().unwrap().iter().find(of).unwrap()["id"].as_str().unwrap().to_owned();
    sandbox.run(["key", "suspend", &id[..8], "--reason", "a laptop was lost"]).exits(0);
    sandbox.run(["decrypt", "token"].iter().chain(&ABOUT)).exits(10);
    sandbox.run(["encrypt", "--key", "app/config", "secret"]).exits(10);
    sandbox.run(["key", "resume", &id, "--reason", "it was found"]).exits(0);
    sandbox.run(["decrypt", "token"].iter().chain(&ABOUT)).exits(0);
    // Asked beforehand, nothing is done.
    for args in [&["decrypt", "-n", "token"][..], &["encrypt", "-n", "--key", "app/config", "secret"]] {
        assert!(sandbox.run(args).exits(0).text().contains("allowed"));
    }
    sandbox.run(["key", "create", "-n", "app/new"]).exits(0);
    assert!(!sandbox.run(["key", "ls"]).exits(0).text().contains("app/new"));
    sandbox.run(["verify", "--state"]).exits(0);
}
