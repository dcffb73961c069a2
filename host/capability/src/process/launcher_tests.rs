//! Tables for the launcher's rules.

use super::*;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn launcher(arguments: Option<&[&str]>, env: Option<&[&str]>) -> Launcher {
    let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    Launcher {
        executable: Some("/bin/echo".into()),
        arguments: arguments.map(own),
        env: env.map(own),
        ..Launcher::default()
    }
}

#[test]
fn arguments_match_whole_and_in_place() {
    let cases: &[(Option<&[&str]>, &str, bool)] = &[
        (None, "echo a b c", true),
        (Some(&[]), "echo", true),
        (Some(&[]), "echo a", false),
        (Some(&["-n", "[0-9]+"]), "echo -n 12", true),
        (Some(&["-n", "[0-9]+"]), "echo -n", false),
        (Some(&["-n", "[0-9]+"]), "echo -n 12 13", false),
        (Some(&["-n", "[0-9]+"]), "echo -n 12x", false),
        (Some(&["-n", "[0-9]+"]), "echo 12 -n", false),
        (Some(&["a|b"]), "echo ac", false),
        (Some(&["a|b"]), "echo b", true),
        (Some(&["-v", "x+", "..."]), "echo -v", true),
        (Some(&["-v", "x+", "..."]), "echo -v x xx xxx", true),
        (Some(&["-v", "x+", "..."]), "echo -v x y", false),
        (Some(&["-v", "x+", "..."]), "echo", false),
        (None, "/bin/echo a", true),
        (None, "/tmp/echo a", false),
        (None, "sh -c x", false),
    ];
    for (arguments, command, allowed) in cases {
        let answer = launcher(*arguments, None).allows(&words(command), &BTreeMap::new());
        assert_eq!(
            answer.is_ok(),
            *allowed,
            "{arguments:?} {command}: {answer:?}"
        );
        if let Err(error) = answer {
            assert_eq!(error.code, "no-launcher-rule");
        }
    }
}

#[test]
fn a_refused_argument_says_what_is_allowed_in_its_place() {
    let sleep = launcher(Some(&["-n", "[0-9]+"]), None);
    let error = sleep.allows(&words("echo -n abc"), &BTreeMap::new());
    let message = error.unwrap_err().message;
    assert!(
        message.contains("`abc`") && message.contains("`[0-9]+`"),
        "{message}"
    );
}

#[test]
fn only_listed_variables_and_the_hosts_own_may_be_set() {
    let limited = launcher(None, Some(&["LANG", "APP_*"]));
    for (name, allowed) in [
        ("LANG", true),
        ("APP_X", true),
        ("FLEET_NODE", true),
        ("PORT_HTTP", true),
        ("LANGUAGE", false),
        ("LD_PRELOAD", false),
    ] {
        let env = BTreeMap::from([(name.to_owned(), String::new())]);
        assert_eq!(
            limited.allows(&words("echo"), &env).is_ok(),
            allowed,
            "{name}"
        );
    }
    let env = BTreeMap::from([("LD_PRELOAD".to_owned(), String::new())]);
    let one: Launcher = toml::from_str("executable = '/bin/echo'").unwrap();
    let any: Launcher = toml::from_str("any = true").unwrap();
    assert!(any.allows(&words("echo"), &env).is_ok());
    assert!(one.allows(&words("echo"), &env).is_err());
    assert!(one.allows(&words("echo"), &BTreeMap::new()).is_ok());
    let message = limited.allows(&words("echo"), &env).unwrap_err().message;
    assert!(message.contains("env = [\"LD_PRELOAD\"]"), "{message}");
}

#[test]
fn a_launcher_that_says_too_little_or_too_much_is_refused() {
    for text in [
        "",
        "any = true\nexecutable = '/bin/sh'",
        "executable = 'sh'",
        "any = true\nsha256 = 'aa'",
        "executable = '/bin/sh'\nsha256 = 'aa'",
        "any = true\narguments = ['...']",
        "any = true\narguments = ['a)|(b']",
    ] {
        let launcher: Launcher = toml::from_str(text).unwrap();
        assert_eq!(
            launcher.validate().unwrap_err().code,
            "bad-launcher",
            "{text}"
        );
    }
    assert!(toml::from_str::<Launcher>("user = 'root'").is_err());
    let any: Launcher = toml::from_str("any = true").unwrap();
    any.validate().unwrap();
}

#[test]
fn the_file_system_is_asked_for_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("run.sh");
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    let any = Launcher {
        any: true,
        ..Launcher::default()
    };
    let check = |command: &str| {
        any.check(
            &words(command),
            &BTreeMap::new(),
            &environment::base(&any),
            folder.path(),
        )
    };

    assert_eq!(check("sh -c true").unwrap().path.file_name().unwrap(), "sh");
    for (command, code) in [
        ("no-such-program-anywhere", "program-missing"),
        ("./missing", "program-missing"),
        ("/etc", "program-is-directory"),
        ("./run.sh", "program-not-executable"),
    ] {
        let error = check(command).unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (fleet_model::ErrorKind::Invalid, code)
        );
        assert!(error.message.len() > 30, "{}", error.message);
    }
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(
        check("./run.sh").unwrap().path,
        folder.path().join("run.sh")
    );

    let digest = "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf";
    let pinned = |sha256: &str| Launcher {
        executable: Some(script.clone()),
        sha256: Some(sha256.to_owned()),
        ..Launcher::default()
    };
    let check = |launcher: Launcher| {
        let none = BTreeMap::new();
        launcher.check(&words("run.sh"), &none, &none, folder.path())
    };
    assert_eq!(
        check(pinned(&digest.to_uppercase())).unwrap().sha256,
        Some(digest.to_uppercase())
    );
    assert_eq!(
        check(pinned(&digest.replace('3', "4"))).unwrap_err().code,
        "program-changed"
    );
}

#[test]
fn words_that_no_program_could_be_given_are_refused() {
    let any = Launcher {
        any: true,
        ..Launcher::default()
    };
    let check = |command: &[String], env: &[(&str, &str)]| {
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        any.check(command, &env, &BTreeMap::new(), Path::new("/"))
            .unwrap_err()
            .code
    };
    assert_eq!(check(&[], &[]), "bad-command");
    assert_eq!(check(&[String::new()], &[]), "bad-command");
    assert_eq!(check(&["sh".into(), "a\0b".into()], &[]), "bad-command");
    assert_eq!(
        check(&["sh".into(), "x".repeat(1 << 18)], &[]),
        "bad-command"
    );
    assert_eq!(check(&words("sh"), &[("A=B", "")]), "bad-environment");
    assert_eq!(check(&words("sh"), &[("A", "\0")]), "bad-environment");
    assert_eq!(
        check(&words("sh"), &[("A", &"x".repeat(10 << 20))]),
        "bad-environment"
    );
}
