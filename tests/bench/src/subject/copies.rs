//! More plugins than are shipped: copies of one under other names.
//!
//! A component says its own name, so a copy is patched. The compiler keeps the name either beside
//! the version in a data segment, or, where it is four letters long, as a constant in the code;
//! both are replaced by another of the same length, and whether that worked the host tells.

use std::path::Path;

use crate::Result;
use crate::benchmarks::Bench;
use crate::subject::plugins::shipped;

/// The names of the copies that [`folder`] makes of `mock`.
pub(crate) const COPIES: [&str; 3] = ["moca", "mocd", "moce"];

/// The plugins that are shipped.
pub(crate) const SHIPPED: [&str; 2] = ["mock", "native"];

/// Fills a folder with the shipped plugins and the copies.
pub(crate) fn folder(bench: &Bench, folder: &Path) -> Result<()> {
    let write = |name: &str, component: &[u8], manifest: &str| -> Result<()> {
        std::fs::write(folder.join(format!("{name}.wasm")), component)?;
        std::fs::write(folder.join(format!("{name}.toml")), manifest)?;
        Ok(())
    };
    for name in SHIPPED {
        let (component, manifest) = shipped(bench, name)?;
        write(name, &component, &manifest)?;
    }
    let (component, manifest) = shipped(bench, "mock")?;
    for copy in COPIES {
        let manifest = manifest.replacen("name = \"mock\"", &format!("name = \"{copy}\""), 1);
        write(copy, &renamed(&component, "mock", copy)?, &manifest)?;
    }
    Ok(())
}

/// The component under another name of the same length.
fn renamed(component: &[u8], from: &str, to: &str) -> Result<Vec<u8>> {
    let mut patched = component.to_vec();
    let spellings = [
        (
            format!("{from}0.1.0").into_bytes(),
            format!("{to}0.1.0").into_bytes(),
        ),
        (constant(from), constant(to)),
    ];
    let found = spellings
        .iter()
        .filter(|(old, new)| !old.is_empty() && old.len() == new.len())
        .map(|(old, new)| replace(&mut patched, old, new))
        .sum::<usize>();
    if found == 0 {
        return Err(format!("nowhere does the component say that it is `{from}`").into());
    }
    Ok(patched)
}

/// `i32.const` with four letters (WebAssembly core specification, 5.2.2: signed LEB128).
fn constant(name: &str) -> Vec<u8> {
    let Ok(letters) = <[u8; 4]>::try_from(name.as_bytes()) else {
        return Vec::new();
    };
    let mut rest = i32::from_le_bytes(letters);
    let mut bytes = vec![0x41];
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        let is_last = (rest == 0 && low & 0x40 == 0) || (rest == -1 && low & 0x40 != 0);
        if is_last {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Replaces every occurrence, and says how many there were.
fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) -> usize {
    let places: Vec<usize> = bytes
        .windows(old.len())
        .enumerate()
        .filter(|(_, window)| *window == old)
        .map(|(place, _)| place)
        .collect();
    for place in &places {
        if let Some(room) = bytes.get_mut(*place..place + new.len()) {
            room.copy_from_slice(new);
        }
    }
    places.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_beside_its_version_and_as_a_constant() {
        assert_eq!(constant("mock"), [0x41, 0xed, 0xde, 0x8d, 0xdb, 0x06]);
        let component = [
            b"..mock0.1.0{".to_vec(),
            constant("mock"),
            b"a mock".to_vec(),
        ]
        .concat();
        let expected = [
            b"..moca0.1.0{".to_vec(),
            constant("moca"),
            b"a mock".to_vec(),
        ]
        .concat();
        assert_eq!(renamed(&component, "mock", "moca").unwrap(), expected);
        assert!(renamed(b"a mock", "mock", "moca").is_err());
    }
}
