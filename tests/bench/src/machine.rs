//! On what it was measured: what a reader needs to compare, and nothing that tells whose it is.

use std::path::Path;

/// One line of facts: processors, memory, kernel, file system.
#[must_use]
pub(crate) fn facts(work: &Path) -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let model = field(&read("/proc/cpuinfo"), "model name")
        .unwrap_or_else(|| "unknown processor".to_owned());
    let memory = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib.div_ceil(1 << 20));
    let kernel = rustix::system::uname();
    let release = kernel.release().to_string_lossy();
    let release = release.split('-').next().unwrap_or_default();
    let work = work.canonicalize().unwrap_or_else(|_| work.to_owned());
    let filesystem = filesystem(&read("/proc/self/mounts"), &work)
        .unwrap_or("unknown file system")
        .to_owned();
    format!("{cpus} CPUs ({model}), {memory} GiB, Linux {release}, {filesystem}")
}

/// The value of the first line `key : value`.
fn field(text: &str, key: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim().to_owned())
}

/// The type of the file system that holds `path`: that of the longest mount point above it, the
/// last of several at one place (proc(5)).
fn filesystem<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((Path::new(words.next()?), words.next()?))
        })
        .filter(|(point, _)| path.starts_with(point))
        .max_by_key(|(point, _)| point.components().count())
        .map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_decides() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\nnone /run/x xfs rw 0 0\nlate / btrfs rw 0 0\n";
        for (path, kind) in [
            ("/home/a", "btrfs"),
            ("/run/user", "tmpfs"),
            ("/run/x/y", "xfs"),
            ("/running", "btrfs"),
        ] {
            assert_eq!(filesystem(mounts, Path::new(path)), Some(kind), "{path}");
        }
    }

    #[test]
    fn fields_are_read_by_their_whole_name() {
        let text = "MemTotalX: 1\nMemTotal:       24000000 kB\nmodel name\t: Fast One\n";
        assert_eq!(field(text, "MemTotal").as_deref(), Some("24000000 kB"));
        assert_eq!(field(text, "model name").as_deref(), Some("Fast One"));
        assert_eq!(field(text, "none"), None);
    }
}
