//! Where the data folder is, for the host and for the commands that look for its token.

use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::failure::Failure;

/// The file with the admin token, at the top of the data folder.
pub(crate) const TOKEN: &str = "admin.token";
/// The file with the key that secrets are sealed with, at the top of the data folder.
#[cfg(all(feature = "controller", feature = "node"))]
pub(crate) const SEALING_KEY: &str = "secret.key";
/// The configuration, where it is not named.
pub(crate) const CONFIG: &str = "fleet-host.toml";

/// The default: `/var/lib/fleet-host` for root, else `$XDG_DATA_HOME/fleet-host`, which is
/// `~/.local/share/fleet-host` unless somebody set it (XDG Base Directory Specification).
pub(crate) fn default_data(environment: &Environment) -> Result<PathBuf, Failure> {
    default_for(environment, rustix::process::geteuid().is_root()).ok_or_else(|| {
        Failure::usage("no data folder: neither HOME nor XDG_DATA_HOME is set")
            .help("name one with --data or FLEET_DATA")
    })
}

fn default_for(environment: &Environment, is_root: bool) -> Option<PathBuf> {
    if is_root {
        return Some(PathBuf::from("/var/lib/fleet-host"));
    }
    // The specification has a relative one ignored.
    let absolute = |name| {
        environment
            .get(name)
            .map(Path::new)
            .filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_DATA_HOME").map(Path::to_path_buf);
    let base = base.or_else(|| absolute("HOME").map(|home| home.join(".local/share")))?;
    Some(base.join("fleet-host"))
}

/// The data folder of a command: as named, else by its variable, else the default.
pub(crate) fn data(named: Option<&Path>, environment: &Environment) -> Result<PathBuf, Failure> {
    match named
        .map(Path::to_path_buf)
        .or_else(|| environment.get("FLEET_DATA").map(PathBuf::from))
    {
        Some(folder) => Ok(folder),
        None => default_data(environment),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_follows_user_and_specification() {
        let folder = |environment: &Environment, root| {
            default_for(environment, root).map(|path| path.display().to_string())
        };
        let home = Environment::of([("HOME", "/home/a")]);
        assert_eq!(folder(&home, true).unwrap(), "/var/lib/fleet-host");
        assert_eq!(
            folder(&home, false).unwrap(),
            "/home/a/.local/share/fleet-host"
        );
        let xdg = Environment::of([("HOME", "/home/a"), ("XDG_DATA_HOME", "/x")]);
        assert_eq!(folder(&xdg, false).unwrap(), "/x/fleet-host");
        let relative = Environment::of([("HOME", "/home/a"), ("XDG_DATA_HOME", "x")]);
        assert_eq!(
            folder(&relative, false).unwrap(),
            "/home/a/.local/share/fleet-host"
        );
        assert_eq!(folder(&Environment::default(), false), None);
    }

    #[test]
    fn what_is_named_wins() {
        let environment = Environment::of([("FLEET_DATA", "/e")]);
        assert_eq!(
            data(Some(Path::new("/n")), &environment).unwrap(),
            Path::new("/n")
        );
        assert_eq!(data(None, &environment).unwrap(), Path::new("/e"));
    }
}
