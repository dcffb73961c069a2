//! Path templates: `/{version}/containers/{id}/start`, `/images/{image...}/json`.

use crate::endpoint::request::segments;

/// A path with names in place of some segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathTemplate {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(String),
    One(String),
    /// One or more.
    Many(String),
}

impl PathTemplate {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix('/')
            .ok_or_else(|| format!("the path `{text}` must begin with `/`"))?;
        let read: Vec<Segment> = rest
            .split('/')
            .map(|part| segment(part).ok_or_else(|| format!("`{part}` in the path `{text}` is neither plain text nor `{{name}}` nor `{{name...}}`")))
            .collect::<Result<_, _>>()?;
        let many = read.iter().filter(|s| matches!(s, Segment::Many(_)));
        if many.count() > 1 {
            return Err(format!("the path `{text}` has more than one `{{name...}}`"));
        }
        let template = Self { segments: read };
        let names: Vec<&str> = template.names().collect();
        let twice = names
            .iter()
            .enumerate()
            .find(|(at, name)| names.iter().take(*at).any(|other| other == *name));
        match twice {
            Some((_, name)) => Err(format!("the path `{text}` has `{{{name}}}` twice")),
            None => Ok(template),
        }
    }

    /// The names in it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::One(name) | Segment::Many(name) => Some(name.as_str()),
        })
    }

    /// Its parts, in order.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What stands for each name, if the path has this form.
    pub(crate) fn take(&self, path: &[String]) -> Option<Vec<(&str, String)>> {
        let at = self
            .segments
            .iter()
            .position(|segment| matches!(segment, Segment::Many(_)));
        let Some(at) = at else {
            return (self.segments.len() == path.len())
                .then(|| each(&self.segments, path))
                .flatten();
        };
        let (before, rest) = self.segments.split_at(at);
        let (many, after) = rest.split_first()?;
        let Segment::Many(name) = many else {
            return None;
        };
        let (first, middle) = path.split_at_checked(before.len())?;
        let cut = middle
            .len()
            .checked_sub(after.len())
            .filter(|cut| *cut > 0)?;
        let (middle, last) = middle.split_at_checked(cut)?;
        let mut taken = each(before, first)?;
        taken.push((name, middle.join("/")));
        taken.extend(each(after, last)?);
        Some(taken)
    }
}

fn each<'t>(template: &'t [Segment], path: &[String]) -> Option<Vec<(&'t str, String)>> {
    let mut taken = Vec::new();
    for (segment, text) in template.iter().zip(path) {
        match segment {
            Segment::Literal(literal) if literal == text => {}
            Segment::Literal(_) | Segment::Many(_) => return None,
            Segment::One(name) => taken.push((name.as_str(), text.clone())),
        }
    }
    Some(taken)
}

fn segment(part: &str) -> Option<Segment> {
    if let Some(name) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
        let (name, is_many) = match name.strip_suffix("...") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'));
        return is_name.then(|| {
            if is_many {
                Segment::Many(name.to_owned())
            } else {
                Segment::One(name.to_owned())
            }
        });
    }
    let is_plain = !part.contains(['{', '}', '%']) && segments(&format!("/{part}")).is_ok();
    is_plain.then(|| Segment::Literal(part.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_segments() {
        for (template, path, want) in [
            ("/a/{x}", "/a/b", Some(vec![("x", "b")])),
            ("/a/{x}", "/a", None),
            ("/a/{x}", "/a/b/c", None),
            ("/a/{x}", "/A/b", None),
            (
                "/{v}/i/{n...}/json",
                "/1/i/b/json",
                Some(vec![("v", "1"), ("n", "b")]),
            ),
            (
                "/{v}/i/{n...}/json",
                "/1/i/a/b/c/json",
                Some(vec![("v", "1"), ("n", "a/b/c")]),
            ),
            ("/{v}/i/{n...}/json", "/1/i/json", None),
            ("/{v}/i/{n...}/json", "/1/i/a/jsn", None),
            ("/{n...}", "/a/b", Some(vec![("n", "a/b")])),
        ] {
            let template = PathTemplate::parse(template).unwrap();
            let taken = template.take(&segments(path).unwrap());
            let want = want.map(|w| w.into_iter().map(|(n, t)| (n, t.to_owned())).collect());
            assert_eq!(taken, want, "{path}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in [
            "",
            "a",
            "/",
            "/a//b",
            "/a{x}",
            "/{x",
            "/{}",
            "/{x}/{x}",
            "/{a...}/{b...}",
            "/a%20",
            "/..",
            "/a?b",
        ] {
            assert!(PathTemplate::parse(text).is_err(), "{text}");
        }
    }
}
