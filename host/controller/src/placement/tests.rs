//! Placement by table.

use fleet_model::ErrorKind;
use fleet_model::plugin::{Plugin, PluginState};

use super::{Candidate, plan};
use crate::session::Reach;
use crate::state::{Connection, NodeRow, Outbox, SessionCounter};
use crate::tests::scripted::hello;
use crate::tests::support::plugin;

fn node(name: &str, plugins: Vec<Plugin>) -> NodeRow {
    let hello = hello();
    NodeRow {
        id: hello.node,
        name: name.to_owned(),
        labels: hello.labels,
        session: SessionCounter {
            issued: 1,
            confirmed: 1,
        },
        run_id: hello.run_id,
        machine_boot_id: hello.machine_boot_id,
        outbox: Outbox {
            id: hello.outbox,
            seq: 0,
        },
        last_seen_ms: 0,
        plugins,
        host_version: hello.host_version,
        connection: Connection::Connected,
    }
}

fn with(state: PluginState, reason: Option<&str>) -> Vec<Plugin> {
    vec![Plugin {
        reason: reason.map(str::to_owned),
        ..plugin("mock", state)
    }]
}

fn unusable() -> Vec<Plugin> {
    vec![Plugin {
        usable: false,
        reason: Some("no engine".to_owned()),
        ..plugin("mock", PluginState::Active)
    }]
}

#[test]
fn the_first_node_that_can_is_taken_and_the_nearest_obstacle_is_the_answer() {
    use Reach::{Offline, Online};
    let active = || with(PluginState::Active, None);
    let other = || vec![plugin("native", PluginState::Active)];
    // Nodes with their plugins and reach; the node taken, or code, kind and what the message says.
    type Case = (
        Vec<(Vec<Plugin>, Reach)>,
        Result<usize, (&'static str, ErrorKind, &'static [&'static str])>,
    );
    let cases: Vec<Case> = vec![
        (vec![(active(), Online)], Ok(0)),
        (
            vec![
                (active(), Offline),
                (other(), Online),
                (active(), Online),
                (active(), Online),
            ],
            Ok(2),
        ),
        (
            vec![],
            Err(("no-node", ErrorKind::Unavailable, &["joined"])),
        ),
        (
            vec![(other(), Online)],
            Err(("no-backend", ErrorKind::Invalid, &["`mock`", "native"])),
        ),
        (
            vec![(vec![], Online)],
            Err(("no-backend", ErrorKind::Invalid, &["no active backend"])),
        ),
        (
            vec![(with(PluginState::Rejected, Some("no grant")), Online)],
            Err(("backend-rejected", ErrorKind::Unsupported, &["no grant"])),
        ),
        (
            vec![(unusable(), Online)],
            Err(("backend-unusable", ErrorKind::Unavailable, &["no engine"])),
        ),
        (
            vec![(with(PluginState::Compiled, None), Online)],
            Err(("backend-not-ready", ErrorKind::Unavailable, &["compiled"])),
        ),
        (
            vec![(active(), Offline)],
            Err(("node-offline", ErrorKind::Unavailable, &["not connected"])),
        ),
        // The nearest decides, all are told.
        (
            vec![(active(), Offline), (unusable(), Online), (other(), Online)],
            Err((
                "node-offline",
                ErrorKind::Unavailable,
                &["no engine", "native", "n2"],
            )),
        ),
        // Beside an active plugin a rejected newcomer of its name does no harm.
        (
            vec![(
                [with(PluginState::Rejected, Some("taken")), active()].concat(),
                Online,
            )],
            Ok(0),
        ),
    ];
    for (nodes, want) in cases {
        let nodes: Vec<_> = nodes
            .into_iter()
            .enumerate()
            .map(|(index, (plugins, reach))| (node(&format!("n{index}"), plugins), reach))
            .collect();
        let candidates = nodes.iter().map(|(node, reach)| Candidate {
            node,
            reach: *reach,
        });
        match (plan(&"mock".parse().unwrap(), candidates), want) {
            (Ok(place), Ok(index)) => {
                assert!(
                    nodes[index]
                        .0
                        .plugins
                        .iter()
                        .any(|plugin| std::ptr::eq(plugin, place.plugin)),
                    "{place:?}"
                );
            }
            (Err(error), Err((code, kind, texts))) => {
                assert_eq!((error.code.as_str(), error.kind), (code, kind), "{error:?}");
                assert_eq!(error.retry_after_ms.is_some(), kind.is_retryable());
                for text in texts {
                    assert!(error.message.contains(text), "{text}: {error}");
                }
            }
            (got, want) => panic!("{got:?} instead of {want:?}"),
        }
    }
}
