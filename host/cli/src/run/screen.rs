//! What a person reads of a running host: real values, nothing that is not there, no token.

use fleet_model::Name;
use fleet_model::plugin::{Plugin, PluginState};
use fleet_model::workload::{Workload, WorkloadState};
use serde::Serialize;

use crate::quote;

/// What is known when the host is ready.
#[derive(Debug, Serialize)]
pub(super) struct Screen {
    pub(super) version: &'static str,
    pub(super) ready_ms: u64,
    pub(super) pid: u32,
    pub(super) url: String,
    /// The data folder as it was named.
    pub(super) data: String,
    pub(super) plugins: Vec<Plugin>,
    /// One part per plugin.
    pub(super) grants: Vec<String>,
    /// Where they stand, as it was named.
    pub(super) grants_file: String,
    /// Whether that file was written just now.
    pub(super) grants_are_new: bool,
    /// Why it is up and not ready.
    pub(super) not_ready: Vec<String>,
    pub(super) workloads: Vec<Workload>,
    /// How this program is called, with the flags that lead to this host.
    pub(super) command: Vec<String>,
}

impl Screen {
    /// For people.
    pub(super) fn text(&self) -> String {
        let ready = if self.not_ready.is_empty() {
            "ready"
        } else {
            "up, not ready,"
        };
        let mut text = format!(
            "fleet-host {}  {ready} in {} ms   {}   pid {}\n",
            self.version, self.ready_ms, self.url, self.pid
        );
        for reason in &self.not_ready {
            text.push_str(&format!("not ready  {reason}\n"));
        }
        text.push_str(&format!(
            "data     {}   (to start over: `workload rm --all`, stop the host, delete it)\n",
            self.data
        ));
        text.push_str(&self.plugins_text());
        let new = if self.grants_are_new {
            ", written just now"
        } else {
            ""
        };
        let grants = if self.grants.is_empty() {
            "none".to_owned()
        } else {
            self.grants.join("; ")
        };
        text.push_str(&format!(
            "grants   {grants}   ({}{new})\n",
            self.grants_file
        ));
        if !self.workloads.is_empty() {
            text.push_str(&format!("running  {}\n", running(&self.workloads)));
        }
        text.push_str(&self.next_text());
        text
    }

    /// Plain ones in a line, those with something to say each on its own.
    fn plugins_text(&self) -> String {
        let (plain, telling): (Vec<&Plugin>, Vec<&Plugin>) = self
            .plugins
            .iter()
            .partition(|plugin| plugin.state == PluginState::Active && plugin.usable);
        let mut lines: Vec<String> = Vec::new();
        if !plain.is_empty() {
            let shown: Vec<String> = plain
                .into_iter()
                .map(|plugin| format!("{} active", named(plugin)))
                .collect();
            lines.push(shown.join("    "));
        }
        lines.extend(telling.into_iter().map(|plugin| {
            let why = plugin
                .reason
                .as_deref()
                .map(|why| format!(": {}", why.trim_end().replace('\n', "\n           ")))
                .unwrap_or_default();
            match plugin.state {
                PluginState::Active => format!("{} not usable{why}", named(plugin)),
                state => format!("{} {state}{why}", plugin.file),
            }
        }));
        if lines.is_empty() {
            lines.push("none found".to_owned());
        }
        format!("plugins  {}\n", lines.join("\n         "))
    }

    /// What can be typed next.
    fn next_text(&self) -> String {
        let command = |words: &[&str]| {
            let words: Vec<&str> = self
                .command
                .iter()
                .map(String::as_str)
                .chain(words.iter().copied())
                .collect();
            quote::line(&words)
        };
        let native = self.plugins.iter().any(|plugin| {
            plugin.name == "native" && plugin.state == PluginState::Active && plugin.usable
        });
        let web = "web".parse::<Name>().ok();
        let has_web = self
            .workloads
            .iter()
            .any(|workload| Some(&workload.name) == web.as_ref());
        let mut lines = Vec::new();
        if has_web {
            lines.push(command(&["workload", "show", "web"]));
            lines.push(command(&["workload", "logs", "web", "--follow"]));
        } else if native {
            let server = [
                "python3",
                "-m",
                "http.server",
                "--bind",
                "127.0.0.1",
                "$(PORT_HTTP)",
            ];
            let run = [
                "workload", "run", "--name", "web", "--port", "http", "--wait", "--",
            ];
            lines.push(command(&[&run[..], &server[..]].concat()));
            lines.push(command(&["workload", "logs", "web", "--follow"]));
            lines.push(format!(
                "kill -9 {}   then start the host again: web kept running, same pid",
                self.pid
            ));
        } else {
            lines.push(command(&["plugin", "ls"]));
        }
        let relative =
            |word: &String| word.contains('/') && !word.starts_with('/') && !word.contains("://");
        let here = if self.command.iter().any(relative) {
            ", in this folder"
        } else {
            ""
        };
        format!(
            "\nTry, in another terminal{here}:\n  {}\nCtrl-C stops the host; workloads keep running (`{}` ends them).\n",
            lines.join("\n  "),
            command(&["workload", "rm", "--all"])
        )
    }
}

fn named(plugin: &Plugin) -> String {
    match &plugin.version {
        Some(version) => format!("{} {version}", plugin.name),
        None => plugin.name.clone(),
    }
}

/// Workloads by state: `2 running, 1 exited`.
fn running(workloads: &[Workload]) -> String {
    let counts = WorkloadState::ALL.into_iter().filter_map(|state| {
        let count = workloads
            .iter()
            .filter(|workload| workload.state == state)
            .count();
        (count > 0).then(|| format!("{count} {state}"))
    });
    counts.collect::<Vec<_>>().join(", ")
}

/// What Ctrl-C leaves behind; `None` where that is not known.
pub(super) fn stopping(alive: Option<usize>, command: &[String]) -> String {
    let words: Vec<&str> = command
        .iter()
        .map(String::as_str)
        .chain(["workload", "rm", "--all"])
        .collect();
    let end = quote::line(&words);
    match alive {
        Some(0) => "stopping the host; no workload is running\n".to_owned(),
        None => format!(
            "stopping the host; workloads keep running\nTo end them, start the host again and say `{end}`.\n"
        ),
        Some(alive) => {
            let (plural, verb, them) = if alive == 1 {
                ("", "keeps", "it")
            } else {
                ("s", "keep", "them")
            };
            format!(
                "stopping the host; {alive} workload{plural} {verb} running\n\
                 To end {them}, start the host again and say `{end}`.\n"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn screen() -> Screen {
        let plugins = json!([
            {"name": "native", "kind": "backend", "version": "0.1.0", "digest": "d", "state": "active", "reason": null,
             "usable": true, "file": "native.wasm"},
            {"name": "mock", "kind": "backend", "version": "0.1.0", "digest": "d", "state": "active", "reason": null,
             "usable": true, "file": "mock.wasm"},
            {"name": "docker", "kind": "backend", "version": "0.1.0", "digest": "d", "state": "active",
             "reason": "not granted: add to g.toml\n[docker]\nlog = true", "usable": false, "file": "docker.wasm"},
            {"name": "junk", "kind": null, "version": null, "digest": null, "state": "rejected",
             "reason": "not a component", "usable": false, "file": "junk.wasm"},
        ]);
        Screen {
            version: "0.1.0",
            ready_ms: 24,
            pid: 4711,
            url: "http://127.0.0.1:7300".into(),
            data: "target/run".into(),
            plugins: serde_json::from_value(plugins).unwrap(),
            grants: vec![
                "mock: log".into(),
                "native: launcher dev (any program)".into(),
            ],
            grants_file: "target/run/grants.toml".into(),
            grants_are_new: true,
            not_ready: Vec::new(),
            workloads: Vec::new(),
            command: ["target/release/fleet-host", "--data", "target/run"]
                .map(str::to_owned)
                .to_vec(),
        }
    }

    #[test]
    fn the_first_screen() {
        assert_eq!(
            screen().text(),
            "fleet-host 0.1.0  ready in 24 ms   http://127.0.0.1:7300   pid 4711\n\
             data     target/run   (to start over: `workload rm --all`, stop the host, delete it)\n\
             plugins  native 0.1.0 active    mock 0.1.0 active\n\
             \x20        docker 0.1.0 not usable: not granted: add to g.toml\n\
             \x20          [docker]\n\
             \x20          log = true\n\
             \x20        junk.wasm rejected: not a component\n\
             grants   mock: log; native: launcher dev (any program)   (target/run/grants.toml, written just now)\n\
             \n\
             Try, in another terminal, in this folder:\n\
             \x20 target/release/fleet-host --data target/run workload run --name web --port http --wait -- python3 -m http.server --bind 127.0.0.1 '$(PORT_HTTP)'\n\
             \x20 target/release/fleet-host --data target/run workload logs web --follow\n\
             \x20 kill -9 4711   then start the host again: web kept running, same pid\n\
             Ctrl-C stops the host; workloads keep running (`target/release/fleet-host --data target/run workload rm --all` ends them).\n"
        );
    }

    #[test]
    fn nothing_is_suggested_that_would_not_work() {
        let mut bare = screen();
        bare.plugins.clear();
        bare.command = vec!["fleet-host".into()];
        bare.not_ready = vec!["plugin native is required and was not found".into()];
        let text = bare.text();
        assert!(text.contains("plugins  none found\n"), "{text}");
        assert!(text.contains("up, not ready, in 24 ms"), "{text}");
        assert!(
            text.contains("Try, in another terminal:\n  fleet-host plugin ls\n"),
            "{text}"
        );
        assert!(!text.contains("workload run"), "{text}");
    }

    #[test]
    fn what_keeps_running_is_counted() {
        let command = ["fleet-host".to_owned()];
        assert_eq!(
            stopping(Some(0), &command),
            "stopping the host; no workload is running\n"
        );
        let one = stopping(Some(1), &command);
        assert!(
            one.starts_with("stopping the host; 1 workload keeps running\n"),
            "{one}"
        );
        assert!(stopping(Some(2), &command).contains("2 workloads keep running\n"));
        assert!(stopping(None, &command).contains("`fleet-host workload rm --all`"));
    }
}
