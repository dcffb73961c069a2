//! Bad things that happen to a plugin folder under a running host.

use std::io::Write as _;

use fleet_e2e::wait_for;
use serde_json::Value;

use crate::support::{Bench, Version};

/// Waits until a newcomer beside the active one is refused for this.
fn refused(bench: &Bench, word: &str) -> Value {
    wait_for(&format!("a newcomer refused for {word}"), 30, || {
        let rows = bench.rows("mock");
        let mut rows = rows.into_iter();
        rows.find(|row| {
            row["state"] == "rejected" && row["reason"].as_str().unwrap().contains(word)
        })
    })
}

#[test]
fn bad_files_are_refused_beside_the_active_one_and_good_ones_are_taken_when_they_are_whole() {
    let bench = Bench::new(&["mock"], &[("FLEET_SWAP_RESCAN", "1s")]);
    bench.played("long", &[]).ok();
    let folder = bench.folder.path();
    let (component, manifest) = (folder.join("mock.wasm"), folder.join("mock.toml"));
    let first = bench.active("mock");
    let same = || assert_eq!(bench.active("mock")["digest"], first["digest"]);

    std::fs::write(&component, "not wasm at all").unwrap();
    refused(&bench, "not WebAssembly");
    same();

    let outside = bench.host.scratch().join("outside.wasm");
    std::fs::write(&outside, &Version::next("mock").component).unwrap();
    std::fs::remove_file(&component).unwrap();
    std::os::unix::fs::symlink(&outside, &component).unwrap();
    refused(&bench, "outside of the plugin folder");
    same();

    std::fs::remove_file(&component).unwrap();
    let large = std::fs::File::create(&component).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    refused(&bench, "larger than");
    same();

    // Gone is not unloaded, and said.
    std::fs::remove_file(&component).unwrap();
    let row = wait_for("the remark", 30, || {
        let row = bench.active("mock");
        let is_told = row["remarks"]
            .to_string()
            .contains("not in the plugin folder");
        is_told.then_some(row)
    });
    assert_eq!(row["digest"], first["digest"]);
    bench.played("meanwhile", &[]).ok();

    // Half of a file is nothing yet; all of it is.
    let next = Version::next("mock");
    std::fs::write(&manifest, &next.manifest).unwrap();
    let (half, rest) = next.component.split_at(next.component.len() / 2);
    let mut file = std::fs::File::create(&component).unwrap();
    file.write_all(half).unwrap();
    file.sync_all().unwrap();
    file.write_all(rest).unwrap();
    drop(file);
    bench.serves("mock", "0.1.0+next");
    wait_for("the row to go", 20, || {
        (bench.rows("mock").len() == 1).then_some(())
    });
    let _ = bench.host.wait_state("long", "running");
    let _ = bench.host.wait_state("meanwhile", "running");
}

#[test]
fn two_plugins_changed_at_once_are_both_swapped() {
    let bench = Bench::new(&["mock", "native"], &[]);
    for name in ["mock", "native"] {
        Version::next(name).write(bench.folder.path(), name);
    }
    for name in ["mock", "native"] {
        bench.serves(name, "0.1.0+next");
        assert_eq!(bench.history(name).len(), 1);
    }
}

#[test]
fn at_a_start_the_durable_one_serves_and_a_file_that_changed_meanwhile_is_swapped_in_after() {
    let Bench { mut host, folder } = Bench::new(&["mock"], &[]);
    host.kill();
    Version::next("mock").write(folder.path(), "mock");
    host.start_again();
    let mut bench = Bench { host, folder };
    bench.serves("mock", "0.1.0+next");
    let history = bench.history("mock");
    assert_eq!(
        (history.len(), &history[0]["cause"]),
        (1, &Value::from("file")),
        "{history:#?}"
    );
    // What was swapped in by command stays over a restart, whatever lies in the folder.
    bench.swapped("mock", &Version::shipped("mock").salted("by hand"));
    let by_hand = bench.active("mock");
    bench.host.kill();
    bench.host.start_again();
    assert_eq!(bench.active("mock")["digest"], by_hand["digest"]);
    assert_eq!(bench.history("mock").len(), 2);
}
