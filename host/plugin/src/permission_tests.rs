//! Request, grant and ceiling, by table.

use super::*;
use crate::grants::Grants;

const COMPONENT: &[u8] = b"component";

fn permissions(requests: &str, grants: &str, ceiling: Option<&str>) -> Permissions {
    let requests: Requests = toml::from_str(requests).unwrap();
    let grants = Grants::parse("grants.toml", grants).unwrap();
    let ceiling: Option<Ceiling> = ceiling.map(|text| toml::from_str(text).unwrap());
    let name: Name = "native".parse().unwrap();
    let subject = Subject {
        plugin: &name,
        digest: Digest::of(COMPONENT),
        grants_path: Path::new("/etc/fleet/grants.toml"),
    };
    effective(subject, &requests, grants.of(&name), ceiling.as_ref())
}

fn dev() -> Need {
    Need::Launcher("dev".parse().unwrap())
}

#[test]
fn only_what_all_three_allow_is_effective() {
    let pin = format!(
        "[native]\nlog = true\ndigest = \"{}\"",
        Digest::of(COMPONENT)
    );
    let other = format!(
        "[native]\nlog = true\ndigest = \"sha256:{}\"",
        Digest::of(b"other")
    );
    let granted = "[native]\nlog = true";
    for (requests, grants, ceiling, want) in [
        ("log = true", granted, None, Ok(())),
        ("log = true", granted, Some("clock = false"), Ok(())),
        ("log = true", granted, Some("log = true"), Ok(())),
        (
            "log = true",
            granted,
            Some("log = false"),
            Err("above-ceiling"),
        ),
        ("log = true", "", None, Err("not-granted")),
        (
            "log = true",
            "[native]\nlog = false",
            None,
            Err("not-granted"),
        ),
        (
            "log = true",
            "[other]\nlog = true",
            None,
            Err("not-granted"),
        ),
        ("log = true", &pin, None, Ok(())),
        ("log = true", &other, None, Err("not-granted")),
        ("", granted, None, Err("not-requested")),
        ("", "", None, Err("not-requested")),
    ] {
        let got = permissions(requests, grants, ceiling).check(&Need::Log);
        assert_eq!(
            got.map_err(|error| error.code),
            want.map_err(str::to_owned),
            "{requests} {grants} {ceiling:?}"
        );
    }
}

#[test]
fn a_launcher_needs_all_three_too() {
    let asks = "process = { launchers = [\"dev\"] }";
    let grant = "[native.process.launchers.dev]\nany = true";
    for (requests, grants, ceiling, want) in [
        (asks, grant, None, Ok(())),
        (
            asks,
            grant,
            Some("process = { launchers = [\"dev\"] }"),
            Ok(()),
        ),
        (
            asks,
            grant,
            Some("process = { launchers = [] }"),
            Err("above-ceiling"),
        ),
        (
            asks,
            "[native.process.launchers.prod]\nany = true",
            None,
            Err("not-granted"),
        ),
        ("", grant, None, Err("not-requested")),
    ] {
        let permissions = permissions(requests, grants, ceiling);
        let want = want.map_err(str::to_owned);
        let launcher = permissions
            .launcher(&"dev".parse().unwrap())
            .map(|_| ())
            .map_err(|error| error.code);
        assert_eq!(launcher, want, "{requests} {grants}");
        assert_eq!(permissions.check(&dev()).map_err(|error| error.code), want);
        assert_eq!(permissions.check(&Need::Process).is_ok(), want.is_ok());
    }
}

fn endpoint() -> Need {
    Need::Endpoint("engine".parse().unwrap())
}

#[test]
fn an_endpoint_needs_all_three_too() {
    let asks = "endpoints = [\"engine\"]";
    let grant = "[native.endpoint.engine]\naddress = \"unix:///e.sock\"\npolicy = \"p.toml\"";
    for (requests, grants, ceiling, want) in [
        (asks, grant, None, Ok(())),
        ("endpoints = [\"*\"]", grant, None, Ok(())),
        (asks, grant, Some("endpoints = [\"engine\"]"), Ok(())),
        (asks, grant, Some("endpoints = []"), Err("above-ceiling")),
        (asks, "", None, Err("not-granted")),
        ("endpoints = [\"*\"]", "", None, Err("not-granted")),
        ("", grant, None, Err("not-requested")),
        ("", "", None, Err("not-requested")),
    ] {
        let permissions = permissions(requests, grants, ceiling);
        let got = permissions.check(&endpoint()).map_err(|error| error.code);
        assert_eq!(
            got,
            want.map_err(str::to_owned),
            "{requests} {grants} {ceiling:?}"
        );
        assert_eq!(permissions.endpoints().is_empty(), want.is_err());
    }
}

fn secret(name: &str) -> Need {
    Need::Secret(name.parse().unwrap())
}

#[test]
fn a_secret_needs_all_three_too() {
    let (all, one) = ("secrets = [\"*\"]", "secrets = [\"db\"]");
    let grant_all = "[native]\nsecrets = [\"*\"]";
    let grant_one = "[native]\nsecrets = [\"db\"]";
    for (requests, grants, ceiling, want) in [
        (all, grant_all, None, Ok(())),
        (all, grant_one, None, Ok(())),
        (one, grant_all, None, Ok(())),
        (one, grant_one, Some("log = false"), Ok(())),
        (one, grant_one, Some("secrets = [\"db\"]"), Ok(())),
        (one, grant_one, Some("secrets = [\"*\"]"), Ok(())),
        (
            all,
            grant_all,
            Some("secrets = [\"api\"]"),
            Err("above-ceiling"),
        ),
        (all, grant_all, Some("secrets = []"), Err("above-ceiling")),
        (all, "", None, Err("not-granted")),
        (all, "[native]\nlog = true", None, Err("not-granted")),
        (
            all,
            "[native]\nsecrets = [\"api\"]",
            None,
            Err("not-granted"),
        ),
        ("secrets = [\"api\"]", grant_all, None, Err("not-requested")),
        ("", grant_all, None, Err("not-requested")),
    ] {
        let got = permissions(requests, grants, ceiling).check(&secret("db"));
        assert_eq!(
            got.map_err(|error| error.code),
            want.map_err(str::to_owned),
            "{requests} {grants} {ceiling:?}"
        );
    }
}

#[test]
fn the_line_for_a_secret_keeps_those_that_are_granted() {
    let all = "secrets = [\"*\"]";
    for (grants, want) in [
        ("", "[native]\nsecrets = [\"db\"]"),
        (
            "[native]\nlog = true",
            "secrets = [\"db\"]   # in the table [native]",
        ),
        (
            "[native]\nsecrets = [\"api\"]",
            "secrets = [\"api\", \"db\"]   # in the table [native], instead of the line there",
        ),
    ] {
        let error = permissions(all, grants, None)
            .check(&secret("db"))
            .unwrap_err();
        assert_eq!(error.details["remedy"], want);
        assert!(error.message.ends_with(want), "{error}");
    }
}

#[test]
fn the_view_of_secrets_shows_names_and_all_of_them() {
    let rows = |requests, grants, ceiling| -> Vec<(String, bool, bool, bool)> {
        permissions(requests, grants, ceiling)
            .view()
            .into_iter()
            .map(|c| (c.name, c.requested, c.granted.is_some(), c.effective))
            .collect()
    };
    let row = |name: &str, requested, granted, effective| {
        (name.to_owned(), requested, granted, effective)
    };
    let all = "secrets = [\"*\"]";
    let grant_all = "[native]\nsecrets = [\"*\"]";
    assert_eq!(
        rows(all, grant_all, None),
        [row("secret *", true, true, true)]
    );
    assert_eq!(rows(all, "", None), [row("secret *", true, false, false)]);
    assert_eq!(
        rows(all, "[native]\nsecrets = [\"db\"]", None),
        [row("secret db", true, true, true)]
    );
    assert_eq!(
        rows(all, grant_all, Some("secrets = [\"db\"]")),
        [
            row("secret *", true, true, false),
            row("secret db", true, true, true)
        ]
    );
    assert_eq!(
        rows("secrets = [\"db\"]", "[native]\nsecrets = [\"api\"]", None),
        [
            row("secret api", false, true, false),
            row("secret db", true, false, false)
        ]
    );
}

#[test]
fn names_that_nobody_wrote_are_counted_together() {
    let permissions = permissions(
        "secrets = [\"db\"]\nprocess = { launchers = [\"dev\", \"*\"] }",
        "",
        None,
    );
    for (need, want) in [
        (dev(), "process.launcher dev"),
        (
            Need::Launcher("made-up".parse().unwrap()),
            "process.launcher *",
        ),
        (secret("db"), "secret db"),
        (secret("made-up"), "secret *"),
        (Need::Log, "log"),
    ] {
        assert_eq!(permissions.counted_as(&need), want);
    }
}

#[test]
fn a_refusal_names_the_file_and_lines_that_make_it_go_away() {
    for (requests, grants, need) in [
        ("log = true", "", Need::Log),
        ("log = true", "[native]\nclock = true\n", Need::Log),
        (
            "process = { launchers = [\"dev\"] }",
            "[native]\nclock = true\n",
            dev(),
        ),
        ("process = { launchers = [\"dev\"] }", "", Need::Process),
        ("endpoints = [\"engine\"]", "", endpoint()),
        (
            "endpoints = [\"engine\"]",
            "[native]\nclock = true\n",
            endpoint(),
        ),
        ("secrets = [\"db\"]", "", secret("db")),
        (
            "secrets = [\"db\"]",
            "[native]\nclock = true\n",
            secret("db"),
        ),
    ] {
        let before = permissions(requests, grants, None);
        let error = before.check(&need).unwrap_err();
        assert!(error.message.contains("/etc/fleet/grants.toml"), "{error}");
        let remedy = error.details["remedy"].clone();
        assert!(error.message.contains(&remedy), "{error}");
        let view = before.view();
        assert_eq!(
            view.iter().find(|c| c.requested).unwrap().remedy.as_deref(),
            Some(remedy.as_str())
        );
        let after = permissions(requests, &format!("{grants}{remedy}"), None);
        after.check(&need).unwrap();
    }
}

#[test]
fn the_first_refusal_names_all_plain_ones_that_are_missing() {
    let asks = "log = true\nclock = true\nconfig = true";
    for (grants, want, remedy) in [
        (
            "",
            "`clock`, `log` and `config`",
            "[native]\nclock = true\nlog = true\nconfig = true",
        ),
        (
            "[native]\nlog = true\n",
            "`clock` and `config`",
            "clock = true   # in the table [native]\nconfig = true   # in the table [native]",
        ),
        (
            "[native]\nlog = true\nconfig = true\n",
            "`clock`",
            "clock = true   # in the table [native]",
        ),
    ] {
        let error = permissions(asks, grants, None)
            .check(&Need::Clock)
            .unwrap_err();
        let first = format!("`native` is not granted {want}: add to /etc/fleet/grants.toml");
        assert_eq!(error.message, format!("{first}\n{remedy}"));
        assert_eq!(error.details["remedy"], remedy);
        let after = permissions(asks, &format!("{grants}{remedy}"), None);
        for need in [Need::Log, Need::Clock, Need::Config] {
            after.check(&need).unwrap();
        }
    }
}

#[test]
fn a_launchers_refusal_leads_to_that_launcher_or_to_another() {
    let asks = "process = { launchers = [\"*\"] }";
    let grants =
        "[native.process.launchers.dev]\nexecutable = \"/usr/bin/sleep\"\narguments = [\"[0-9]+\"]";
    let permissions = permissions(asks, grants, None);
    let dev: Name = "dev".parse().unwrap();
    let refused = |program: &str| {
        let error = Error::denied("no-launcher-rule", "no");
        permissions.with_launcher_lines(error, &dev, program)
    };
    for program in ["sleep", "/usr/bin/sleep"] {
        assert_eq!(
            refused(program).message,
            "no ([native.process.launchers.dev] in /etc/fleet/grants.toml)"
        );
    }
    assert_eq!(
        refused("ls").message,
        "no, which the workload names (`launcher = \"ls\"` in its [config]): add to /etc/fleet/grants.toml\n\
         [native.process.launchers.ls]\n\
         executable = \"/path/of/ls\"   # as `command -v ls` prints it"
    );
    assert!(
        refused("/bin/ls")
            .message
            .ends_with("executable = \"/bin/ls\"")
    );
    for program in ["ls", "/bin/ls"] {
        toml::from_str::<toml::Table>(&refused(program).details["remedy"]).unwrap();
    }
}

#[test]
fn a_pinned_grant_says_which_digest_it_would_need() {
    let other = format!(
        "[native]\nlog = true\ndigest = \"{}\"",
        Digest::of(b"other")
    );
    let error = permissions("log = true", &other, None)
        .check(&Need::Log)
        .unwrap_err();
    assert!(
        error.message.contains(&Digest::of(COMPONENT).to_string()),
        "{error}"
    );
}

#[test]
fn the_view_shows_requests_and_grants_that_do_not_meet() {
    let view = permissions(
        "log = true\nclock = true",
        "[native]\nlog = true\nconfig = true",
        None,
    )
    .view();
    let row = |name: &str| {
        let c = view.iter().find(|c| c.name == name).unwrap();
        (
            c.requested,
            c.granted.is_some(),
            c.effective,
            c.remedy.is_some(),
        )
    };
    assert_eq!(row("log"), (true, true, true, false));
    assert_eq!(row("clock"), (true, false, false, true));
    assert_eq!(row("config"), (false, true, false, false));
}
