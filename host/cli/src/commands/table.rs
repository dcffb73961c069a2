//! Tables without lines, and lists of `key: value`.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

/// Rows under a header, columns two spaces apart, no line longer than it must be.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| shown(&cell))));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

/// `key: value` lines with their values in one column; empty values are left out.
pub(crate) fn pairs(rows: impl IntoIterator<Item = (String, String)>) -> String {
    let rows: Vec<_> = rows
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let width = rows
        .iter()
        .map(|(key, _)| key.chars().count() + 1)
        .max()
        .unwrap_or(0);
    rows.iter()
        .map(|(key, value)| {
            let key = format!("{key}:");
            format!(
                "{key:width$} {}\n",
                value.trim_end().replace('\n', &format!("\n{:width$} ", ""))
            )
        })
        .collect()
}

/// A cell is one line, whatever a plugin or a program said, and moves no cursor.
fn shown(cell: &str) -> String {
    let line = cell.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    if line.is_empty() {
        "-".to_owned()
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_empty_cells_show() {
        let text = table(
            ["NAME", "WHY"],
            [
                ["a".into(), String::new()],
                ["longer".into(), "two\nlines\x1b[1m".into()],
            ],
        );
        assert_eq!(text, "NAME    WHY\na       -\nlonger  two lines[1m\n");
    }

    #[test]
    fn pairs_align_and_leave_out_what_is_empty() {
        let rows = [
            ("id", "wl_1"),
            ("exit code", "3"),
            ("empty", ""),
            ("why", "one\ntwo"),
        ];
        let text = pairs(rows.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(
            text,
            "id:        wl_1\nexit code: 3\nwhy:       one\n           two\n"
        );
    }
}
