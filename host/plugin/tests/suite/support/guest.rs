//! Components made on the spot: a core module in WAT, and around it what the WIT in `wit/` says a
//! backend looks like.
//!
//! Memory: 512 is all zero, which every export may answer: a success with nothing in it. `describe`
//! answers what stands at 1024, the texts are from 2048 on, and what the host passes in goes to
//! 32768 and up. Imports are called by their names: `call $clock.now`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::LazyLock;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Function, Resolve, WorldId, WorldItem};

const ZERO: &str = "i32.const 512";

/// Answers `inspect` with `lost` and the text at `$at`, `$length`.
pub(crate) const LOST: &str = "
    i32.const 520 i32.const 3 i32.store8
    i32.const 528 local.get $at i32.store
    i32.const 532 local.get $length i32.store
    i32.const 512";

/// What a guest may call and what a backend may offer.
const WORLDS: &str = "
package tests:guests;

world plain {
    import fleet:host/clock@0.1.0;
    import fleet:host/config@0.1.0;
    import fleet:host/endpoint@0.1.0;
    import fleet:host/handles@0.1.0;
    import fleet:host/lines@0.1.0;
    import fleet:host/log@0.1.0;
    import fleet:host/process@0.1.0;
    export fleet:backend/driver@0.1.0;
}

world with-input {
    include plain;
    export fleet:backend/input@0.1.0;
}";

static CONTRACT: LazyLock<Resolve> = LazyLock::new(|| {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut contract = Resolve::default();
    for package in ["common", "host", "backend"] {
        contract
            .push_dir(wit.join(package).join("0.1.0"))
            .unwrap_or_else(|error| panic!("{error:#}"));
    }
    contract.push_str("worlds.wit", WORLDS).unwrap();
    contract
});

/// A backend in the making.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) schema: String,
    pub(crate) bodies: BTreeMap<&'static str, String>,
    pub(crate) world: &'static str,
    pub(crate) texts: Vec<u8>,
    pub(crate) attribute: Option<Text>,
    /// The handle schema it writes.
    pub(crate) writes: u32,
    /// Those it reads, at most 14.
    pub(crate) reads: Vec<u32>,
}

/// A text in a guest's memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text {
    pub(crate) at: u32,
    pub(crate) length: u32,
}

impl Text {
    /// Puts it into the field at this address.
    pub(crate) fn into(self, field: u32) -> String {
        let Self { at, length } = self;
        format!("{}{}", word(field, at), word(field + 4, length))
    }
}

/// Puts a number into the field at this address.
pub(crate) fn word(field: u32, value: u32) -> String {
    format!("i32.const {field} i32.const {value} i32.store ")
}

/// What a guest says of a handle: the case of the contract's variant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said {
    Running = 1,
    Exited = 2,
    Lost = 3,
    Unknown = 4,
}

/// A body of `recover` that says the same of every handle.
pub(crate) fn answering(said: Said) -> String {
    let tag = said as u32;
    format!(
        "i32.const 0 local.set $at
         (block (loop
            local.get $at local.get 1 i32.ge_u br_if 1
            local.get $at i32.const 64 i32.mul i32.const 40960 i32.add i32.const {tag} i32.store8
            local.get $at i32.const 1 i32.add local.set $at
            br 0))
         i32.const 516 i32.const 40960 i32.store
         i32.const 520 local.get 1 i32.store
         i32.const 512"
    )
}

/// Where texts begin.
const TEXTS: u32 = 2_048;
/// Where the handle schemas stand that it reads.
const READS: u32 = 960;

impl Guest {
    /// One whose every call succeeds and does nothing.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            schema: r#"{"type":"object"}"#.to_owned(),
            bodies: BTreeMap::new(),
            world: "plain",
            texts: Vec::new(),
            attribute: None,
            writes: 1,
            reads: vec![1],
        }
    }

    /// The same with another body of an export: it leaves the address of its answer.
    pub(crate) fn with(mut self, export: &'static str, body: &str) -> Self {
        self.bodies.insert(export, body.to_owned());
        self
    }

    /// The same in another version.
    pub(crate) fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// The same with these handle schemas.
    pub(crate) fn handles(mut self, writes: u32, reads: &[u32]) -> Self {
        self.writes = writes;
        self.reads = reads.to_vec();
        self
    }

    /// The same with a `recover` that says the same of every handle.
    pub(crate) fn knowing(self, said: Said) -> Self {
        self.with("recover", &answering(said))
    }

    /// The same with an `inspect` that answers `lost` with the settings, or with the refusal.
    pub(crate) fn telling_settings(self) -> Self {
        self.with("inspect", &telling("$config.get"))
    }

    /// The same, and takes commands.
    pub(crate) fn with_input(mut self) -> Self {
        self.world = "with-input";
        self
    }

    /// Keeps a text in the guest's memory.
    pub(crate) fn text(&mut self, text: &str) -> Text {
        let at = TEXTS + u32::try_from(self.texts.len()).unwrap();
        self.texts.extend_from_slice(text.as_bytes());
        self.texts
            .resize(self.texts.len().next_multiple_of(8), b'\0');
        assert!(self.texts.len() < 16_384, "too many texts");
        Text {
            at,
            length: u32::try_from(text.len()).unwrap(),
        }
    }

    /// Keeps a list with one pair of texts in the guest's memory.
    pub(crate) fn pair_of(&mut self, name: Text, value: Text) -> Text {
        let at = TEXTS + u32::try_from(self.texts.len()).unwrap();
        for word in [name.at, name.length, value.at, value.length] {
            self.texts.extend_from_slice(&word.to_le_bytes());
        }
        Text { at, length: 1 }
    }

    /// The same with a description that has these attributes.
    pub(crate) fn describing(mut self, attributes: Text) -> Self {
        self.attribute = Some(attributes);
        self
    }

    pub(crate) fn manifest(&self, more: &str) -> String {
        format!(
            "name = \"{}\"\nkind = \"backend\"\nversion = \"{}\"\n{more}",
            self.name, self.version
        )
    }

    pub(crate) fn component(&self) -> Vec<u8> {
        let world = world(self.world);
        let mut module = wat::parse_str(self.core(world)).unwrap_or_else(|error| panic!("{error}"));
        embed_component_metadata(&mut module, &CONTRACT, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default()
            .module(&module)
            .and_then(|mut encoder| encoder.encode())
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn core(&self, world: WorldId) -> String {
        let mut guest = self.clone();
        let texts = [&self.name, &self.version, &self.schema].map(|text| guest.text(text));
        let mut core = guest.imports(world);
        core.push_str(
            r#"
            (memory (export "memory") 1)
            (global $free (mut i32) (i32.const 32768))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                global.get $free
                global.get $free local.get 3 i32.add i32.const 7 i32.add i32.const -8 i32.and global.set $free)
            "#,
        );
        // result<description>: 0 = ok, then at 4 the record.
        let [name, version, schema] = texts;
        let attributes = self.attribute.unwrap_or(Text { at: 0, length: 0 });
        let words: Vec<u8> = [0]
            .into_iter()
            .chain([name.at, name.length, version.at, version.length])
            .chain([self.writes, READS, u32::try_from(self.reads.len()).unwrap()])
            .chain([schema.at, schema.length])
            .chain([attributes.at, attributes.length])
            .flat_map(u32::to_le_bytes)
            .collect();
        let reads = self.reads.iter().flat_map(|schema| schema.to_le_bytes());
        let reads: Vec<u8> = reads.collect();
        for (at, bytes) in [(TEXTS, &guest.texts), (READS, &reads), (1_024, &words)] {
            writeln!(core, "(data (i32.const {at}) \"{}\")", escaped(bytes)).unwrap();
        }
        guest.exports(world, &mut core);
        format!("(module {core})")
    }

    /// What the bodies call, under its short name.
    fn imports(&self, world: WorldId) -> String {
        let mut core = String::new();
        for (interface, function) in functions(&CONTRACT.worlds[world].imports) {
            let short = interface
                .rsplit('/')
                .next()
                .and_then(|name| name.split('@').next())
                .unwrap();
            let name = &function.name;
            let call = format!("${short}.{name}");
            let mut words = self
                .bodies
                .values()
                .flat_map(|body| body.split_whitespace());
            if words.any(|word| word == call) {
                let signature = signature(function, AbiVariant::GuestImport);
                writeln!(
                    core,
                    "(import \"{interface}\" \"{name}\" (func ${short}.{name} {signature}))"
                )
                .unwrap();
            }
        }
        core
    }

    fn exports(&self, world: WorldId, core: &mut String) {
        let mut unused: Vec<&str> = self.bodies.keys().copied().collect();
        for (interface, function) in functions(&CONTRACT.worlds[world].exports) {
            let name = function.name.as_str();
            unused.retain(|body| *body != name);
            let default = if name == "describe" {
                "i32.const 1024"
            } else {
                ZERO
            };
            let body = self.bodies.get(name).map_or(default, String::as_str);
            let signature = signature(function, AbiVariant::GuestExport);
            writeln!(
                core,
                "(func ${name} (export \"{interface}#{name}\") {signature}
                    (local $at i32) (local $length i32) {body})"
            )
            .unwrap();
        }
        assert!(unused.is_empty(), "no exports: {unused:?}");
    }
}

fn world(name: &str) -> WorldId {
    let mut worlds = CONTRACT.worlds.iter();
    worlds.find(|(_, world)| world.name == name).unwrap().0
}

/// The functions of a world's interfaces, each with the interface's name.
fn functions<'a>(
    items: impl IntoIterator<Item = (&'a wit_parser::WorldKey, &'a WorldItem)>,
) -> Vec<(String, &'static Function)> {
    let interfaces = items.into_iter().filter_map(|(_, item)| match item {
        WorldItem::Interface { id, .. } => Some(*id),
        _ => None,
    });
    interfaces
        .flat_map(|id| {
            let functions = CONTRACT.interfaces[id].functions.values();
            functions.map(move |function| (CONTRACT.id_of(id).unwrap(), function))
        })
        .collect()
}

/// A function's core type as WAT has it: `(param i32) (result i32)`.
fn signature(function: &Function, variant: AbiVariant) -> String {
    let types = |keyword: &str, types: &[WasmType]| {
        let names = types.iter().map(|wasm| match wasm {
            WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
            WasmType::I64 | WasmType::PointerOrI64 => "i64",
            WasmType::F32 => "f32",
            WasmType::F64 => "f64",
        });
        match names.collect::<Vec<_>>().join(" ") {
            none if none.is_empty() => none,
            names => format!("({keyword} {names})"),
        }
    };
    let signature = CONTRACT.wasm_signature(variant, function);
    format!(
        "{} {}",
        types("param", &signature.params),
        types("result", &signature.results)
    )
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
