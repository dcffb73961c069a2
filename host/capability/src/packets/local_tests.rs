use std::path::Path;

use fleet_seam::{SimClock, SystemEntropy};

use super::super::writer::Writer;
use super::super::{PacketLimits, bell};
use super::*;
use crate::process::shim::points::NoPoints;

const PATIENCE: Duration = Duration::from_secs(40);

/// Workloads, and the first of them.
fn workspaces(root: &Path) -> (Workspaces, WorkloadId) {
    let workspaces = Workspaces::open(root).unwrap();
    let workload = WorkloadId::new(1, 1);
    workspaces.create(workload).unwrap();
    workspaces.create(WorkloadId::new(1, 2)).unwrap();
    (workspaces, workload)
}

/// Keeps a packet and rings no bell.
fn keep(workspaces: &Workspaces, workload: WorkloadId) {
    let folder = spool::folder(&workspaces.folder(workload));
    let mut writer = Writer::new(folder, PacketLimits::default(), &SystemEntropy, &NoPoints);
    assert!(writer.append(1, &["{}".to_owned()]).error.is_none());
}

fn ring(workspaces: &Workspaces, workload: WorkloadId) {
    bell::ring(workspaces.root(), &workload.to_string());
}

async fn changed(spools: &LocalSpools) -> Vec<WorkloadId> {
    tokio::time::timeout(PATIENCE, spools.changed())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_host_is_told_first_of_what_it_finds_and_then_of_each_bell() {
    let folder = tempfile::tempdir().unwrap();
    let (workspaces, workload) = workspaces(folder.path());
    keep(&workspaces, workload);
    let spools = LocalSpools::open(&workspaces, Arc::new(SimClock::new(1))).unwrap();
    assert_eq!(changed(&spools).await, [workload]);
    for _ in 0..3 {
        let mut next = std::pin::pin!(spools.changed());
        assert!(futures::poll!(&mut next).is_pending());
        ring(&workspaces, workload);
        let told = tokio::time::timeout(PATIENCE, next).await.unwrap();
        assert_eq!(told, [workload]);
    }
    let bells = workspaces.root().join(".bell");
    assert_eq!(std::fs::read_dir(&bells).unwrap().count(), 0);
    std::fs::write(bells.join("nobody"), "").unwrap();
    ring(&workspaces, workload);
    assert_eq!(changed(&spools).await, [workload]);
}

#[tokio::test]
async fn whoever_stops_waiting_leaves_the_bell_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (workspaces, workload) = workspaces(folder.path());
    let spools = LocalSpools::open(&workspaces, Arc::new(SimClock::new(1))).unwrap();
    let mut left = 0;
    for _ in 0..50 {
        ring(&workspaces, workload);
        let asked = {
            let mut dropped = std::pin::pin!(spools.changed());
            futures::poll!(&mut dropped)
        };
        if asked.is_pending() {
            left += 1;
            assert_eq!(changed(&spools).await, [workload]);
        }
    }
    assert!(left > 0, "somebody stopped waiting");
}

#[tokio::test]
async fn packets_whose_bell_never_rang_are_found_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let (workspaces, workload) = workspaces(folder.path());
    let clock = Arc::new(SimClock::new(1));
    let spools = LocalSpools::open(&workspaces, clock.clone()).unwrap();
    for _ in 0..2 {
        keep(&workspaces, workload);
        let told = tokio::time::timeout(PATIENCE, async {
            let mut next = std::pin::pin!(spools.changed());
            loop {
                let soon = Duration::from_millis(10);
                match tokio::time::timeout(soon, &mut next).await {
                    Ok(told) => return told,
                    Err(_) => clock.advance(LOOK),
                }
            }
        });
        assert_eq!(told.await.unwrap(), [workload]);
        let read = spools.read(workload, 0, 100).await.unwrap().unwrap();
        let last = read.packets.last().unwrap().seq;
        spools.trim(workload, read.spool, last).await.unwrap();
        let rest = spools.read(workload, 0, 100).await.unwrap().unwrap();
        assert!(rest.packets.is_empty());
    }
    // Nothing has changed since, so nothing is told, however often it looks.
    let mut next = std::pin::pin!(spools.changed());
    for _ in 0..5 {
        let soon = Duration::from_millis(10);
        assert!(tokio::time::timeout(soon, &mut next).await.is_err());
        clock.advance(LOOK);
    }
}
