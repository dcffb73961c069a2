//! Where the services of a machine usually are: what is granted where nobody has said it.

use fleet_plugin::Usual;

use crate::environment::Environment;

/// Where a Docker engine listens that nobody set up in another way.
const DOCKER: &str = "unix:///var/run/docker.sock";

/// The endpoints of this machine, of which plugins that come with the host are granted what they ask.
pub(crate) fn endpoints(environment: &Environment) -> Vec<Usual> {
    let address = match environment.text("DOCKER_HOST") {
        Some(said) => address(&said),
        None => Some(DOCKER.to_owned()),
    };
    let Ok(endpoint) = "docker".parse() else {
        return Vec::new();
    };
    address
        .map(|address| Usual { endpoint, address })
        .into_iter()
        .collect()
}

/// `DOCKER_HOST` as a grant has it; none for what is not on this machine.
fn address(said: &str) -> Option<String> {
    if said.starts_with("unix:///") {
        return Some(said.to_owned());
    }
    let rest = said
        .strip_prefix("tcp://")
        .or_else(|| said.strip_prefix("http://"))?;
    let (host, port) = rest.trim_end_matches('/').rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let is_here = matches!(host, "127.0.0.1" | "localhost");
    is_here.then(|| format!("http://127.0.0.1:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_where_docker_host_says_if_that_is_here() {
        for (said, want) in [
            (None, Some(DOCKER)),
            (Some(""), Some(DOCKER)),
            (
                Some("unix:///run/user/1000/docker.sock"),
                Some("unix:///run/user/1000/docker.sock"),
            ),
            (Some("tcp://127.0.0.1:2375"), Some("http://127.0.0.1:2375")),
            (Some("tcp://localhost:2375/"), Some("http://127.0.0.1:2375")),
            (Some("tcp://10.0.0.1:2375"), None),
            (Some("ssh://me@there"), None),
            (Some("unix://relative"), None),
            (Some("tcp://127.0.0.1"), None),
            (Some("garbage"), None),
        ] {
            let environment = match said {
                Some(said) => Environment::of([("DOCKER_HOST", said)]),
                None => Environment::of([]),
            };
            let found = endpoints(&environment);
            let found = found.first().map(|usual| usual.address.as_str());
            assert_eq!(found, want, "{said:?}");
        }
    }
}
