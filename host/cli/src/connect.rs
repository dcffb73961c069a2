//! From the global flags to a client of the host's API.

use std::path::{Path, PathBuf};

use fleet_client::{Client, ClientOptions};

use crate::cli::Global;
use crate::environment::Environment;
use crate::failure::{Failure, reason};
use crate::folder;

/// Where a host listens unless told otherwise.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:7300";

/// A client of the server that the flags and variables name, with the token they lead to.
pub(crate) fn client(global: &Global, environment: &Environment) -> Result<Client, Failure> {
    let server = global
        .server
        .clone()
        .or_else(|| environment.text("FLEET_SERVER"));
    let mut options =
        ClientOptions::new(server.unwrap_or_else(|| format!("http://{DEFAULT_LISTEN}")));
    options.token = token(global, environment)?;
    Ok(Client::new(options)?)
}

/// The token's file, where one is named.
fn named_token(global: &Global, environment: &Environment) -> Option<PathBuf> {
    global
        .token_file
        .clone()
        .or_else(|| environment.get("FLEET_TOKEN_FILE").map(PathBuf::from))
}

/// Where the token is looked for, for people.
pub(crate) fn token_place(global: &Global, environment: &Environment) -> Option<PathBuf> {
    let in_folder = || {
        folder::data(global.data.as_deref(), environment)
            .ok()
            .map(|data| data.join(folder::TOKEN))
    };
    named_token(global, environment).or_else(in_folder)
}

fn token(global: &Global, environment: &Environment) -> Result<Option<String>, Failure> {
    if let Some(file) = named_token(global, environment) {
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Failure::usage(format!(
                "cannot read the token in {}: {}",
                file.display(),
                reason(&error)
            ))
            .help("name a file you can read with --token-file or FLEET_TOKEN_FILE")
        })?;
        return clean(&text, &file).map(Some);
    }
    // Without a token the API says whether it wants one.
    let Ok(data) = folder::data(global.data.as_deref(), environment) else {
        return Ok(None);
    };
    let file = data.join(folder::TOKEN);
    match std::fs::read_to_string(&file) {
        Ok(text) => clean(&text, &file).map(Some),
        Err(_) => Ok(None),
    }
}

/// A token goes into a header: one word.
fn clean(text: &str, file: &Path) -> Result<String, Failure> {
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("{} holds no token", file.display());
        return Err(Failure::usage(message)
            .help("it should hold one word; name another with --token-file or FLEET_TOKEN_FILE"));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_in_the_data_folder_and_a_named_one_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(folder::TOKEN), "abc\n").unwrap();
        let data = folder.path().display().to_string();
        let environment = Environment::of([("FLEET_DATA", &data)]);
        assert_eq!(
            token(&Global::default(), &environment).unwrap().as_deref(),
            Some("abc")
        );
        let nowhere = Environment::of([("FLEET_DATA", "/nowhere")]);
        assert_eq!(token(&Global::default(), &nowhere).unwrap(), None);
        let named = Environment::of([("FLEET_DATA", &data), ("FLEET_TOKEN_FILE", "/nowhere/t")]);
        let failure = token(&Global::default(), &named).unwrap_err();
        assert!(failure.message.contains("/nowhere/t"), "{failure:?}");
    }

    #[test]
    fn a_flag_wins_over_its_variable() {
        let environment =
            Environment::of([("FLEET_SERVER", "http://e:1"), ("FLEET_DATA", "/nowhere")]);
        assert_eq!(
            client(&Global::default(), &environment).unwrap().server(),
            "http://e:1"
        );
        let global = Global {
            server: Some("http://f:1".into()),
            ..Global::default()
        };
        assert_eq!(
            client(&global, &environment).unwrap().server(),
            "http://f:1"
        );
    }
}
