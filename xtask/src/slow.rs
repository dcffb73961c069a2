//! How long single tests took, from what the two test runners report.

/// One test and its duration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TestTime {
    pub(crate) name: String,
    pub(crate) seconds: f64,
}

/// The tests of a JUnit report, the form in which nextest lists every test with its time.
pub(crate) fn from_junit(report: &str) -> Vec<TestTime> {
    report
        .split("<testcase ")
        .skip(1)
        .filter_map(|text| {
            let (tag, _) = text.split_once('>')?;
            let binary = attribute(tag, "classname")?;
            Some(TestTime {
                name: format!("{binary} {}", attribute(tag, "name")?),
                seconds: attribute(tag, "time")?.parse().ok()?,
            })
        })
        .collect()
}

/// The value of one XML attribute. Names of tests and crates hold nothing that XML escapes.
fn attribute<'tag>(tag: &'tag str, name: &str) -> Option<&'tag str> {
    let start = format!("{name}=\"");
    tag.split_ascii_whitespace()
        .find_map(|part| part.strip_prefix(&start)?.split('"').next())
}

/// The test of one line that libtest prints with `--report-time`: `test NAME ... ok <0.004s>`.
pub(crate) fn from_libtest(line: &str) -> Option<TestTime> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let (_, time) = result.rsplit_once('<')?;
    Some(TestTime {
        name: name.to_owned(),
        seconds: time.trim_end().strip_suffix("s>")?.parse().ok()?,
    })
}

/// The `count` slowest tests, slowest first.
pub(crate) fn slowest(mut times: Vec<TestTime>, count: usize) -> Vec<TestTime> {
    times.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    times.truncate(count);
    times
}

#[cfg(test)]
mod tests {
    use super::{TestTime, from_junit, from_libtest, slowest};

    fn time(name: &str, seconds: f64) -> TestTime {
        TestTime {
            name: name.to_owned(),
            seconds,
        }
    }

    #[test]
    fn junit_reports_are_read() {
        let report = r#"<testsuites><testsuite name="fleet-model" tests="2">
            <testcase name="id::tests::parses" classname="fleet-model" timestamp="x" time="0.004">
            </testcase>
            <testcase name="slow" classname="fleet-e2e::run" timestamp="x" time="12.5"/>
            </testsuite></testsuites>"#;
        let expected = [
            time("fleet-model id::tests::parses", 0.004),
            time("fleet-e2e::run slow", 12.5),
        ];
        assert_eq!(from_junit(report), expected);
        assert_eq!(from_junit(""), []);
    }

    #[test]
    fn libtest_lines_are_read() {
        let read = |line| from_libtest(line);
        assert_eq!(read("test a::b ... ok <1.250s>"), Some(time("a::b", 1.25)));
        assert_eq!(
            read("test a::b ... FAILED <0.010s>"),
            Some(time("a::b", 0.01))
        );
        assert_eq!(read("test a::b ... ok"), None);
        assert_eq!(read("test a::b ... ignored"), None);
        assert_eq!(read("test result: ok. 3 passed; 0 failed"), None);
        assert_eq!(read("running 3 tests"), None);
    }

    #[test]
    fn the_slowest_come_first() {
        let times = vec![time("a", 1.0), time("b", 3.0), time("c", 2.0)];
        assert_eq!(slowest(times, 2), [time("b", 3.0), time("c", 2.0)]);
    }
}
