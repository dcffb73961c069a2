//! Where a refusal must say the trouble is: at what the attempt changed. One that is refused for
//! another reason shows nothing.

use serde_json::Value;

/// Places in a request, as refusals write them: `path`, `path.NAME`, `query.KEY`, `header.NAME`, `op`, `call`,
/// `body/POINTER`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(Vec<Place>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Exactly(String),
    /// It, or anything in it.
    In(String),
    /// The path, or any part of it.
    Path,
}

impl Places {
    /// Whether this is one of them.
    #[must_use]
    pub fn hold(&self, at: &str) -> bool {
        self.0.iter().any(|place| match place {
            Place::Exactly(place) => at == place,
            Place::Path => at == "path" || at.starts_with("path."),
            Place::In(place) => at
                .strip_prefix(place.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        })
    }

    pub(crate) fn add(&mut self, at: impl Into<String>) {
        self.0.push(Place::Exactly(at.into()));
    }

    pub(crate) fn add_path(&mut self) {
        self.0.push(Place::Path);
    }

    pub(crate) fn add_body(&mut self) {
        self.0.push(Place::In("body".to_owned()));
    }

    /// A value that is put into a body: it, or the nearest object of the body that shall hold it.
    pub(crate) fn add_value(&mut self, body: &Value, pointer: &str) {
        self.0.push(Place::In(format!("body{pointer}")));
        let mut holder = pointer;
        while let Some((above, _)) = holder.rsplit_once('/') {
            holder = above;
            if body.pointer(holder).is_some() {
                break;
            }
        }
        self.add(format!("body{holder}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_is_about_what_was_changed() {
        let body = json!({"HostConfig": {"Mounts": [{"Type": "bind"}]}});
        for (pointer, at, want) in [
            ("/HostConfig/Privileged", "body/HostConfig", true),
            ("/HostConfig/Privileged", "body/HostConfig/Privileged", true),
            ("/HostConfig/Mounts", "body/HostConfig/Mounts/0/Type", true),
            ("/HostConfig/Privileged", "body/HostConfig/Mounts", false),
            ("/HostConfig/Privileged", "body", false),
            ("/HostConfig/Privileged", "path", false),
            ("/Unknown/Inside", "body", true),
            ("/Unknown/Inside", "body/HostConfig", false),
        ] {
            let mut places = Places::default();
            places.add_value(&body, pointer);
            assert_eq!(places.hold(at), want, "{pointer}: {at}");
        }
    }
}
