//! What of a request and of its answer is passed on. Pure.
//!
//! * What belongs to one connection (RFC 9110, section 7.6.1) stays there.
//! * The caller's token is this host's: `Authorization` never reaches a program, nor does a cookie of the
//!   host's own. A program's cookies are confined to its path.
//! * A program is told where it is seen: `X-Forwarded-Host`, `-Proto` and `-Prefix`; what the caller says of
//!   itself in such headers is not believed. A redirect leads below the path, whether or not the program knows of
//!   it.
//! * A page of a program is not a page of the host: it runs in a sandbox, so that its scripts are
//!   strangers to the API's own origin.

use axum::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_SECURITY_POLICY, COOKIE, EXPECT, FORWARDED, HOST, LOCATION,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use fleet_model::Name;
use fleet_model::workload::WorkloadIntent;
use serde::Deserialize;

use crate::workload::Found;
use crate::workload::detail;

/// Cookies that begin so are the host's.
const OURS: &str = "fleet-host";

/// What a page of a program may do where a browser shows it.
const SANDBOX: &str = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts";

/// Where the program is, and where it is seen.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// Its own address.
    pub(super) host: &'a str,
    /// The host's address, as the caller names it.
    pub(super) shown: String,
    /// The path below which it is seen, without a slash at its end.
    pub(super) prefix: String,
}

/// A program's own address, as far as its node has said which it is.
pub(super) fn host(found: &Found, port: &str) -> String {
    let status = found.item.status.as_ref().and_then(detail);
    let at_node = status.map(|status| status.ports).unwrap_or_default();
    let inside = WorkloadIntent::deserialize(&found.item.intent)
        .map(|intent| intent.spec.ports)
        .unwrap_or_default();
    let number = port.parse::<u16>().ok();
    let name = port.parse::<Name>().ok();
    let by_name = name.and_then(|name| at_node.get(&name).copied());
    let by_number = || {
        let named = inside.iter().find(|(_, inside)| Some(**inside) == number);
        named.and_then(|(name, _)| at_node.get(name).copied())
    };
    match by_name.or_else(by_number).or(number) {
        Some(port) => format!("127.0.0.1:{port}"),
        None => "localhost".to_owned(),
    }
}

/// The headers for the program.
pub(super) fn onward(headers: &HeaderMap, place: &Place<'_>) -> HeaderMap {
    let of_connection = of_connection(headers);
    let mut onward = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        let is_ours = [AUTHORIZATION, EXPECT, FORWARDED, HOST].contains(name);
        if is_ours || of_connection.contains(name) || name.as_str().starts_with("x-forwarded-") {
            continue;
        }
        if *name == COOKIE {
            onward.extend(cookies(value).map(|value| (COOKIE, value)));
        } else {
            onward.append(name, value.clone());
        }
    }
    if let Some(upgrade) = upgrade(headers) {
        onward.insert(UPGRADE, upgrade.clone());
        onward.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    let told = [
        (HOST, place.host),
        (HeaderName::from_static("x-forwarded-host"), &place.shown),
        (HeaderName::from_static("x-forwarded-proto"), "http"),
        (HeaderName::from_static("x-forwarded-prefix"), &place.prefix),
    ];
    for (name, value) in told {
        if let Ok(value) = HeaderValue::from_str(value) {
            onward.insert(name, value);
        }
    }
    onward
}

/// The headers for the caller.
pub(super) fn back(status: StatusCode, headers: &HeaderMap, place: &Place<'_>) -> HeaderMap {
    let of_connection = of_connection(headers);
    let mut back = HeaderMap::with_capacity(headers.len() + 1);
    for (name, value) in headers {
        if of_connection.contains(name) {
            continue;
        }
        let value = match *name {
            LOCATION => Some(rewritten(value, |text| below(text, place))),
            SET_COOKIE => value
                .to_str()
                .ok()
                .and_then(|cookie| confined(cookie, &place.prefix))
                .and_then(|cookie| HeaderValue::from_str(&cookie).ok()),
            _ => Some(value.clone()),
        };
        back.extend(value.map(|value| (name.clone(), value)));
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        if let Some(upgrade) = headers.get(UPGRADE) {
            back.insert(UPGRADE, upgrade.clone());
            back.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
    } else {
        back.append(CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
    }
    back
}

/// The protocol that the connection is to change to.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<&HeaderValue> {
    let wishes = headers.get_all(CONNECTION).iter();
    let is_wished = wishes
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| is_wished)
}

/// The headers that belong to one connection: the known ones, and those that `Connection` names.
fn of_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut names = vec![
        CONNECTION,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    let named = headers.get_all(CONNECTION).iter();
    names.extend(
        named
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|token| token.trim().parse::<HeaderName>().ok()),
    );
    names
}

/// The caller's cookies without the host's own; nothing where none is left.
fn cookies(value: &HeaderValue) -> Option<HeaderValue> {
    let Ok(text) = value.to_str() else {
        return Some(value.clone());
    };
    let theirs: Vec<&str> = text
        .split(';')
        .map(str::trim)
        .filter(|cookie| !cookie.is_empty() && !is_ours(cookie))
        .collect();
    (!theirs.is_empty())
        .then(|| HeaderValue::from_str(&theirs.join("; ")).ok())
        .flatten()
}

fn is_ours(cookie: &str) -> bool {
    let name = cookie.split('=').next().unwrap_or_default().trim();
    let bare = ["__Host-", "__Secure-"]
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    bare.unwrap_or(name).starts_with(OURS)
}

/// A program's cookie, sent back to its own path only; nothing where it would be one of the host's.
fn confined(cookie: &str, prefix: &str) -> Option<String> {
    let mut parts = cookie.split(';');
    let pair = parts.next()?.trim();
    // A cookie of this prefix must have the path `/`, which is not the program's.
    if is_ours(pair) || pair.starts_with("__Host-") {
        return None;
    }
    let mut path = "/".to_owned();
    let mut kept = vec![pair.to_owned()];
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "domain" => {}
            "path" if value.trim().starts_with('/') => path = value.trim().to_owned(),
            "path" => {}
            _ => kept.push(part.trim().to_owned()),
        }
    }
    let place = if is_below(&path, prefix) {
        path
    } else {
        format!("{prefix}{path}")
    };
    kept.push(format!("Path={place}"));
    Some(kept.join("; "))
}

fn rewritten(value: &HeaderValue, rewrite: impl Fn(&str) -> Option<String>) -> HeaderValue {
    value
        .to_str()
        .ok()
        .and_then(rewrite)
        .and_then(|text| HeaderValue::from_str(&text).ok())
        .unwrap_or_else(|| value.clone())
}

/// A redirect of the program's, as it leads below its path; nothing where it stays as it is.
fn below(location: &str, place: &Place<'_>) -> Option<String> {
    let path = match location.split_once("//") {
        Some(("http:" | "https:" | "", rest)) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(end)?;
            if !is_own(authority, place) {
                return None;
            }
            path
        }
        _ if location.starts_with('/') => location,
        _ => return None,
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    if is_below(path, &place.prefix) {
        Some(path.to_owned())
    } else {
        Some(format!("{}{slash}{path}", place.prefix))
    }
}

/// Whether an address is the program's: its own, by whatever name of loopback, or the one it is seen at.
fn is_own(authority: &str, place: &Place<'_>) -> bool {
    let port = place.host.rsplit_once(':').map_or("", |(_, port)| port);
    let names = ["localhost", "127.0.0.1", "[::1]"];
    authority == place.shown
        || names.into_iter().any(|name| {
            authority == format!("{name}:{port}") || (port == "80" && authority == name)
        })
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "/api/v1/workloads/web/preview/http";

    fn place() -> Place<'static> {
        Place {
            host: "127.0.0.1:40001",
            shown: "fleet:7300".to_owned(),
            prefix: PREFIX.to_owned(),
        }
    }

    fn map(list: &[(&str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    fn list(map: &HeaderMap) -> Vec<(String, String)> {
        let mut list: Vec<_> = map
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        list.sort();
        list
    }

    #[test]
    fn a_program_gets_the_request_and_nothing_of_the_hosts() {
        let got = onward(
            &map(&[
                ("accept", "a"),
                ("authorization", "Bearer secret"),
                ("connection", "close, X-Hop"),
                ("x-hop", "1"),
                ("keep-alive", "5"),
                ("transfer-encoding", "chunked"),
                ("te", "trailers"),
                ("proxy-authorization", "Basic x"),
                ("upgrade", "h2c"),
                ("expect", "100-continue"),
                ("host", "fleet:7300"),
                ("forwarded", "for=1.2.3.4"),
                ("x-forwarded-for", "1.2.3.4"),
                ("x-forwarded-proto", "https"),
                ("x-own", "kept"),
                (
                    "cookie",
                    "a=1; fleet-host-session=s; __Host-fleet-host=t; b=2",
                ),
                ("content-length", "3"),
            ]),
            &place(),
        );
        let want = [
            ("accept", "a"),
            ("content-length", "3"),
            ("cookie", "a=1; b=2"),
            ("host", "127.0.0.1:40001"),
            ("x-forwarded-host", "fleet:7300"),
            ("x-forwarded-prefix", PREFIX),
            ("x-forwarded-proto", "http"),
            ("x-own", "kept"),
        ];
        assert_eq!(
            list(&got),
            want.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        let none = onward(&map(&[("cookie", "fleet-host=s")]), &place());
        assert!(!none.contains_key(COOKIE));
    }

    #[test]
    fn an_upgrade_is_passed_on_where_it_is_asked_for() {
        let asked = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
        ];
        let got = onward(&map(&asked), &place());
        assert_eq!(
            (&got[UPGRADE], &got[CONNECTION]),
            (&"websocket".parse().unwrap(), &"upgrade".parse().unwrap())
        );
        let back = back(StatusCode::SWITCHING_PROTOCOLS, &map(&asked), &place());
        assert_eq!(back[UPGRADE], "websocket");
        assert!(!back.contains_key(CONTENT_SECURITY_POLICY));
    }

    #[test]
    fn an_answer_comes_back_in_a_sandbox_and_below_its_path() {
        let got = back(
            StatusCode::FOUND,
            &map(&[
                ("content-type", "text/html"),
                ("connection", "close"),
                ("transfer-encoding", "chunked"),
                ("location", "/login"),
                ("set-cookie", "fleet-host-session=mine; Path=/"),
                ("set-cookie", "s=1; Domain=fleet; Path=/app; HttpOnly"),
                ("content-security-policy", "default-src 'self'"),
            ]),
            &place(),
        );
        let place = format!("{PREFIX}/login");
        let cookie = format!("s=1; HttpOnly; Path={PREFIX}/app");
        let want = [
            ("content-security-policy", "default-src 'self'"),
            ("content-security-policy", SANDBOX),
            ("content-type", "text/html"),
            ("location", place.as_str()),
            ("set-cookie", cookie.as_str()),
        ];
        assert_eq!(
            list(&got),
            want.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn redirects_lead_below_the_path_and_others_stay() {
        let within = |rest: &str| Some(format!("{PREFIX}{rest}"));
        for (location, want) in [
            ("/", within("/")),
            ("/a?b#c", within("/a?b#c")),
            ("http://127.0.0.1:40001/a", within("/a")),
            ("http://localhost:40001", within("/")),
            ("http://localhost:40001?q", within("/?q")),
            ("//127.0.0.1:40001/a", within("/a")),
            ("http://fleet:7300/a", within("/a")),
            ("https://fleet:7300/a", within("/a")),
            // A program that knows where it is seen.
            (&format!("{PREFIX}/a"), within("/a")),
            (&format!("http://fleet:7300{PREFIX}/a"), within("/a")),
            (&format!("{PREFIX}x/a"), within(&format!("{PREFIX}x/a"))),
            ("a/b", None),
            ("../a", None),
            ("?q", None),
            ("http://127.0.0.1:40002/a", None),
            ("https://example.com/a", None),
            ("//example.com/a", None),
            ("mailto:a@b", None),
        ] {
            assert_eq!(below(location, &place()), want, "{location}");
        }
    }

    #[test]
    fn cookies_are_confined_to_the_path() {
        for (cookie, want) in [
            ("a=1", Some(format!("a=1; Path={PREFIX}/"))),
            ("a=1; path=x", Some(format!("a=1; Path={PREFIX}/"))),
            (
                "a=1; PATH=/b; Secure",
                Some(format!("a=1; Secure; Path={PREFIX}/b")),
            ),
            (
                &format!("a=1; Path={PREFIX}/b"),
                Some(format!("a=1; Path={PREFIX}/b")),
            ),
            ("__Host-a=1; Path=/; Secure", None),
            ("fleet-host=1", None),
        ] {
            assert_eq!(confined(cookie, PREFIX), want, "{cookie}");
        }
    }
}
