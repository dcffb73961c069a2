//! What a file is, from its bytes alone: a component or not, and the names it imports and exports.
//!
//! Whether its code is valid is for the compiler to say, which runs apart from the host.

use wasmparser::{Encoding, Parser, Payload};

/// How many imports or exports a component may have.
const MAX_NAMES: usize = 10_000;

/// The names at the surface of a component.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Surface {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// Reads the surface of a component.
///
/// # Errors
/// What the file is instead.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Surface, String> {
    if !bytes.starts_with(b"\0asm") {
        return Err("is not WebAssembly".to_owned());
    }
    let broken = |error: wasmparser::BinaryReaderError| {
        format!(
            "is broken WebAssembly: {} at byte {}",
            error.message(),
            error.offset()
        )
    };
    let mut surface = Surface::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => {
                return Err(
                    "is a core module, not a component: build it with --target wasm32-wasip2"
                        .to_owned(),
                );
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    push(&mut surface.imports, import.map_err(broken)?.name.name)?;
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    push(&mut surface.exports, export.map_err(broken)?.name.name)?;
                }
            }
            _ => {}
        }
    }
    Ok(surface)
}

fn push(names: &mut Vec<String>, name: &str) -> Result<(), String> {
    if names.len() == MAX_NAMES {
        return Err(format!("has more than {MAX_NAMES} imports or exports"));
    }
    names.push(name.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outermost_names_count() {
        let text = r#"(component
            (import "fleet:host/log@0.1.0" (instance))
            (component (import "inner" (instance)) (export "x" (instance 0)))
            (core module (import "env" "f" (func)) (export "g" (func 0)))
            (instance $i)
            (export "fleet:backend/driver@0.1.0" (instance $i)))"#;
        let surface = inspect(&wat::parse_str(text).unwrap()).unwrap();
        assert_eq!(surface.imports, ["fleet:host/log@0.1.0"]);
        assert_eq!(surface.exports, ["fleet:backend/driver@0.1.0"]);
    }

    #[test]
    fn what_is_no_component_is_named() {
        let module = wat::parse_str("(module)").unwrap();
        let component = wat::parse_str("(component (core module) (core module))").unwrap();
        for (bytes, want) in [
            (&b"garbage"[..], "not WebAssembly"),
            (b"", "not WebAssembly"),
            (b"\0asm", "broken WebAssembly"),
            (&component[..component.len() - 3], "broken WebAssembly"),
            (&module, "core module"),
        ] {
            assert!(inspect(bytes).unwrap_err().contains(want), "{want}");
        }
    }
}
