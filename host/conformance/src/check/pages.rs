//! The pages of a list, as they come.

use std::collections::BTreeSet;

use fleet_model::driver::Listed;

use super::{Met, unmet};

/// How many pages are read at most: more is a list without an end.
const MAX_PAGES: usize = 10_000;

/// What was read so far.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) entries: Vec<Listed>,
    pages: usize,
    seen: BTreeSet<(String, u64, u32, Vec<u8>)>,
    cursors: BTreeSet<String>,
}

impl Walk {
    /// Takes a page, and answers the cursor of the next one.
    pub(crate) fn take(&mut self, page: Vec<Listed>, next: Option<String>) -> Met<Option<String>> {
        self.pages += 1;
        for entry in page {
            let Listed {
                handle,
                workload,
                generation,
                ..
            } = &entry;
            let name = format!("{workload} of generation {generation}");
            let key = (
                workload.clone(),
                generation.0,
                handle.schema,
                handle.opaque.clone(),
            );
            if !self.seen.insert(key) {
                let place = format!("{name} again on page {}", self.pages);
                return unmet("each runtime on one page", place);
            }
            self.entries.push(entry);
        }
        if let Some(cursor) = &next
            && (!self.cursors.insert(cursor.clone()) || self.pages > MAX_PAGES)
        {
            return unmet("a list with an end", format!("page {} again", self.pages));
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::Generation;
    use fleet_model::driver::Handle;

    use super::*;

    fn entry(workload: &str, byte: u8) -> Listed {
        Listed {
            handle: Handle {
                schema: 1,
                opaque: vec![byte],
            },
            workload: workload.to_owned(),
            node: String::new(),
            generation: Generation(1),
        }
    }

    #[test]
    fn each_runtime_comes_once_and_the_list_ends() {
        let mut walk = Walk::default();
        let next = |text: &str| Some(text.to_owned());
        assert_eq!(walk.take(vec![entry("a", 1)], next("1")), Ok(next("1")));
        assert_eq!(walk.take(vec![], next("2")), Ok(next("2")));
        assert_eq!(walk.take(vec![entry("a", 2)], None), Ok(None));
        assert_eq!(walk.entries.len(), 2);
        assert_eq!(
            walk.take(vec![entry("a", 1)], None),
            unmet(
                "each runtime on one page",
                "a of generation 1 again on page 4"
            )
        );
        let mut walk = Walk::default();
        walk.take(vec![], next("1")).unwrap();
        assert!(walk.take(vec![], next("1")).is_err());
    }
}
