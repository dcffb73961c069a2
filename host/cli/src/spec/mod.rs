//! What `workload run` asks for: a file, and flags that write the same fields and win over it.

mod local;
#[cfg(test)]
mod tests;
pub(crate) mod values;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use fleet_model::quantity::{Cpu, Size, Span};
use fleet_model::spec::{EnvValue, Restart};
use fleet_model::workload::WorkloadSpec;
use fleet_model::{Label, Name};

use self::local::Attached;
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
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::variable)]
    env: Vec<(String, String)>,
    /// A variable with the value of a secret, which is named and never shown; may be repeated
    #[arg(long, value_name = "VARIABLE=NAME", value_parser = values::secret)]
    secret: Vec<(String, Name)>,
    /// A named port, `PORT_NAME` in its environment and `$(PORT_NAME)` in its command; may be repeated.
    /// INSIDE is the port inside the workload, where it has a network of its own
    #[arg(long, value_name = "NAME[=INSIDE]", value_parser = values::port)]
    port: Vec<(Name, u16)>,
    /// A label; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::label)]
    label: Vec<(Label, Label)>,
    /// Whether it is started again when it ends by itself [default: never]
    #[arg(long, value_name = "POLICY", value_parser = PossibleValuesParser::new(Restart::ALL.map(Restart::as_str)).map(|word| values::restart(&word)))]
    restart: Option<Restart>,
    /// How long it may exist, as in 90s, 1h 30m or 7d; then it is removed
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    ttl: Option<Span>,
    /// How many processors it may use at once, as in 0.5 or 2
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    cpu: Option<Cpu>,
    /// How much memory it may use, as in 64MiB; what needs more is killed
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory: Option<Size>,
    /// How many processes and threads it may have at once
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..), allow_hyphen_values = true)]
    processes: Option<u32>,
    /// How much its workspace may hold, as in 1GiB; a workload over it is ended
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    disk: Option<Size>,
    /// How much of its output is kept, the oldest going first [default: 64MiB]
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    log: Option<Size>,
    /// A file of this machine to put at PATH in its workspace before each start; may be repeated
    #[arg(long = "file", value_name = "PATH=FILE", value_parser = values::attached)]
    attached: Vec<Attached>,
    /// Read it from a workload file, TOML or JSON; - is standard input. Flags win over it
    #[arg(short = 'f', long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl SpecArgs {
    /// The workload that is asked for.
    pub(crate) fn spec(self) -> Result<WorkloadSpec, Failure> {
        let twice = self.secret.iter().find_map(|(variable, _)| {
            let is_same = |(key, _): &&(String, String)| key == variable;
            self.env.iter().find(is_same).map(|_| variable)
        });
        if let Some(variable) = twice {
            return Err(Failure::usage(format!(
                "--env and --secret both give `{variable}` a value"
            ))
            .help("leave one of them out"));
        }
        let Some(file) = &self.from else {
            let is_native = self
                .backend
                .as_ref()
                .is_none_or(|backend| backend.as_str() == "native");
            if is_native && self.command.is_empty() {
                return Err(Failure::usage("there is nothing to run")
                    .help("put the program after `--`, as in `workload run -- sleep 60`, or name a file with -f"));
            }
            return self.over(document::parse("flags", "", Syntax::Toml)?);
        };
        let (name, text) = read(file)?;
        let spec = document::parse(&name, &text, Syntax::of(&name, &text))?;
        self.over(spec)
    }

    /// The same fields, written by flags.
    fn over(self, mut spec: WorkloadSpec) -> Result<WorkloadSpec, Failure> {
        if let Some(name) = self.name {
            spec.name = Some(name);
        }
        if let Some(backend) = self.backend {
            spec.backend = backend;
        }
        if !self.command.is_empty() {
            spec.command = self.command;
        }
        let public = self.env.into_iter();
        spec.env
            .extend(public.map(|(key, value)| (key, EnvValue::Text(value))));
        let secret = self.secret.into_iter();
        spec.env
            .extend(secret.map(|(key, secret)| (key, EnvValue::Secret { secret })));
        spec.ports.extend(self.port);
        spec.labels.extend(self.label);
        spec.restart = self.restart.unwrap_or(spec.restart);
        spec.ttl = self.ttl.or(spec.ttl);
        spec.limits.cpu = self.cpu.or(spec.limits.cpu);
        spec.limits.memory = self.memory.or(spec.limits.memory);
        spec.limits.processes = self.processes.or(spec.limits.processes);
        spec.limits.disk = self.disk.or(spec.limits.disk);
        spec.limits.log = self.log.or(spec.limits.log);
        for attached in self.attached {
            let file = attached.read()?;
            spec.files.insert(attached.path, file);
        }
        Ok(spec)
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
