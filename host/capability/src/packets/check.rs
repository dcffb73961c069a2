//! Which lines are packets.

use fleet_model::packet::MAX_PACKET_BYTES;
use serde_json::Value;

/// How deep a packet's arrays and objects may be nested: leaves room for what is wrapped around it
/// below the 128 that JSON parsers take.
const MAX_DEPTH: usize = 64;

/// The JSON of a line, or why it is none.
pub(crate) fn check(line: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(line)
        .map_err(|error| format!("not UTF-8 after byte {}", error.valid_up_to()))?
        .trim_ascii();
    if text.is_empty() {
        return Err("an empty line is not JSON".to_owned());
    }
    // Read in full: what is taken here must be readable by whoever gets it.
    serde_json::from_str::<Value>(text).map_err(|error| format!("not JSON: {error}"))?;
    if depth(text) > MAX_DEPTH {
        return Err(format!("nested deeper than {MAX_DEPTH}"));
    }
    Ok(text)
}

/// Why a line that goes on and on is refused.
pub(crate) fn too_large() -> String {
    format!("larger than {MAX_PACKET_BYTES} bytes, the limit of a packet")
}

fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_any_kind_passes_and_anything_else_says_why_not() {
        for good in ["{}", "[]", "0", "\"x\"", "true", "null", " {\"a\":1}\r"] {
            assert_eq!(check(good.as_bytes()), Ok(good.trim()));
        }
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(nested(MAX_DEPTH).as_bytes()).is_ok());
        let quoted = format!("\"\\\"{}\"", "[".repeat(200));
        assert!(check(quoted.as_bytes()).is_ok());
        for (bad, why) in [
            (&b""[..], "empty"),
            (b" \r", "empty"),
            (b"{", "not JSON: EOF"),
            (b"{} {}", "trailing"),
            (b"nope", "not JSON"),
            (b"1e999", "out of range"),
            (b"\"\xff\"", "not UTF-8 after byte 1"),
            (nested(MAX_DEPTH + 1).as_bytes(), "nested deeper than 64"),
            (nested(5_000).as_bytes(), "recursion"),
        ] {
            let found = check(bad).unwrap_err();
            assert!(found.contains(why), "{found}");
        }
    }
}
