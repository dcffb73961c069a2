//! What each area of `cargo xtask test` runs.

use crate::build::{COMPONENT_TARGET, components, components_here};
use crate::say;
use crate::slow::{TestTime, from_junit, from_libtest};
use crate::test::{Area, Missing, Needs, Session, Stop};
use crate::workspace::{Workspace, on_path, output, run};
use crate::{bench, build, engine, generate, toolchains, tools};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// Every area, cheap ones first.
pub(crate) const AREAS: [Area; 8] = [
    Area {
        name: "format",
        about: "rustfmt leaves all workspaces as they are",
        needs: Needs::Sources,
        run: format,
    },
    Area {
        name: "drift",
        about: "the checked-in generated documents match the host",
        needs: Needs::Build,
        run: |session| Ok(generate::check(session.workspace)?),
    },
    Area {
        name: "unit",
        about: "tests of the host's crates, of the components' logic and of xtask",
        needs: Needs::Build,
        run: unit,
    },
    Area {
        name: "e2e",
        about: "tests that start the built host",
        needs: Needs::Build,
        run: end_to_end,
    },
    Area {
        name: "lint",
        about: "clippy has nothing to say about any workspace",
        needs: Needs::Sources,
        run: lint,
    },
    Area {
        name: "docs",
        about: "rustdoc builds without warnings",
        needs: Needs::Sources,
        run: docs,
    },
    Area {
        name: "features",
        about: "a host that is only a node builds, and holds no server and no compiler",
        needs: Needs::Sources,
        run: features,
    },
    Area {
        name: "deny",
        about: "licences, sources and duplicate versions of dependencies",
        needs: Needs::Sources,
        run: deny,
    },
];

const END_TO_END: &str = "fleet-e2e";

/// Plugins that do their worst: built by the host, so its tests run with those that start it.
const HOSTILE: &str = "fleet-test-hostile";

const INVENTED_RUNTIME: &str = "fleet-test-berth";

/// The flags of a host that is only a node.
const NODE_ONLY: [&str; 5] = [
    "-p",
    "fleet-cli",
    "--no-default-features",
    "--features",
    "node",
];

/// What a host that is only a node must not contain.
const NOT_IN_A_NODE: [&str; 2] = ["axum", "cranelift-codegen"];

/// What cargo-deny checks in the components' workspace. The components use a part of what
/// `deny.toml` allows; the rest is no news.
#[rustfmt::skip]
const DENY_COMPONENTS: [&str; 16] = [
    "--manifest-path", "plugins/Cargo.toml", "--config", "deny.toml", "--target", COMPONENT_TARGET,
    "check", "--allow", "unmatched-skip", "--allow", "license-not-encountered",
    "--allow", "license-exception-not-encountered", "bans", "licenses", "sources",
];

fn format(session: &mut Session<'_>) -> Result<(), Stop> {
    let check = ["fmt", "--all", "--check", "--manifest-path"];
    for manifest in [
        "Cargo.toml",
        "plugins/Cargo.toml",
        bench::GRPC_MANIFEST,
        bench::GUEST_MANIFEST,
    ] {
        run(session.workspace.cargo(check).arg(manifest))?;
    }
    Ok(())
}

fn lint(session: &mut Session<'_>) -> Result<(), Stop> {
    let workspace = session.workspace;
    let arguments = ["clippy", "--release", "--workspace", "--all-targets"];
    run(workspace.cargo(arguments).args(["--", "-D", "warnings"]))?;
    run(components(workspace, "clippy").args(["--", "-D", "warnings"]))?;
    // Their tests run on this machine, so that is where clippy sees them.
    run(components_here(workspace, "clippy").args(["--all-targets", "--", "-D", "warnings"]))?;
    for mut clippy in [bench::grpc, bench::guest].map(|call| call(workspace, "clippy")) {
        run(clippy.args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

fn docs(session: &mut Session<'_>) -> Result<(), Stop> {
    let arguments = ["doc", "--release", "--workspace", "--no-deps"];
    run(session
        .workspace
        .cargo(arguments)
        .env("RUSTDOCFLAGS", "-Dwarnings"))?;
    Ok(())
}

fn features(session: &mut Session<'_>) -> Result<(), Stop> {
    let workspace = session.workspace;
    let mut tree = workspace.cargo(["tree", "-e", "normal", "--prefix", "none"]);
    let crates = output(tree.args(NODE_ONLY))?;
    let mut names = crates.lines().filter_map(|line| line.split(' ').next());
    if let Some(name) = names.find(|name| NOT_IN_A_NODE.contains(name)) {
        let message = format!("a host that is only a node depends on {name}");
        return Err(Stop::Failed(message));
    }
    run(workspace.cargo(["check", "--release"]).args(NODE_ONLY))?;
    Ok(())
}

fn deny(session: &mut Session<'_>) -> Result<(), Stop> {
    let workspace = session.workspace;
    let program = tools::cargo_deny(workspace, session.missing)?;
    let check = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        run(command.current_dir(&workspace.root).args(arguments))
    };
    check(&["check", "bans", "licenses", "sources"])?;
    check(&DENY_COMPONENTS)?;
    // The database of advisories changes without us and may be out of reach: worth reading, but
    // no reason to refuse a change.
    if let Err(message) = check(&["check", "advisories"]) {
        say(&format!("warning, not a failure: {message}"));
    }
    Ok(())
}

fn unit(session: &mut Session<'_>) -> Result<(), Stop> {
    tools::system_packages("unit", session.missing)?;
    engine::provide(session.missing)?;
    let selection = ["--workspace", "--exclude", END_TO_END, "--exclude", HOSTILE];
    run_tests(session, &selection)?;
    run(&mut components_here(session.workspace, "test"))?;
    // Examples in documentation: nextest does not know them, and they report no times.
    let doctests = ["test", "--release", "--doc"];
    run(session.workspace.cargo(doctests).args(selection))?;
    Ok(())
}

fn end_to_end(session: &mut Session<'_>) -> Result<(), Stop> {
    tools::system_packages("e2e", session.missing)?;
    engine::provide(session.missing)?;
    toolchains::provide(session.missing)?;
    // A server that tests start; cargo builds no other package's programs for them.
    run(&mut session
        .workspace
        .cargo(["build", "--release", "-p", INVENTED_RUNTIME]))?;
    build::build_next(session.workspace, &session.workspace.next_plugins())?;
    run_tests(session, &["-p", END_TO_END, "-p", HOSTILE])
}

/// Runs the tests of some packages with nextest, where it is installed, else with `cargo test`,
/// and notes how long each took. Either prints its usual closing lines.
fn run_tests(session: &mut Session<'_>, selection: &[&str]) -> Result<(), Stop> {
    let workspace = session.workspace;
    let missing = session.missing;
    let (times, result) = if on_path("cargo-nextest").is_some() {
        with_nextest(workspace, missing, selection)
    } else {
        with_cargo_test(workspace, missing, selection)?
    };
    session.times.extend(times);
    Ok(result?)
}

/// The tests' times, and whether all passed.
type Tested = (Vec<TestTime>, Result<(), String>);

fn with_nextest(workspace: &Workspace, missing: Missing, selection: &[&str]) -> Tested {
    let report = workspace.root.join("target/nextest/ci/junit.xml");
    let _ = fs::remove_file(&report);
    let mut command = workspace.cargo(["nextest", "run", "--release", "--profile", "ci"]);
    engine::describe(workspace, missing, &mut command);
    toolchains::describe(missing, &mut command);
    let result = run(test_environment(workspace, &mut command)
        .args(selection)
        .arg("--no-tests=pass"));
    let times = fs::read_to_string(&report).map(|text| from_junit(&text));
    (times.unwrap_or_default(), result)
}

fn with_cargo_test(
    workspace: &Workspace,
    missing: Missing,
    selection: &[&str],
) -> Result<Tested, String> {
    let mut command = workspace.cargo(["test", "--release", "--no-fail-fast"]);
    engine::describe(workspace, missing, &mut command);
    toolchains::describe(missing, &mut command);
    let mut child = test_environment(workspace, &mut command)
        .args(selection)
        .arg("--tests")
        // libtest tells times only when unstable options are allowed. Set for cargo itself the
        // variable would make every dependency compile again, so only test programs get it.
        .args([
            "--config",
            r#"target."cfg(unix)".runner=["env","RUSTC_BOOTSTRAP=1"]"#,
        ])
        .args(["--", "-Z", "unstable-options", "--report-time"])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cargo test cannot be started: {error}"))?;
    let mut times = Vec::new();
    for line in child
        .stdout
        .take()
        .into_iter()
        .flat_map(|stdout| BufReader::new(stdout).lines())
    {
        let line = line.map_err(|error| format!("cargo test's output cannot be read: {error}"))?;
        times.extend(from_libtest(&line));
        println!("{line}");
    }
    let status = child
        .wait()
        .map_err(|error| format!("cargo test is lost: {error}"))?;
    let failed = || format!("`cargo test {}` failed ({status})", selection.join(" "));
    Ok((times, status.success().then_some(()).ok_or_else(failed)))
}

/// Tells tests where the built host and components are.
pub(crate) fn test_environment<'command>(
    workspace: &Workspace,
    command: &'command mut Command,
) -> &'command mut Command {
    command
        .env("FLEET_HOST_BIN", workspace.host_binary())
        .env("FLEET_PLUGINS_DIR", workspace.plugins())
        .env("FLEET_EXAMPLES_DIR", workspace.examples())
        .env("FLEET_TEST_PLUGINS_DIR", workspace.test_plugins())
        .env("FLEET_NEXT_PLUGINS_DIR", workspace.next_plugins())
}
