//! Components made on the spot: a core module in WAT inside the outside of a backend.
//!
//! Memory: 512 is all zero, which every export may answer: a success with nothing in it. `describe`
//! answers what stands at 1024, the texts are from 2048 on, and what the host passes in goes to
//! 32768 and up.

use std::collections::BTreeMap;
use std::fmt::Write;

const OUTSIDE: &str = include_str!("../guests/backend.wat");
const ZERO: &str = "i32.const 512";

/// Each export of the driver with its core parameters.
const EXPORTS: [(&str, &str); 11] = [
    ("describe", ""),
    ("fingerprint", ""),
    ("create", "i32"),
    ("start", OP_AND_HANDLE),
    (
        "stop",
        "i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32",
    ),
    ("kill", OP_AND_HANDLE),
    ("destroy", OP_AND_HANDLE),
    ("inspect", "i32 i32 i32"),
    ("recover", "i32 i32"),
    ("list", "i32 i32 i32 i32"),
    ("watch", "i32 i32 i32"),
];
const OP_AND_HANDLE: &str = "i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32 i32";

/// Answers `inspect` with `lost` and the text at `$at`, `$length`.
pub(crate) const LOST: &str = "
    i32.const 520 i32.const 3 i32.store8
    i32.const 528 local.get $at i32.store
    i32.const 532 local.get $length i32.store
    i32.const 512";

/// A backend in the making.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) schema: String,
    pub(crate) bodies: BTreeMap<&'static str, String>,
}

impl Guest {
    /// One whose every call succeeds and does nothing.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            schema: r#"{"type":"object"}"#.to_owned(),
            bodies: BTreeMap::new(),
        }
    }

    /// The same with another body of an export: it leaves the address of its answer.
    pub(crate) fn with(mut self, export: &'static str, body: &str) -> Self {
        assert!(EXPORTS.iter().any(|(name, _)| *name == export), "{export}");
        self.bodies.insert(export, body.to_owned());
        self
    }

    /// The same with an `inspect` that answers `lost` with the settings, or with the refusal.
    pub(crate) fn telling_settings(self) -> Self {
        self.with("inspect", &telling("$config"))
    }

    pub(crate) fn manifest(&self, more: &str) -> String {
        format!(
            "name = \"{}\"\nkind = \"backend\"\nversion = \"{}\"\n{more}",
            self.name, self.version
        )
    }

    pub(crate) fn component(&self) -> Vec<u8> {
        wat::parse_str(OUTSIDE.replace(";;core;;", &self.core())).unwrap()
    }

    fn core(&self) -> String {
        let texts = [&self.name, &self.version, &self.schema];
        let mut place = 2048_u32;
        let mut core = String::from(
            r#"
            (import "fleet:host/config@0.1.0" "get" (func $config (param i32)))
            (import "fleet:host/clock@0.1.0" "now" (func $clock (param i32)))
            (memory (export "memory") 1)
            (global $free (mut i32) (i32.const 32768))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                global.get $free
                global.get $free local.get 3 i32.add i32.const 7 i32.add i32.const -8 i32.and global.set $free)
            "#,
        );
        // result<description>: 0 = ok, then at 4 the record. `reads` is the one schema at 1016.
        let mut words = vec![0_u32];
        for text in texts {
            words.extend([place, u32::try_from(text.len()).unwrap()]);
            writeln!(
                core,
                "(data (i32.const {place}) \"{}\")",
                escaped(text.as_bytes())
            )
            .unwrap();
            place += u32::try_from(text.len()).unwrap().next_multiple_of(8);
        }
        words.splice(5..5, [1, 1016, 1]);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        writeln!(
            core,
            "(data (i32.const 1016) \"\\01\")\n(data (i32.const 1024) \"{}\")",
            escaped(&bytes)
        )
        .unwrap();
        for (name, params) in EXPORTS {
            let default = if name == "describe" {
                "i32.const 1024"
            } else {
                ZERO
            };
            let body = self.bodies.get(name).map_or(default, String::as_str);
            writeln!(
                core,
                "(func ${name} (export \"fleet:backend/driver@0.1.0#{name}\") (param {params}) (result i32)
                    (local $at i32) (local $length i32) {body})"
            )
            .unwrap();
        }
        core
    }
}

/// A body that calls an import whose answer is a text, and tells it or the refusal's message.
fn telling(import: &str) -> String {
    format!(
        "i32.const 640 call {import}
         i32.const 640 i32.load8_u
         if
            i32.const 656 i32.load local.set $at
            i32.const 660 i32.load local.set $length
         else
            i32.const 644 i32.load local.set $at
            i32.const 648 i32.load local.set $length
         end {LOST}"
    )
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}
