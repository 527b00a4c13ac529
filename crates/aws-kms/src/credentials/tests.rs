use super::profile::{parse, read};
use super::*;
use std::os::unix::fs::PermissionsExt;

fn find(pairs: &[(&str, &str)]) -> Result<Credentials> {
    Credentials::find_in(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value)))
}

fn told(found: Result<Credentials>) -> (String, String, Option<String>) {
    let found = found.unwrap();
    (found.access_key().into(), found.expose_secret().into(), found.expose_token().map(str::to_owned))
}

const FILE: &str = "\
# ours
[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key = a/b+c=
region = eu-central-1
s3 =
  aws_session_token = of another setting

[ team ]
AWS_ACCESS_KEY_ID=AKIATEAM
aws_secret_access_key=two
aws_session_token = three==
[role]
role_arn = arn:aws:iam::123456789012:role/x
source_profile = default
[half]
aws_access_key_id = AKIAHALF
[twice]
aws_access_key_id = A
aws_access_key_id = B
";

#[test]
fn the_environment_comes_first_and_must_be_whole() {
    let pair = [("AWS_ACCESS_KEY_ID", "AKIA1"), ("AWS_SECRET_ACCESS_KEY", "one"), ("AWS_SESSION_TOKEN", "")];
    assert_eq!(told(find(&pair)), ("AKIA1".into(), "one".into(), None));
    let three = [pair[0], pair[1], ("AWS_SESSION_TOKEN", "t"), ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")];
    assert_eq!(told(find(&three)), ("AKIA1".into(), "one".into(), Some("t".into())));
    assert!(matches!(find(&pair[..1]), Err(Error::Credentials(_))));
    assert!(matches!(find(&pair[1..]), Err(Error::Credentials(_))));
    assert!(matches!(find(&[]), Err(Error::NoCredentials(_))));
    assert!(matches!(find(&[("HOME", "/nowhere")]), Err(Error::NoCredentials(_))));
}

#[test]
fn a_profile_is_read_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".aws/credentials");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, FILE).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let home = ("HOME", folder.path().to_str().unwrap());
    let named = ("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap());
    assert_eq!(told(find(&[home])), ("AKIADEFAULT".into(), "a/b+c=".into(), None));
    let team = ("AKIATEAM".into(), "two".into(), Some("three==".into()));
    assert_eq!(told(find(&[named, ("AWS_PROFILE", "team")])), team);
    assert!(matches!(find(&[named, ("AWS_PROFILE", "other")]), Err(Error::NoCredentials(_))));
    for shut in ["role", "half", "twice"] {
        assert!(matches!(find(&[named, ("AWS_PROFILE", shut)]), Err(Error::Credentials(_))), "{shut}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(find(&[home]), Err(Error::Credentials(why)) if why.contains("chmod 600")));
    assert!(matches!(read(folder.path(), "default"), Err(Error::Credentials(_))));
}

#[test]
fn what_is_no_credentials_file_is_refused() {
    let long = format!("[default]\n{}", "# x\n".repeat(20_000));
    let again = format!("{FILE}[default]\n");
    for text in ["[default", "[default]\nwords\n", long.as_str(), again.as_str()] {
        assert!(matches!(parse(text.as_bytes(), "default"), Err(Error::Credentials(_))), "{text:.20}");
    }
    assert!(matches!(parse(b"[default]\n\xff", "default"), Err(Error::Credentials(_))));
    assert!(matches!(parse(b"", "default"), Err(Error::NoCredentials(_))));
}

#[test]
fn odd_credentials_are_refused() {
    let new = |key: &str, secret: &str, token: Option<&str>| {
        Credentials::new(key.into(), Zeroizing::new(secret.into()), token.map(|t| Zeroizing::new(t.into())))
    };
    assert!(new("AKIA_1", "s", Some("t")).is_ok());
    let long = "a".repeat(8193);
    for (key, secret, token) in [
        ("", "s", None),
        ("AKIA/2015", "s", None),
        ("AKIA1", "", None),
        ("AKIA1", "a b", None),
        ("AKIA1", "a\nb", None),
        ("AKIA1", "s", Some("")),
        ("AKIA1", "s", Some("t\r\nx: y")),
        ("AKIA1", "s", Some(&long)),
        (&long, "s", None),
        ("AKIA1", &long, None),
    ] {
        assert!(matches!(new(key, secret, token), Err(Error::Credentials(_))), "{key:.8} {secret:.8}");
    }
}

#[test]
fn credentials_do_not_show_their_secrets() {
    let token = Some(Zeroizing::new("the token".replace(' ', "-")));
    let shown = Credentials::new("AKIA1".into(), Zeroizing::new("the-secret".into()), token).unwrap();
    assert_eq!(format!("{shown:?} {shown:#?}"), "Credentials(AKIA1) Credentials(AKIA1)");
}
