//! What a guest said before it ended, in one line: the words its author needs.
//!
//! Each toolchain says it in its own way on stderr. A runtime that is itself a guest (Python's is in Rust,
//! JavaScript's in C++) adds words about itself at the end, which say nothing about the plugin.

/// What C and C++ runtimes print when they give up, whatever the reason.
const NOISE: [&str; 2] = ["Redirecting call to abort()", "Aborted"];

/// What Python's runtime says when an exception leaves the plugin (componentize-py 0.25).
const PYTHON_ENDS: &str = "unexpected exception";

/// The last words, where there are any.
pub(crate) fn last_words(stderr: &str) -> Option<String> {
    let lines: Vec<&str> = stderr.lines().map(str::trim_end).collect();
    python(&lines)
        .or_else(|| javascript(&lines))
        .or_else(|| rust(&lines))
        .or_else(|| last(&lines))
}

/// The exception at the end of a traceback, and where it was raised: of the last one, where nothing but the
/// runtime's own end follows it.
fn python(lines: &[&str]) -> Option<String> {
    let head = lines
        .iter()
        .rposition(|line| line.starts_with("Traceback (most recent call last)"))?;
    let (_, block) = lines.split_at_checked(head + 1)?;
    let end = block.iter().position(|line| !line.starts_with(' '))?;
    let (frames, rest) = block.split_at_checked(end)?;
    let (what, rest) = rest.split_first()?;
    if what.is_empty() || !is_the_end(rest) {
        return None;
    }
    let mut frames = frames.iter().rev();
    let place = frames.find_map(|line| line.trim_start().strip_prefix("File "));
    let at = place.map(|frame| format!(" ({})", frame.replace('"', "")));
    Some(format!("{what}{}", at.unwrap_or_default()))
}

/// Whether these lines after an exception are no more than its own and the runtime's. A plugin may log an
/// exception and go on: then it is not what ended it.
fn is_the_end(rest: &[&str]) -> bool {
    let panic = rest.iter().position(|line| line.contains("panicked at "));
    let Some((own, runtime)) = panic.and_then(|at| rest.split_at_checked(at)) else {
        return rest.iter().all(|line| line.is_empty());
    };
    // A message may have several lines.
    let mut after = own.iter().skip_while(|line| !line.is_empty());
    after.all(|line| line.is_empty()) && runtime.iter().any(|line| line.contains(PYTHON_ENDS))
}

/// What was thrown, and the first place of its stack.
fn javascript(lines: &[&str]) -> Option<String> {
    let stack = lines.iter().rposition(|line| *line == "Stack:")?;
    let what = lines.get(stack.checked_sub(1)?)?;
    let at = lines.get(stack + 1).map(|line| line.trim());
    let at = at.filter(|line| !line.is_empty());
    Some(match at {
        Some(at) => format!("{what} ({at})"),
        None => (*what).to_owned(),
    })
}

/// A panic's place and message.
fn rust(lines: &[&str]) -> Option<String> {
    let lines: Vec<&&str> = lines.iter().filter(|line| !line.is_empty()).collect();
    let head = lines
        .iter()
        .rposition(|line| line.contains("panicked at "))?;
    let mut lines = lines.into_iter().skip(head);
    let (_, place) = lines.next()?.split_once("panicked at ")?;
    let message: Vec<&str> = lines
        .copied()
        .take_while(|line| !line.starts_with("note: "))
        .collect();
    let place = place.trim_end_matches(':');
    Some(format!("panicked at {place}: {}", message.join(" ")))
}

/// The last line that says something.
fn last(lines: &[&str]) -> Option<String> {
    let says =
        |line: &&&str| !line.is_empty() && !NOISE.iter().any(|noise| line.starts_with(noise));
    let line = lines.iter().rev().find(says);
    line.map(|line| (*line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_is_understood() {
        for (stderr, want) in [
            (
                "hello\n\nthread 'main' (1) panicked at src/lib.rs:7:5:\nindex out of bounds\n  left: 1\n\
                 note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
                Some("panicked at src/lib.rs:7:5: index out of bounds   left: 1"),
            ),
            (
                "Traceback (most recent call last):\n  File \"/0/plugin.py\", line 46, in create\n\
                 AttributeError: 'Workload' object has no attribute 'commandd'\n\n\
                 thread '<unnamed>' (1) panicked at runtime/src/lib.rs:1293:29:\n\
                 Python function threw an unexpected exception\nnote: run with `RUST_BACKTRACE=1`\n",
                Some(
                    "AttributeError: 'Workload' object has no attribute 'commandd' (/0/plugin.py, line 46, in create)",
                ),
            ),
            ("Traceback:\n  x\nValueError: no\n", Some("ValueError: no")),
            (
                "Traceback (most recent call last):\n  File \"/0/plugin.py\", line 4, in start\n    x()\n    ^^^\n\
                 ValueError: no\nsecond line\n\nthread '<unnamed>' (1) panicked at runtime/src/lib.rs:1293:29:\n\
                 Python function threw an unexpected exception\n",
                Some("ValueError: no (/0/plugin.py, line 4, in start)"),
            ),
            // Logged, and gone on.
            (
                "Traceback (most recent call last):\n  File \"/0/plugin.py\", line 4, in start\nValueError: no\n\
                 trying once more\nno port is free\n",
                Some("no port is free"),
            ),
            (
                "Traceback (most recent call last):\n  File \"/0/plugin.py\", line 4, in start\nValueError: no\n\n\
                 thread '<unnamed>' (1) panicked at runtime/src/lib.rs:9:2:\nno memory\n",
                Some("panicked at runtime/src/lib.rs:9:2: no memory"),
            ),
            (
                "Traceback (most recent call last):\n  File \"/0/plugin.py\", line 4, in start\nValueError: no\n\n\
                 trying once more\n\nthread '<unnamed>' (1) panicked at runtime/src/lib.rs:1293:29:\n\
                 Python function threw an unexpected exception\n",
                Some(
                    "panicked at runtime/src/lib.rs:1293:29: Python function threw an unexpected exception",
                ),
            ),
            (
                "\"undefined\" is not one of the cases of error-kind\nStack:\n  create@/tmp/initializer.js:3882:17\n\n\
                 Redirecting call to abort() to mozalloc_abort\n",
                Some(
                    "\"undefined\" is not one of the cases of error-kind (create@/tmp/initializer.js:3882:17)",
                ),
            ),
            (
                "malloc(): no\nRedirecting call to abort() to mozalloc_abort\n",
                Some("malloc(): no"),
            ),
            ("Redirecting call to abort() to mozalloc_abort\n", None),
            ("", None),
        ] {
            assert_eq!(last_words(stderr).as_deref(), want, "{stderr}");
        }
    }
}
