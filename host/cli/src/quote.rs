//! Words for a POSIX shell: what is printed to be pasted means the same there.

use std::borrow::Cow;

/// One word, quoted where a shell would read more into it.
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

/// A command line.
pub(crate) fn line<T: AsRef<str>>(words: &[T]) -> String {
    words
        .iter()
        .map(|text| word(text.as_ref()))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_the_same_words() {
        assert_eq!(
            line(&["a", "b c", "$(PORT_HTTP)", "it's", "", "~"]),
            r"a 'b c' '$(PORT_HTTP)' 'it'\''s' '' '~'"
        );
    }
}
