//! A part of a list: every list of the contract is paged.

use crate::Page;

impl Page {
    /// The entries of one page, in the order of their keys, and the cursor of the next page. The cursor is
    /// a key, so that what comes and goes between two pages moves nothing. Keys must be unique.
    #[must_use]
    pub fn of<T>(&self, entries: Vec<T>, key: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        let after = self.cursor.as_deref().unwrap_or_default();
        let mut rest: Vec<(String, T)> = entries
            .into_iter()
            .map(|entry| (key(&entry), entry))
            .filter(|(key, _)| key.as_str() > after)
            .collect();
        rest.sort_by(|(a, _), (b, _)| a.cmp(b));
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX).max(1);
        let is_last = rest.len() <= limit;
        rest.truncate(limit);
        let next = rest.last().map(|(key, _)| key.clone());
        let part = rest.into_iter().map(|(_, entry)| entry).collect();
        (part, next.filter(|_| !is_last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let entries = || ["d", "b", "a", "e", "c"].map(str::to_owned).to_vec();
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = Page { cursor, limit: 2 };
            let (part, next) = page.of(entries(), String::clone);
            assert!(part.len() <= 2);
            seen.extend(part);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    }
}
