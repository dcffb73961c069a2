//! Lines that would grant what is refused, as one text to copy.

/// The lines of several remedies together: each table once, each line once. Lines that belong into a
/// table that is there come first. Between two tables there is an empty line.
#[must_use]
pub fn merged<'a>(remedies: impl IntoIterator<Item = &'a str>) -> String {
    let mut tables: Vec<(&str, Vec<&str>)> = vec![("", Vec::new())];
    for remedy in remedies {
        let mut at = 0;
        for line in remedy.lines().filter(|line| !line.trim().is_empty()) {
            if line.starts_with('[') {
                let known = tables.iter().position(|(header, _)| *header == line);
                at = known.unwrap_or_else(|| {
                    tables.push((line, Vec::new()));
                    tables.len() - 1
                });
            } else if let Some((_, lines)) = tables.get_mut(at)
                && !lines.contains(&line)
            {
                lines.push(line);
            }
        }
    }
    let tables = tables.into_iter().filter(|(header, lines)| {
        let is_empty = header.is_empty() && lines.is_empty();
        !is_empty
    });
    let text = |(header, lines): (&str, Vec<&str>)| {
        let header = Some(header).filter(|header| !header.is_empty());
        header
            .into_iter()
            .chain(lines)
            .collect::<Vec<_>>()
            .join("\n")
    };
    tables.map(text).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_stands_once_and_so_does_a_line() {
        for (remedies, want) in [
            (&[][..], ""),
            (&["[a]\nlog = true"][..], "[a]\nlog = true"),
            (
                &["[a]\nclock = true", "[a]\nlog = true", "[a.b]\nany = true"],
                "[a]\nclock = true\nlog = true\n\n[a.b]\nany = true",
            ),
            (
                &[
                    "[a.b]\nany = true",
                    "log = true   # in the table [a]",
                    "config = true   # in the table [a]",
                ],
                "log = true   # in the table [a]\nconfig = true   # in the table [a]\n\n[a.b]\nany = true",
            ),
            (&["digest = \"x\"", "digest = \"x\""], "digest = \"x\""),
        ] {
            assert_eq!(merged(remedies.iter().copied()), want);
        }
    }
}
