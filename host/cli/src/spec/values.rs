//! The words that flags take, read and refused.

use fleet_model::path::check_path;
use fleet_model::spec::Restart;
use fleet_model::{Label, Name};

use super::local::Attached;

fn pair(text: &str) -> Result<(&str, &str), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key, value)),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// `KEY=VALUE`.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    pair(text).map(|(key, value)| (key.to_owned(), value.to_owned()))
}

/// `VAR=NAME`.
pub(super) fn secret(text: &str) -> Result<(String, Name), String> {
    let wanted = "expected VARIABLE=NAME, where NAME is the name of a secret, not its value: `fleet-host secret set NAME` sets one";
    let (variable, name) = pair(text).map_err(|_| wanted.to_owned())?;
    let name = name.parse().map_err(|_| wanted.to_owned())?;
    Ok((variable.to_owned(), name))
}

/// `KEY=VALUE`, both labels.
pub(super) fn label(text: &str) -> Result<(Label, Label), String> {
    let (key, value) = pair(text)?;
    let read = |text: &str| text.parse::<Label>().map_err(|error| error.to_string());
    Ok((read(key)?, read(value)?))
}

/// `NAME[=INSIDE]`.
pub(super) fn port(text: &str) -> Result<(Name, u16), String> {
    let (name, inside) = text.split_once('=').unwrap_or((text, "0"));
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "`{name}` is a number, and a port has a name too: web={name} for this one, or web for any that is free"
        ));
    }
    let name = name.parse::<Name>().map_err(|error| error.to_string())?;
    let inside = inside
        .parse()
        .map_err(|_| format!("`{inside}` is not a port: expected 0 to 65535, 0 for any"))?;
    Ok((name, inside))
}

/// `PATH=FILE`.
pub(super) fn attached(text: &str) -> Result<Attached, String> {
    let (path, file) = match text.split_once('=') {
        Some((path, file)) if !path.is_empty() && !file.is_empty() => (path, file),
        _ => {
            return Err("expected PATH=FILE, as in conf/app.toml=./app.toml: where it goes in the workspace, and the file on \
                 this machine; a workload file is named with -f"
                .to_owned());
        }
    };
    check_path(path).map_err(|error| error.message)?;
    Ok(Attached {
        path: path.to_owned(),
        file: file.into(),
    })
}

/// The word for a policy. Unknown ones are refused by the parser, which knows them all.
pub(super) fn restart(word: &str) -> Restart {
    Restart::ALL
        .into_iter()
        .find(|policy| policy.as_str() == word)
        .unwrap_or_default()
}
