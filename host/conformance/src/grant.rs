//! What the component is granted where no file says it: what its manifest asks for.

use fleet_plugin::manifest::Manifest;
use fleet_plugin::{Usual, default_grants};

/// The launcher that stands for whichever are granted.
const ANY_PROGRAM: &str = "dev";

/// The text of a grants file that gives a plugin all it asks for. A launcher starts any program; for
/// `"*"` there is the launcher `dev`. An endpoint is where it usually is.
pub(crate) fn all_it_asks(manifest: &Manifest, usual: &[Usual]) -> String {
    let name = &manifest.name;
    let mut text = default_grants(
        std::slice::from_ref(manifest),
        std::slice::from_ref(name),
        usual,
    );
    let launchers = &manifest.requests.process.launchers;
    let has_it = launchers
        .named()
        .any(|launcher| launcher.as_str() == ANY_PROGRAM);
    if launchers.has_any() && !has_it {
        text.push_str(&format!(
            "\n[{name}.process.launchers.{ANY_PROGRAM}]\nany = true\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use fleet_plugin::Grants;

    use super::*;

    #[test]
    fn a_plugin_gets_what_it_asks_and_dev_for_any_launcher() {
        let head = "name = \"p\"\nkind = \"backend\"\nversion = \"1\"\n[capabilities]\n";
        for (asks, want) in [
            ("", "p: nothing"),
            (
                "log = true\nclock = true\nconfig = true",
                "p: log, clock, config",
            ),
            (
                "process = { launchers = [\"*\"] }",
                "p: launcher dev (any program)",
            ),
            (
                "process = { launchers = [\"dev\", \"*\"] }\nsecrets = [\"*\"]",
                "p: launcher dev (any program), all secrets",
            ),
            (
                "process = { launchers = [\"web\", \"*\"] }",
                "p: launcher dev (any program), launcher web (any program)",
            ),
            (
                "process = { launchers = [\"web\"] }",
                "p: launcher web (any program)",
            ),
        ] {
            let manifest = Manifest::parse("p.toml", &format!("{head}{asks}")).unwrap();
            let grants = Grants::parse("grants.toml", &all_it_asks(&manifest, &[])).unwrap();
            assert_eq!(grants.summary(), [want], "{asks}");
        }
    }
}
