//! What is asked of the engine: a request without the version its path begins with.
//!
//! Each function is one request, and `policies/docker.toml` has a rule for each and no more. What is the
//! host's to say, as the name and the owner of a container, does not stand here.

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    /// What comes behind the version.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    /// JSON.
    pub(crate) body: Option<String>,
}

/// How a stream's bytes lie: a name of the policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Framing {
    /// Frames with a header that tells stdout from stderr.
    Multiplexed,
    /// A terminal's bytes.
    Raw,
}

impl Framing {
    /// That of a program with or without a terminal.
    pub(crate) fn of_terminal(terminal: bool) -> Self {
        if terminal {
            Self::Raw
        } else {
            Self::Multiplexed
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Multiplexed => "multiplexed",
            Self::Raw => "raw",
        }
    }
}

impl Ask {
    fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
        }
    }

    fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.query.push((key.to_owned(), value.into()));
        self
    }

    fn body(mut self, body: String) -> Self {
        self.body = Some(body);
        self
    }
}

/// What the engine is made of.
pub(crate) fn info() -> Ask {
    Ask::new("GET", "/info")
}

/// Makes a container. Its name is the host's to give.
pub(crate) fn create(body: String) -> Ask {
    Ask::new("POST", "/containers/create").body(body)
}

/// All containers that this host made.
pub(crate) fn list() -> Ask {
    Ask::new("GET", "/containers/json").with("all", "1")
}

/// Those of one workload.
pub(crate) fn find(workload: &str) -> Ask {
    list().with("workload", workload)
}

/// One look. As a change it is how a container is taken over whose creation was not heard of.
pub(crate) fn inspect(container: &str) -> Ask {
    Ask::new("GET", format!("/containers/{container}/json"))
}

/// Starts it.
pub(crate) fn start(container: &str) -> Ask {
    Ask::new("POST", format!("/containers/{container}/start"))
}

/// Sends a signal to its first process.
pub(crate) fn signal(container: &str, signal: &str) -> Ask {
    Ask::new("POST", format!("/containers/{container}/kill")).with("signal", signal)
}

/// Ends and removes it, with the volumes its image made.
pub(crate) fn remove(container: &str) -> Ask {
    Ask::new("DELETE", format!("/containers/{container}"))
        .with("force", "1")
        .with("v", "1")
}

/// What it uses, in one look that does not wait for a second.
pub(crate) fn stats(container: &str) -> Ask {
    Ask::new("GET", format!("/containers/{container}/stats"))
        .with("stream", "false")
        .with("one-shot", "true")
}

/// What part of a log.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Part {
    pub(crate) follow: bool,
    /// Unix seconds.
    pub(crate) since_s: Option<String>,
    pub(crate) tail: Option<u64>,
}

/// What it printed.
pub(crate) fn logs(container: &str, part: &Part) -> Ask {
    let follow = if part.follow { "1" } else { "0" };
    let mut ask = Ask::new("GET", format!("/containers/{container}/logs"))
        .with("stdout", "1")
        .with("stderr", "1")
        .with("timestamps", "1")
        .with("follow", follow);
    if let Some(since_s) = &part.since_s {
        ask = ask.with("since", since_s);
    }
    if let Some(tail) = part.tail {
        ask = ask.with("tail", tail.to_string());
    }
    ask
}

/// Tells of its end and of its removal, those of the last moment included: an engine answers before it
/// listens.
pub(crate) fn events(container: &str, now_ms: u64) -> Ask {
    let since_s = (now_ms / 1_000).saturating_sub(1);
    Ask::new("GET", "/events")
        .with("container", container)
        .with("since", since_s.to_string())
}

/// Fetches an image.
pub(crate) fn pull(name: &str, tag: Option<&str>) -> Ask {
    let ask = Ask::new("POST", "/images/create").with("fromImage", name);
    match tag {
        Some(tag) => ask.with("tag", tag),
        None => ask,
    }
}

/// Describes a program beside a container's own.
pub(crate) fn exec_create(container: &str, body: String) -> Ask {
    Ask::new("POST", format!("/containers/{container}/exec")).body(body)
}

/// Begins it, or comes back to its stream.
pub(crate) fn exec_start(exec: &str, terminal: bool) -> Ask {
    Ask::new("POST", format!("/exec/{exec}/start"))
        .body(format!(r#"{{"Detach":false,"Tty":{terminal}}}"#))
}

/// One look at it.
pub(crate) fn exec_inspect(exec: &str) -> Ask {
    Ask::new("GET", format!("/exec/{exec}/json"))
}

/// Gives its terminal a size.
pub(crate) fn exec_resize(exec: &str, columns: u16, rows: u16) -> Ask {
    Ask::new("POST", format!("/exec/{exec}/resize"))
        .with("h", rows.to_string())
        .with("w", columns.to_string())
}

/// Sends it a signal. No engine has a call for that: the policy says how the host does it.
pub(crate) fn exec_signal(exec: &str, signal: &str) -> Ask {
    Ask::new("POST", format!("/exec/{exec}/signal")).with("signal", signal)
}

/// Gives up what is kept of it. The engine forgets it by itself.
pub(crate) fn exec_forget(exec: &str) -> Ask {
    Ask::new("DELETE", format!("/exec/{exec}"))
}

#[cfg(test)]
mod tests;
