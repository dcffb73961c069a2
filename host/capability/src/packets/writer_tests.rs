use fleet_seam::SystemEntropy;

use super::super::reader;
use super::*;
use crate::process::shim::points::NoPoints;

fn writer(folder: &Path, limits: PacketLimits) -> Writer<'static> {
    Writer::new(folder.join("packets"), limits, &SystemEntropy, &NoPoints)
}

fn packets(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn keep(writer: &mut Writer<'_>, texts: &[&str]) -> Vec<u64> {
    let kept = writer.append(5, &packets(texts));
    assert!(kept.error.is_none(), "{kept:?}");
    kept.numbers
}

fn read(folder: &Path, after: u64) -> Vec<(u64, String)> {
    reader::read(&folder.join("packets"), after, usize::MAX)
        .unwrap()
        .into_iter()
        .map(|packet| (packet.seq, packet.json))
        .collect()
}

fn numbers(folder: &Path, after: u64) -> Vec<u64> {
    read(folder, after)
        .into_iter()
        .map(|(number, _)| number)
        .collect()
}

#[test]
fn numbers_go_on_over_writers_and_the_id_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = writer(folder.path(), PacketLimits::default());
    assert!(!first.resume().unwrap());
    assert!(!folder.path().join("packets").exists());
    assert_eq!(keep(&mut first, &["1", "2"]), [1, 2]);
    assert_eq!(keep(&mut first, &["3"]), [3]);
    let id = spool::id(&folder.path().join("packets")).unwrap().unwrap();
    let mut second = writer(folder.path(), PacketLimits::default());
    assert!(second.resume().unwrap());
    assert_eq!(keep(&mut second, &["4"]), [4]);
    let third = &mut writer(folder.path(), PacketLimits::default());
    assert_eq!(keep(third, &["5"]), [5]);
    assert_eq!(spool::id(&folder.path().join("packets")).unwrap(), Some(id));
    assert_eq!(numbers(folder.path(), 0), [1, 2, 3, 4, 5]);
    assert_eq!(read(folder.path(), 4), [(5, "5".to_owned())]);
    assert_eq!(numbers(folder.path(), 5), [0; 0]);
}

#[test]
fn a_torn_tail_at_any_byte_is_cut_and_nothing_that_was_answered_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = writer(folder.path(), PacketLimits::default());
    keep(&mut first, &["\"kept\""]);
    let path = segment::path(&folder.path().join("packets"), 1);
    let answered = fs::read(&path).unwrap();
    keep(&mut first, &["\"a\"", "\"b\""]);
    let whole = fs::read(&path).unwrap();
    for length in answered.len()..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let before = read(folder.path(), 0);
        let mut next = writer(folder.path(), PacketLimits::default());
        let new = keep(&mut next, &["\"new\""]);
        let after = read(folder.path(), 0);
        assert_eq!(after[..before.len()], before[..], "what was read stays");
        assert!(after.len() <= 4 && after[0].1 == "\"kept\"");
        assert_eq!(after.last().unwrap(), &(new[0], "\"new\"".to_owned()));
        let all: Vec<u64> = after.iter().map(|(number, _)| *number).collect();
        assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    }
    for garbage in [
        &b"\0\0\0\0"[..],
        b"{\"seq\":",
        b"nonsense\n",
        b"{\"seq\":1,\"at_ms\":1,\"packet\":1}\n",
    ] {
        fs::write(&path, [&answered[..], garbage].concat()).unwrap();
        assert_eq!(
            keep(&mut writer(folder.path(), PacketLimits::default()), &["2"]),
            [2]
        );
        assert_eq!(numbers(folder.path(), 0), [1, 2]);
    }
}

#[test]
fn packets_without_a_mark_are_not_read_until_the_next_writer_made_sure_of_them() {
    let folder = tempfile::tempdir().unwrap();
    keep(&mut writer(folder.path(), PacketLimits::default()), &["1"]);
    let path = segment::path(&folder.path().join("packets"), 1);
    let mut text = fs::read(&path).unwrap();
    record::write(&mut text, 2, 5, "2");
    fs::write(&path, &text).unwrap();
    assert_eq!(numbers(folder.path(), 0), [1]);
    assert!(
        writer(folder.path(), PacketLimits::default())
            .resume()
            .unwrap()
    );
    assert_eq!(numbers(folder.path(), 0), [1, 2]);
}

#[test]
fn the_oldest_go_when_there_is_no_room_and_the_gap_shows() {
    let folder = tempfile::tempdir().unwrap();
    let limits = PacketLimits {
        segment_bytes: 200,
        total_bytes: 1_000,
    };
    let mut writer = writer(folder.path(), limits);
    let many: Vec<String> = (1..=200).map(|number| number.to_string()).collect();
    let kept = writer.append(5, &many);
    assert_eq!(kept.numbers, (1..=200).collect::<Vec<u64>>());
    let left = numbers(folder.path(), 0);
    assert!(left[0] > 1 && left.len() > 10, "{left:?}");
    assert_eq!(left, (left[0]..=200).collect::<Vec<u64>>());
    let packets = folder.path().join("packets");
    let sizes = segment::list(&packets).unwrap().into_iter();
    let total: u64 = sizes
        .map(|first| segment::path(&packets, first).metadata().unwrap().len())
        .sum();
    assert!(total <= 1_000, "{total}");
    // One that is larger than a segment has a segment to itself.
    let large = format!("\"{}\"", "x".repeat(500));
    assert_eq!(keep(&mut writer, &["1", &large, "2"]), [201, 202, 203]);
    assert_eq!(numbers(folder.path(), 200), [201, 202, 203]);
}

#[test]
fn what_is_stored_elsewhere_goes_by_segments_and_the_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let limits = PacketLimits {
        segment_bytes: 100,
        total_bytes: 100_000,
    };
    let packets = folder.path().join("packets");
    let mut first = writer(folder.path(), limits);
    for number in 1..=20 {
        keep(&mut first, &[&number.to_string()]);
    }
    let before = segment::list(&packets).unwrap();
    reader::trim(&packets, before[3] - 1).unwrap();
    assert_eq!(segment::list(&packets).unwrap(), before[3..]);
    reader::trim(&packets, before[4]).unwrap();
    assert_eq!(segment::list(&packets).unwrap(), before[4..]);
    spool::ack(&packets, 20).unwrap();
    reader::trim(&packets, u64::MAX).unwrap();
    assert_eq!(segment::list(&packets).unwrap(), before[before.len() - 1..]);
    assert_eq!(
        keep(&mut writer(folder.path(), limits), &["x"].map(|_| "21")),
        [21]
    );
    // A disk that lost the newest segments does not give their numbers again.
    for first in segment::list(&packets).unwrap() {
        fs::remove_file(segment::path(&packets, first)).unwrap();
    }
    spool::ack(&packets, 30).unwrap();
    assert_eq!(keep(&mut writer(folder.path(), limits), &["31"]), [31]);
    for torn in ["torn", "", "{\"through\":"] {
        fs::write(packets.join("acked.json"), torn).unwrap();
        assert_eq!(spool::acked(&packets).unwrap(), 0);
    }
}

#[test]
fn a_full_disk_is_said_and_nothing_is_numbered_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut refused = writer(folder.path(), PacketLimits::default());
    let packets_folder = folder.path().join("packets");
    spool::create(&packets_folder, StoreId::new(1, 1)).unwrap();
    let first = segment::path(&packets_folder, 1);
    std::os::unix::fs::symlink("/dev/full", &first).unwrap();
    let kept = refused.append(5, &packets(&["1", "2"]));
    assert_eq!(kept.numbers, [0; 0]);
    assert!(kept.error.is_some());
    fs::remove_file(&first).unwrap();
    assert_eq!(keep(&mut refused, &["1"]), [1]);
    assert_eq!(numbers(folder.path(), 0), [1]);
}

#[test]
fn what_was_refused_and_could_not_be_cut_off_goes_before_anything_else_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), PacketLimits::default());
    assert_eq!(keep(&mut writer, &["\"kept\""]), [1]);
    let packets_folder = folder.path().join("packets");
    let path = segment::path(&packets_folder, 1);
    let good = fs::read(&path).unwrap();
    // A disk that takes nothing and cannot be cut: the file is open for reading only.
    let current = writer.end.as_mut().unwrap().current.as_mut().unwrap();
    current.file = File::open(&path).unwrap();
    assert!(writer.append(5, &packets(&["\"refused\""])).error.is_some());
    assert!(writer.torn.is_some());
    // What such a disk may have kept of it: all.
    let mut torn = good.clone();
    record::write(&mut torn, 2, 5, "\"refused\"");
    fs::write(&path, &torn).unwrap();
    assert_eq!(keep(&mut writer, &["\"new\""]), [2]);
    assert_eq!(read(folder.path(), 1), [(2, "\"new\"".to_owned())]);

    // And where nothing more is written, it goes when the writer ends.
    let good = fs::read(&path).unwrap();
    writer.torn = Some((path.clone(), good.len() as u64));
    writer.end = None;
    fs::write(
        &path,
        [&good[..], b"{\"seq\":3,\"at_ms\":5,\"packet\":3}\n"].concat(),
    )
    .unwrap();
    writer.settle();
    assert_eq!(fs::read(&path).unwrap(), good);
}
