//! The keys that leave a program without ending it: Ctrl-P Ctrl-Q, as in docker. Pure.

/// Ctrl-P.
const FIRST: u8 = 0x10;
/// Ctrl-Q.
const SECOND: u8 = 0x11;

/// What was typed, watched for the two keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Whether the first key was the last thing typed: it is held back until the next.
    is_held: bool,
}

/// What to do with what was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Typed {
    /// To be passed on.
    pub(super) bytes: Vec<u8>,
    /// Whether the two keys were typed; what comes after them is for nobody.
    pub(super) leaves: bool,
}

impl Keys {
    /// Watches.
    pub(super) fn typed(&mut self, typed: &[u8]) -> Typed {
        let mut bytes = Vec::with_capacity(typed.len() + 1);
        for byte in typed {
            match (std::mem::take(&mut self.is_held), *byte) {
                (true, SECOND) => {
                    return Typed {
                        bytes,
                        leaves: true,
                    };
                }
                (held, byte) => {
                    if held {
                        bytes.push(FIRST);
                    }
                    match byte {
                        FIRST => self.is_held = true,
                        byte => bytes.push(byte),
                    }
                }
            }
        }
        Typed {
            bytes,
            leaves: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_keys_leave_and_all_others_pass() {
        for (parts, passed, leaves) in [
            (&[&b"ls\r"[..]][..], &b"ls\r"[..], false),
            (&[b"a\x10\x11b"], b"a", true),
            (&[b"a\x10", b"\x11"], b"a", true),
            (&[b"\x10", b"x"], b"\x10x", false),
            (&[b"\x10\x10", b"\x11"], b"\x10", true),
            (&[b"\x11\x10x\x11"], b"\x11\x10x\x11", false),
            (&[b"\x10"], b"", false),
        ] {
            let (mut keys, mut out, mut left) = (Keys::default(), Vec::new(), false);
            for part in parts {
                let typed = keys.typed(part);
                out.extend(typed.bytes);
                left |= typed.leaves;
            }
            assert_eq!((out.as_slice(), left), (passed, leaves), "{parts:?}");
        }
    }
}
