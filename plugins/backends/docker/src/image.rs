//! The name of an image: whether it is one, and how the engine wants it to fetch one.
//!
//! The grammar is that of image references (github.com/distribution/reference): a registry, lower case
//! words with `/` between, a tag, a digest.

use fleet_sdk::Error;

/// Name and tag to fetch; no tag where the name has a digest, which counts for more. A name with neither
/// means the tag `latest`: without one an engine would fetch every tag there is.
pub(crate) fn split(image: &str) -> (String, Option<&str>) {
    if let Some((name, digest)) = image.split_once('@') {
        let bare = tagged(name).map_or(name, |(bare, _)| bare);
        return (format!("{bare}@{digest}"), None);
    }
    match tagged(image) {
        Some((name, tag)) => (name.to_owned(), Some(tag)),
        None => (image.to_owned(), Some("latest")),
    }
}

/// Whether an engine would take it for an image's name.
///
/// # Errors
/// `invalid` (`image-reference`).
pub(crate) fn check(image: &str) -> Result<(), Error> {
    if is_reference(image) {
        return Ok(());
    }
    let shown: String = image.chars().take(200).collect();
    Err(Error::invalid(
        "image-reference",
        format!(
            "`{shown}` is no image: write `image` as NAME:TAG or NAME@sha256:DIGEST, in lower case"
        ),
    ))
}

fn is_reference(image: &str) -> bool {
    if let Some(id) = image.strip_prefix("sha256:") {
        return is_digest(id);
    }
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let (name, tag) = match tagged(name) {
        Some((name, tag)) => (name, Some(tag)),
        None => (name, None),
    };
    let digest = digest.is_none_or(|digest| digest.strip_prefix("sha256:").is_some_and(is_digest));
    digest && tag.is_none_or(is_tag) && is_name(name)
}

/// A `:` before a `/` is a registry's port, all others begin a tag.
fn tagged(image: &str) -> Option<(&str, &str)> {
    image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))
}

fn is_digest(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let inside = |byte: u8| word(byte) || matches!(byte, b'.' | b'-');
    (1..=128).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(inside)
}

fn is_name(name: &str) -> bool {
    let words = match name.split_once('/') {
        Some((first, rest)) if !is_word(first) => is_registry(first).then_some(rest),
        _ => Some(name),
    };
    name.len() <= 255 && words.is_some_and(|words| words.split('/').all(is_word))
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let port = port.is_none_or(|port| {
        (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    port && edge(host.bytes().next())
        && edge(host.bytes().last())
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

/// Lower case and digits; between them one `.`, one or two `_`, or any number of `-`.
fn is_word(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let separators = word.split(|c: char| u8::try_from(c).is_ok_and(plain));
    let good =
        |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|b| b == b'-');
    let edge = |byte: Option<u8>| byte.is_some_and(plain);
    edge(word.bytes().next()) && edge(word.bytes().last()) && separators.into_iter().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn tags_digests_and_ports_are_told_apart() {
        for (image, name, tag) in [
            ("busybox", "busybox", Some("latest")),
            ("busybox:1.35", "busybox", Some("1.35")),
            ("ghcr.io/a/b:v1", "ghcr.io/a/b", Some("v1")),
            ("localhost:5000/a", "localhost:5000/a", Some("latest")),
            ("localhost:5000/a:2", "localhost:5000/a", Some("2")),
            ("a@sha256:00ff", "a@sha256:00ff", None),
            ("r:1/a:1@sha256:00ff", "r:1/a@sha256:00ff", None),
            ("", "", Some("latest")),
        ] {
            assert_eq!(split(image), (name.to_owned(), tag), "{image}");
        }
    }

    #[test]
    fn names_are_what_engines_take_for_names() {
        let digest = format!("a@sha256:{DIGEST}");
        let both = format!("ghcr.io/a/b:v1@sha256:{DIGEST}");
        let id = format!("sha256:{DIGEST}");
        for good in [
            "busybox",
            "busybox:1.35",
            "a.b/c_d/e__f/g---h:T_1.x-y",
            "localhost:5000/a",
            "Registry.Example.com/a",
            &digest,
            &both,
            &id,
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = "a".repeat(300);
        for bad in [
            "",
            "UPPER:1",
            "a b",
            "a:",
            "a:-x",
            ":1",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a@sha256:00",
            "a@md5:00",
            "a@",
            "http://a/b",
            "r:x/a",
            "r:123456/a",
            "ä",
            "sha256:00",
            &long,
        ] {
            assert_eq!(check(bad).unwrap_err().code, "image-reference", "{bad}");
        }
    }
}
