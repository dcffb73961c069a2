//! Lists, page by page.

use fleet_model::Error;
use serde::Serialize;
use utoipa::ToSchema;

use super::params::Params;

/// Entries on a page where nobody says.
const DEFAULT_LIMIT: usize = 100;
/// Entries on a page at most.
const MAX_LIMIT: usize = 500;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// What is on it.
    pub(super) items: Vec<T>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    pub(super) next: Option<String>,
}

impl<T> Page<T> {
    /// The page after `after` of a list that is in the order of its cursors.
    pub(super) fn cut(
        all: impl IntoIterator<Item = (String, T)>,
        after: Option<&str>,
        limit: usize,
    ) -> Self {
        let mut rest = all
            .into_iter()
            .skip_while(|(at, _)| after.is_some_and(|after| at.as_str() <= after))
            .peekable();
        let page: Vec<_> = rest.by_ref().take(limit).collect();
        let next = page
            .last()
            .filter(|_| rest.peek().is_some())
            .map(|(at, _)| at.clone());
        Self {
            items: page.into_iter().map(|(_, item)| item).collect(),
            next,
        }
    }
}

/// How many entries are asked for.
///
/// # Errors
/// `invalid` outside 1 to 500.
pub(super) fn limit(params: &mut Params) -> Result<usize, Error> {
    match params.read::<usize>("limit", "a number from 1 to 500")? {
        None => Ok(DEFAULT_LIMIT),
        Some(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        Some(limit) => Err(Error::invalid(
            "invalid-parameter",
            format!("`limit={limit}` is out of range: ask for 1 to {MAX_LIMIT} and follow `next`"),
        )),
    }
}
