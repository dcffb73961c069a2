//! The commented `fleet-host.toml`, and `docs/configuration.md` made from it.
//!
//! In the file, `# text` is prose and `#key = value` a key with its default. Blocks stand between
//! empty lines. What is prose there is prose in the document.

/// The reference itself.
pub(crate) const REFERENCE: &str = include_str!("../../../../fleet-host.toml");

/// The document.
pub(crate) fn markdown() -> String {
    let mut text = String::from(
        "# Configuration\n\n<!-- Made from fleet-host.toml by `fleet-host config reference`. Change that file. -->\n",
    );
    let mut table = String::new();
    for block in REFERENCE.split("\n\n") {
        let (prose, settings): (Vec<&str>, Vec<&str>) = block
            .lines()
            .partition(|line| *line == "#" || line.starts_with("# "));
        let prose: Vec<&str> = prose
            .into_iter()
            .map(|line| line.trim_start_matches('#').trim_start())
            .collect();
        let settings: Vec<&str> = settings
            .into_iter()
            .map(|line| line.trim_start_matches('#'))
            .collect();
        match settings.as_slice() {
            [header] if header.starts_with('[') => {
                table = header.trim_matches(['[', ']']).to_owned();
                text.push_str(&format!("\n## `[{table}]`\n"));
            }
            [first, ..] => {
                let key = first.split(" =").next().unwrap_or(first);
                let level = if table.is_empty() { "##" } else { "###" };
                let path = if table.is_empty() {
                    key.to_owned()
                } else {
                    format!("{table}.{key}")
                };
                text.push_str(&format!("\n{level} `{path}`\n"));
            }
            [] => {}
        }
        paragraphs(&prose, &mut text);
        if settings.iter().any(|line| line.contains(" =")) {
            text.push_str(&format!("\n```toml\n{}\n```\n", settings.join("\n")));
        }
    }
    text
}

/// Prose; a line about variables and flags is a paragraph of its own.
fn paragraphs(prose: &[&str], text: &mut String) {
    let mut open = false;
    for line in prose {
        if line.is_empty() || line.starts_with("Environment:") {
            open = false;
        }
        if line.is_empty() {
            continue;
        }
        if !open {
            text.push('\n');
            open = true;
        }
        text.push_str(line);
        text.push('\n');
    }
}

/// The reference with every key in force.
#[cfg(test)]
pub(crate) fn uncommented() -> String {
    let lines = REFERENCE.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_document_is_the_made_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let checked_in = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            checked_in == markdown(),
            "docs/configuration.md is out of date: `cargo xtask generate` rewrites it"
        );
    }

    #[test]
    fn a_key_becomes_a_section() {
        let text = markdown();
        assert!(
            text.contains("\n## `listen`\n\nWhere the API listens."),
            "{text}"
        );
        assert!(
            text.contains("\n## `[plugins]`\n\n### `plugins.dir`\n"),
            "{text}"
        );
        assert!(
            text.contains("\nEnvironment: FLEET_LOG_LEVEL.\n\n```toml\nlevel = \"warn\"\n```\n"),
            "{text}"
        );
    }
}
