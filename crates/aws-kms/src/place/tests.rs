use super::*;

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

#[test]
fn an_arn_gives_region_and_endpoint() {
    for (arn, region, endpoint) in [
        (KEY, "eu-central-1", "https://kms.eu-central-1.amazonaws.com"),
        (
            "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
            "cn-north-1",
            "https://kms.cn-north-1.amazonaws.com.cn",
        ),
        (
            "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "us-gov-west-1",
            "https://kms.us-gov-west-1.amazonaws.com",
        ),
    ] {
        let place = Place::new(arn.parse().unwrap(), None).unwrap();
        assert_eq!(place.key().as_str(), arn);
        assert_eq!(place.key().region(), region);
        assert_eq!(place.endpoint().as_str(), endpoint);
        assert_eq!(format!("https://{}", place.host()), endpoint);
    }
}

#[test]
fn an_unknown_partition_wants_its_endpoint() {
    let key: KeyArn = KEY.replacen("aws", "aws-new", 1).parse().unwrap();
    assert!(matches!(Place::new(key.clone(), None), Err(Error::Endpoint(_))));
    assert!(Place::new(key, Some("https://kms.example".parse().unwrap())).is_ok());
}

#[test]
fn what_is_no_arn_of_a_key_is_refused() {
    let long = KEY.replace("eu-central-1", &"a".repeat(200));
    let refused = [
        "",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "alias/mine",
        "arn:aws:kms:eu-central-1:123456789012:alias/mine",
        "arn:aws:s3:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms::123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-central-1:12345678901:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-central-1:123456789012:key/1234ABCD-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890a",
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab-",
        "arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890a",
        "arn:aws:kms:eu-central-1:123456789012:key/",
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab:x",
        "arn:aws:kms:eu.evil.example/-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu--1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        " arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\n",
        long.as_str(),
    ];
    for text in refused {
        assert!(matches!(text.parse::<KeyArn>(), Err(Error::Arn(_))), "{text:?}");
    }
    let alias = "arn:aws:kms:eu-central-1:123456789012:alias/mine".parse::<KeyArn>().unwrap_err();
    assert!(alias.to_string().contains("alias"));
}

#[test]
fn endpoints_are_https_or_on_this_machine() {
    for (text, host) in [
        ("https://kms-fips.us-east-1.amazonaws.com", "kms-fips.us-east-1.amazonaws.com"),
        ("https://kms.example:8443/", "kms.example:8443"),
        ("https://10.0.0.1", "10.0.0.1"),
        ("http://127.0.0.1:5000", "127.0.0.1:5000"),
        ("http://127.8.9.1", "127.8.9.1"),
        ("http://[::1]:5000", "[::1]:5000"),
        ("http://localhost:5000", "localhost:5000"),
    ] {
        let endpoint: Endpoint = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(endpoint.as_str(), text.trim_end_matches('/'));
        assert_eq!(Place::new(KEY.parse().unwrap(), Some(endpoint)).unwrap().host(), host);
    }
    let long = format!("https://{}.example", "a".repeat(300));
    for text in [
        "",
        "kms.example",
        "ftp://kms.example",
        "http://kms.example",
        "http://10.0.0.1",
        "http://127.0.0.1.example",
        "http://localhost.example",
        "http://0.0.0.0:5000",
        "http://[::ffff:127.0.0.1]:5000",
        "http://127.1:5000",
        "http://2130706433",
        "http://LOCALHOST",
        "https://KMS.example",
        "https://kms.example:443",
        "https://user@kms.example",
        "https://user:word@kms.example",
        "https://kms.example/path",
        "https://kms.example/?query",
        "https://kms.example/#part",
        "https:kms.example",
        "https://kms.example\n",
        "https://kms\t.example",
        "https:\\\\kms.example",
        "https://",
        long.as_str(),
    ] {
        assert!(matches!(text.parse::<Endpoint>(), Err(Error::Endpoint(_))), "{text:?}");
    }
}
