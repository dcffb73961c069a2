//! Components that no toolchain makes: looked at and refused before anything is compiled.

use fleet_plugin::check_surface;

const IMPORTS: u32 = 1_000_000;

/// An unsigned number as WebAssembly writes it.
fn number(mut value: u32, to: &mut Vec<u8>) {
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            to.push(byte);
            return;
        }
        to.push(byte | 0x80);
    }
}

const DRIVER: &str = "fleet:backend/driver@0.1.0";

/// A component that imports so many empty instances, whose names this makes, and exports the first as a driver.
fn importing(count: u32, name: impl Fn(u32) -> String) -> Vec<u8> {
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    // One type: an instance with nothing in it.
    component.extend([7, 3, 1, 0x42, 0]);
    let mut imports = Vec::new();
    number(count, &mut imports);
    for index in 0..count {
        let name = name(index);
        imports.push(0);
        number(u32::try_from(name.len()).unwrap(), &mut imports);
        imports.extend(name.as_bytes());
        // Of the sort `instance`, of type 0.
        imports.extend([5, 0]);
    }
    component.push(10);
    number(u32::try_from(imports.len()).unwrap(), &mut component);
    component.extend(imports);
    component.push(11);
    number(u32::try_from(DRIVER.len()).unwrap() + 6, &mut component);
    // One export: its name, the instance 0, and no type of its own.
    component.extend([1, 0]);
    number(u32::try_from(DRIVER.len()).unwrap(), &mut component);
    component.extend(DRIVER.as_bytes());
    component.extend([5, 0, 0]);
    component
}

#[test]
fn a_million_imports_are_too_many() {
    let component = importing(IMPORTS, |index| format!("a:b/i{index}@0.1.0"));
    let reason = check_surface(&component).unwrap_err();
    assert!(reason.contains("more than 10000 imports"), "{reason}");
}

#[test]
fn an_import_that_nobody_offers_is_named_and_cut() {
    let hostile = format!("evil:{}/x@0.1.0", "a".repeat(90_000));
    let cut = format!("imports `evil:{}", "a".repeat(100));
    for (name, said) in [
        (
            "evil:host/everything@0.1.0",
            "imports `evil:host/everything@0.1.0`",
        ),
        ("env", "imports `env`"),
        (hostile.as_str(), cut.as_str()),
    ] {
        let reason = check_surface(&importing(1, |_| name.to_owned())).unwrap_err();
        assert!(reason.len() < 1_000, "{} bytes", reason.len());
        assert!(reason.starts_with(said), "{reason}");
    }
    // The same with an import that is offered is a driver.
    check_surface(&importing(1, |_| "fleet:host/log@0.1.0".to_owned())).unwrap();
}

#[test]
fn lengths_that_lie_are_broken_and_not_believed() {
    let honest = importing(1, |_| "a:b/c@0.1.0".to_owned());
    // The section says that it is 4 GiB long; the list in it, that it has four billion entries.
    let mut long = honest[..13].to_vec();
    long.extend([10, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    let mut many = honest[..13].to_vec();
    many.extend([10, 5, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    for component in [long, many] {
        let reason = check_surface(&component).unwrap_err();
        assert!(reason.contains("broken WebAssembly"), "{reason}");
    }
}
