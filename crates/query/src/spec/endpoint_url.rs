//! Checks the URL of an endpoint, so that the endpoint can be called. Pure.

use std::net::Ipv6Addr;

use flowmeter_core::violation::Violation;
use http::Uri;
use url::Url;

/// The maximum length of a URL in bytes.
const MAX_BYTES: usize = 2_048;

/// Checks the URL in the field `field` of a request, which can be empty. The error never repeats the URL, because it can
/// contain a secret.
pub fn check(field: &str, url: &str) -> Result<(), Violation> {
    if url.is_empty() {
        return Ok(());
    }
    mistake(url).map_or(Ok(()), |expected| Err(Violation::new(field, format!("expected {expected}"))))
}

/// What was expected in place of the URL. `None` if the URL is correct.
fn mistake(url: &str) -> Option<String> {
    if url.len() > MAX_BYTES {
        return Some(format!("at most {MAX_BYTES} bytes, found {}", url.len()));
    }
    let expected = if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        "ASCII characters without spaces; others are written as %20 or, in a host, as xn--…"
    } else if url.contains('#') {
        "no fragment, which begins with #"
    } else {
        let uri = url.parse::<Uri>().ok();
        let parts = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?)));
        match parts {
            Some(("http" | "https", authority)) => match mistake_of_authority(authority.as_str()) {
                Some(mistake) => mistake,
                // The HTTP client reads the URL in this way, and takes hosts of numbers for IPv4 addresses.
                None if Url::parse(url).is_ok() => return None,
                None => "a host such as example.com, 192.0.2.1 or [2001:db8::1]",
            },
            _ => "an http or https URL such as https://example.com/flow",
        }
    };
    Some(expected.to_owned())
}

fn mistake_of_authority(authority: &str) -> Option<&'static str> {
    if authority.contains('@') {
        return Some("no user and password");
    }
    // An IPv6 address has its colons in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if !is_host(host) {
        return Some("a host such as example.com, 192.0.2.1 or [2001:db8::1]");
    }
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    (!port.is_none_or(is_port)).then_some("a port from 1 to 65535 after the colon")
}

/// Whether a text is an IPv6 address in brackets, or a name of labels as in RFC 1123, which in practice can contain `_`.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_that_can_be_called_are_accepted() {
        for url in [
            "",
            "https://example.com",
            "https://example.com/flow?key=a%20b&c=[1]",
            "http://127.0.0.1:65535/",
            "HTTPS://Example.COM./x",
            "https://xn--mnchen-3ya.de:1?x",
            "http://[2001:db8::1]/a:b@c",
            "http://[::1]:8080/",
            "http://my_service:80",
            &format!("https://a/{}", "x".repeat(MAX_BYTES - 10)),
        ] {
            assert_eq!(check("f", url), Ok(()), "{url}");
        }
    }

    #[test]
    fn an_error_says_what_was_expected() {
        let url = "an http or https URL such as https://example.com/flow";
        let host = "a host such as example.com, 192.0.2.1 or [2001:db8::1]";
        let port = "a port from 1 to 65535 after the colon";
        let ascii = "ASCII characters without spaces; others are written as %20 or, in a host, as xn--…";
        for (wrong, expected) in [
            ("x", url),
            ("/x", url),
            ("*", url),
            ("example.com:80", url),
            ("ftp://example.com/", url),
            ("httpx://example.com/", url),
            ("http:", url),
            ("http:///x", url),
            ("https://", url),
            ("https://a:b:c/", url),
            ("https://[::1/", url),
            ("https://a/<>", url),
            ("https://user@example.com/", "no user and password"),
            ("https://user:secret@example.com/", "no user and password"),
            ("https://@example.com/", "no user and password"),
            ("https://example.com/#top", "no fragment, which begins with #"),
            ("https://example.com/a b", ascii),
            ("https://example.com/\r\n", ascii),
            ("https://münchen.de/", ascii),
            ("https://.../", host),
            ("https://a..b/", host),
            ("https://-a/", host),
            ("https://[::g]/", host),
            ("https://[1.2.3.4]/", host),
            ("https://[::1]x/", host),
            ("http://1.2.3.4.5/", host),
            ("http://256.1.1.1/", host),
            ("http://example.123/", host),
            ("https://:80/", host),
            ("https://a!b/", host),
            ("https://example.com:/", port),
            ("https://example.com:0/", port),
            ("https://example.com:65536/", port),
            ("https://example.com:8o/", port),
            ("https://[::1]:/", port),
        ] {
            let found = check("f", wrong).expect_err(wrong).description;
            assert_eq!(found, format!("expected {expected}"), "{wrong}");
        }
        let long = format!("https://a/{}", "x".repeat(MAX_BYTES));
        assert_eq!(check("f", &long).unwrap_err().description, "expected at most 2048 bytes, found 2058");
    }

    proptest! {
        #[test]
        fn an_accepted_url_has_a_host(url in "(https?://)?[a-z0-9.:@/?\\[\\]#%-]{0,24}|\\PC{0,20}") {
            if !url.is_empty() && check("f", &url).is_ok() {
                let uri: Uri = url.parse().unwrap();
                prop_assert!(uri.host().is_some_and(|host| !host.is_empty()));
                prop_assert!(matches!(uri.scheme_str(), Some("http" | "https")));
                prop_assert_eq!(uri.authority().unwrap().as_str().contains('@'), false);
            }
        }
    }
}
