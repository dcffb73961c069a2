//! Placement by table.

use fleet_model::plugin::{Plugin, PluginState};
use fleet_model::{ErrorKind, NodeId};

use super::candidates::Candidate;
use super::obstacle::{Clash, Holder, Obstacle};
use super::{Wish, plan};
use crate::session::Reach;
use crate::state::{Connection, NodeRow, Outbox, SessionCounter};
use crate::tests::scripted::hello;
use crate::tests::support::plugin;

fn node(number: u128, plugins: Vec<Plugin>) -> NodeRow {
    let hello = hello();
    NodeRow {
        id: NodeId::new(1, number),
        name: format!("n{number}"),
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

fn limits(held: &str) -> Vec<Plugin> {
    let attributes = [
        ("limits", held),
        ("isolation", "process group"),
        ("isolation-reason", "not root"),
    ];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
    vec![Plugin {
        attributes: attributes.into(),
        ..plugin("mock", PluginState::Active)
    }]
}

#[test]
fn a_node_that_can_is_taken_and_the_nearest_obstacle_is_the_answer() {
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
        // What says that it cannot hold a limit does not get it; what says nothing may.
        (
            vec![(limits("cpu, processes"), Online)],
            Err((
                "limits-unsupported",
                ErrorKind::Unsupported,
                &[
                    "a limit of memory",
                    "process group",
                    "not root",
                    "leave those",
                ],
            )),
        ),
        (
            vec![(limits(""), Online)],
            Err((
                "limits-unsupported",
                ErrorKind::Unsupported,
                &["a limit of cpu, memory"],
            )),
        ),
        (
            vec![
                (limits(""), Online),
                (limits("cpu,memory,processes"), Online),
            ],
            Ok(1),
        ),
        // Waiting helps where only the node is away, and not where it could not hold the limit either.
        (
            vec![(limits(""), Online), (active(), Offline)],
            Err(("node-offline", ErrorKind::Unavailable, &["a limit of"])),
        ),
        (
            vec![(limits(""), Offline)],
            Err(("limits-unsupported", ErrorKind::Unsupported, &[])),
        ),
        (
            vec![(vec![], Offline); 30],
            Err((
                "no-backend",
                ErrorKind::Invalid,
                &["node n9:", "and 20 more nodes"],
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
    let backend = "mock".parse().unwrap();
    let wish = Wish {
        backend: &backend,
        limits: vec!["cpu", "memory"],
    };
    for (nodes, want) in cases {
        let nodes: Vec<_> = (0..)
            .zip(nodes)
            .map(|(number, (plugins, reach))| (node(number, plugins), reach))
            .collect();
        let candidates = nodes.iter().map(|(node, reach)| Candidate {
            node,
            reach: *reach,
            workloads: 0,
            clashes: Vec::new(),
        });
        let plan = plan(&wish, candidates.collect());
        let got = plan.place.ok_or_else(|| plan.refusal(&backend).unwrap());
        assert_eq!(plan.verdicts.len(), nodes.len());
        for verdict in &plan.verdicts {
            let is_chosen = plan.place.map(|place| place.node.id) == Some(verdict.node.id);
            assert_eq!(verdict.why_not.is_none(), is_chosen, "{verdict:?}");
        }
        match (got, want) {
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

#[test]
fn of_those_that_can_the_one_with_the_least_to_do_is_taken_and_the_others_are_told_why() {
    let backend = "mock".parse().unwrap();
    let wish = Wish {
        backend: &backend,
        limits: Vec::new(),
    };
    for (workloads, want) in [
        (vec![3, 1, 2], 1),
        // Of equals the one with the lowest id, whatever their order.
        (vec![2, 1, 1], 1),
        (vec![0, 0, 0], 0),
        (vec![5], 0),
    ] {
        let nodes: Vec<_> = (0..)
            .zip(&workloads)
            .map(|(number, _)| node(number, with(PluginState::Active, None)))
            .collect();
        let candidates = nodes
            .iter()
            .zip(&workloads)
            .map(|(node, workloads)| Candidate {
                node,
                reach: Reach::Online,
                workloads: *workloads,
                clashes: Vec::new(),
            });
        for candidates in [
            candidates.clone().collect::<Vec<_>>(),
            candidates.rev().collect(),
        ] {
            let plan = plan(&wish, candidates);
            assert_eq!(
                plan.place.unwrap().node.name,
                format!("n{want}"),
                "{workloads:?}"
            );
            assert!(plan.refusal(&backend).is_none());
            for verdict in plan.verdicts {
                let Some(reason) = verdict.why_not else {
                    assert_eq!(verdict.node.name, format!("n{want}"));
                    continue;
                };
                let reason = reason.to_string();
                assert!(reason.contains(&format!("n{want} has")), "{reason}");
            }
        }
    }
}

#[test]
fn lines_to_copy_stand_below_the_sentence() {
    let backend = "mock".parse().unwrap();
    let plugins = vec![Plugin {
        usable: false,
        reason: Some("not granted: add to g.toml\n[mock]\nclock = true".to_owned()),
        ..plugin("mock", PluginState::Active)
    }];
    let node = node(1, plugins);
    let candidate = Candidate {
        node: &node,
        reach: Reach::Online,
        workloads: 0,
        clashes: Vec::new(),
    };
    let wish = Wish {
        backend: &backend,
        limits: Vec::new(),
    };
    let error = plan(&wish, vec![candidate]).refusal(&backend).unwrap();
    let (sentence, lines) = error.message.split_once('\n').unwrap();
    assert!(sentence.contains("add to g.toml): "), "{sentence}");
    assert_eq!(lines, "[mock]\nclock = true");
}

#[test]
fn a_port_that_is_not_free_is_an_obstacle_on_that_node_alone() {
    let backend = "mock".parse().unwrap();
    let wish = Wish {
        backend: &backend,
        limits: Vec::new(),
    };
    let nodes = [0, 1].map(|number| node(number, with(PluginState::Active, None)));
    let clash = Clash {
        name: "http".parse().unwrap(),
        port: 80,
        holder: Holder::Workload("web".to_owned()),
    };
    let candidates = |count: usize| {
        let candidates = nodes.iter().zip([vec![clash.clone()], Vec::new()]);
        let candidates = candidates.map(|(node, clashes)| Candidate {
            node,
            reach: Reach::Online,
            workloads: 0,
            clashes,
        });
        candidates.take(count).collect()
    };
    assert_eq!(plan(&wish, candidates(2)).place.unwrap().node.name, "n1");
    let refused = plan(&wish, candidates(1));
    assert_eq!(
        refused.verdicts[0].why_not,
        Some(Obstacle::Port(clash.clone()))
    );
    let error = refused.refusal(&backend).unwrap();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("port-taken", ErrorKind::Conflict)
    );
    assert_eq!(error.details["pointer"], "/ports/http");
    assert!(error.message.contains("`web`"), "{error}");
}
