//! `secret set`: a value from standard input, or typed without being shown. Never from the command
//! line, where every process of the machine could read it, and no error repeats one that stood there.

use std::ffi::OsString;
use std::io::IsTerminal as _;

use clap::Args;
use fleet_model::Name;
use zeroize::Zeroizing;

use crate::app::Context;
use crate::failure::{Failure, reason};
use crate::input;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Its name
    name: OsString,
    /// Keep a line feed at the end of what is read; otherwise one is taken away
    #[arg(long)]
    exact: bool,
    /// What should not be there.
    #[arg(hide = true, allow_hyphen_values = true)]
    value: Vec<OsString>,
}

/// More than a secret may have: what is larger is not even read. The host says how much fits.
const MOST_BYTES: u64 = 1024 * 1024;

/// Sets it.
pub(crate) async fn run(args: SetArgs, context: &mut Context) -> Result<(), Failure> {
    let name = name(&args)?;
    let client = context.client()?;
    let value = if std::io::stdin().is_terminal() {
        typed(&name)?
    } else {
        let value = input::read(MOST_BYTES)?;
        if args.exact { value } else { trimmed(value) }
    };
    if value.is_empty() {
        return Err(Failure::usage("the value is empty: nothing is set")
            .help("see what stands before the pipe"));
    }
    let secret = client.set_secret(name.as_str(), value).await?;
    context
        .output
        .answer(&secret, || format!("set secret {}\n", secret.name))
}

/// The name, where nothing else stands on the command line. What stands there may be a value.
fn name(args: &SetArgs) -> Result<Name, Failure> {
    let help = "pipe it in, as in `fleet-host secret set NAME < FILE`, or run `fleet-host secret set NAME` and type it; the one flag is --exact";
    if !args.value.is_empty() {
        let message =
            "a value is never taken from the command line, where other programs can read it";
        return Err(Failure::usage(message).help(help));
    }
    let rule =
        "use 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit, not ending with `-`";
    let parsed = args.name.to_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| {
        Failure::usage(format!("this is not a name for a secret: {rule}")).help(help)
    })
}

/// What is typed, up to the end of its line.
fn typed(name: &Name) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let typed = rpassword::prompt_password(format!("value of {name}: ")).map_err(|error| {
        Failure::usage(format!("nothing could be read: {}", reason(&error)))
            .help("pipe the value in, as in `fleet-host secret set NAME < FILE`")
    })?;
    Ok(Zeroizing::new(typed.into_bytes()))
}

/// Without one line feed at the end: `echo` and editors add it, and hardly a secret has one.
fn trimmed(mut value: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    if value.last() == Some(&b'\n') {
        value.pop();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_feed_is_taken_away() {
        for (value, want) in [
            (&b"a\n"[..], &b"a"[..]),
            (b"a\n\n", b"a\n"),
            (b"a", b"a"),
            (b"\n", b""),
            (b"a\r\n", b"a\r"),
        ] {
            assert_eq!(*trimmed(Zeroizing::new(value.to_vec())), want);
        }
    }

    #[test]
    fn what_stands_on_the_command_line_is_refused_and_not_repeated() {
        for (first, rest) in [
            ("token", vec!["canary"]),
            ("token=canary", vec![]),
            ("token", vec!["--value", "canary"]),
        ] {
            let args = SetArgs {
                name: first.into(),
                exact: false,
                value: rest.into_iter().map(OsString::from).collect(),
            };
            let failure = name(&args).unwrap_err();
            assert_eq!(failure.exit, crate::failure::Exit::Usage);
            assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
        }
    }
}
