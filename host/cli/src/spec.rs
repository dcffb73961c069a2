//! What `workload run` asks for: a file, and flags that write the same fields and win over it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use fleet_model::workload::WorkloadSpec;
use fleet_model::{Label, Name};

use crate::document::{self, Syntax};
use crate::failure::{Failure, reason};

/// The flags that write a workload's fields.
#[derive(Debug, Default, Args)]
pub(crate) struct SpecArgs {
    /// Its name; made up if absent
    #[arg(long)]
    name: Option<Name>,
    /// The backend that runs it [default: native]
    #[arg(long)]
    backend: Option<Name>,
    /// A variable of its environment; may be repeated. Public: everybody who may ask for the workload sees it
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// A named port, `PORT_NAME` in its environment and `$(PORT_NAME)` in its command; may be repeated.
    /// INSIDE is the port inside the workload, where it has a network of its own
    #[arg(long, value_name = "NAME[=INSIDE]", value_parser = port)]
    port: Vec<(Name, u16)>,
    /// A label; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(Label, Label)>,
    /// Read it from a file, TOML or JSON; - is standard input. Flags win over it
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn pair(text: &str) -> Result<(&str, &str), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key, value)),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    pair(text).map(|(key, value)| (key.to_owned(), value.to_owned()))
}

fn label(text: &str) -> Result<(Label, Label), String> {
    let (key, value) = pair(text)?;
    let read = |text: &str| text.parse::<Label>().map_err(|error| error.to_string());
    Ok((read(key)?, read(value)?))
}

fn port(text: &str) -> Result<(Name, u16), String> {
    let (name, inside) = text.split_once('=').unwrap_or((text, "0"));
    let name = name.parse::<Name>().map_err(|error| error.to_string())?;
    let inside = inside
        .parse()
        .map_err(|_| format!("`{inside}` is not a port: expected 0 to 65535, 0 for any"))?;
    Ok((name, inside))
}

impl SpecArgs {
    /// The workload that is asked for.
    pub(crate) fn spec(self) -> Result<WorkloadSpec, Failure> {
        let Some(file) = &self.file else {
            let is_native = self
                .backend
                .as_ref()
                .is_none_or(|backend| backend.as_str() == "native");
            if is_native && self.command.is_empty() {
                return Err(Failure::usage("there is nothing to run")
                    .help("put the program after `--`, as in `workload run -- sleep 60`, or name a file with -f"));
            }
            return Ok(self.over(document::parse("flags", "", Syntax::Toml)?));
        };
        let (name, text) = read(file)?;
        let spec = document::parse(&name, &text, Syntax::of(&name, &text))?;
        Ok(self.over(spec))
    }

    /// The same fields, written by flags.
    fn over(self, mut spec: WorkloadSpec) -> WorkloadSpec {
        if let Some(name) = self.name {
            spec.name = Some(name);
        }
        if let Some(backend) = self.backend {
            spec.backend = backend;
        }
        if !self.command.is_empty() {
            spec.command = self.command;
        }
        spec.env.extend(self.env);
        spec.ports.extend(self.port);
        spec.labels.extend(self.label);
        spec
    }
}

fn read(file: &Path) -> Result<(String, String), Failure> {
    let mut text = String::new();
    let name = if file == Path::new("-") {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    };
    let outcome = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    match outcome {
        Ok(()) => Ok((name, text)),
        Err(error) => Err(
            Failure::usage(format!("cannot read {name}: {}", reason(&error)))
                .help("name a workload file in TOML or JSON with -f, or - for standard input"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn args(file: Option<&Path>) -> SpecArgs {
        SpecArgs {
            name: Some("flag".parse().unwrap()),
            env: vec![("A".into(), "flag".into())],
            port: vec![port("http").unwrap(), port("dns=53").unwrap()],
            label: vec![label("app=web").unwrap()],
            file: file.map(Path::to_path_buf),
            command: vec!["true".into()],
            ..SpecArgs::default()
        }
    }

    #[test]
    fn flags_write_the_files_fields_and_win() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.toml");
        let text = "name = \"file\"\nbackend = \"mock\"\ncommand = [\"false\"]\n[env]\nA = \"file\"\nB = \"file\"\n\
                    [ports]\nhttp = 80\n[config]\nlife = \"1s\"\n";
        std::fs::write(&file, text).unwrap();
        let spec = args(Some(&file)).spec().unwrap();
        assert_eq!(
            serde_json::to_value(&spec).unwrap(),
            json!({
                "name": "flag", "backend": "mock", "command": ["true"], "env": {"A": "flag", "B": "file"},
                "ports": {"http": 0, "dns": 53}, "labels": {"app": "web"}, "config": {"life": "1s"},
            })
        );
        let json = folder.path().join("w");
        std::fs::write(&json, r#"{"command": ["x", "y"]}"#).unwrap();
        let spec = SpecArgs {
            file: Some(json),
            ..SpecArgs::default()
        }
        .spec()
        .unwrap();
        assert_eq!((spec.backend.as_str(), spec.command.len()), ("native", 2));
    }

    #[test]
    fn without_a_file_the_flags_are_all_there_is() {
        let spec = args(None).spec().unwrap();
        assert_eq!(
            (spec.backend.as_str(), spec.command),
            ("native", vec!["true".to_owned()])
        );
        let nothing = SpecArgs::default().spec().unwrap_err();
        assert!(nothing.help.unwrap().contains("--"));
        let mock = SpecArgs {
            backend: Some("mock".parse().unwrap()),
            ..SpecArgs::default()
        };
        assert!(mock.spec().unwrap().command.is_empty());
    }

    #[test]
    fn a_missing_file_is_named() {
        let missing = SpecArgs {
            file: Some("/nowhere/w.toml".into()),
            ..SpecArgs::default()
        };
        let failure = missing.spec().unwrap_err();
        assert_eq!(
            failure.message,
            "cannot read /nowhere/w.toml: no such file or directory"
        );
    }
}
