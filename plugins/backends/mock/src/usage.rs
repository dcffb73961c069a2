//! What a life uses: planned per time, so that counters grow while nobody looks.

use fleet_sdk::driver::RunState;
use fleet_sdk::stats::Sample;
use fleet_sdk::{Error, ErrorKind};

use crate::config::Config;
use crate::life::Life;

/// One look at what it uses.
///
/// # Errors
/// `not-found` (`not-running`) when it does not run.
pub(crate) fn sample(config: &Config, life: &Life, now_ms: u64) -> Result<Sample, Error> {
    let since_ms = match life.look(config, now_ms).state {
        RunState::Running => life.running_since_ms(config).unwrap_or(now_ms),
        _ => {
            return Err(Error::new(
                ErrorKind::NotFound,
                "not-running",
                "it does not run, so it uses nothing: start it first",
            ));
        }
    };
    let ran_ms = now_ms.saturating_sub(since_ms);
    let plan = &config.usage;
    let moved = |bytes_per_s: u32| Some(ran_ms.saturating_mul(bytes_per_s.into()) / 1_000);
    Ok(Sample {
        // Thousandths of a processor for milliseconds are microseconds.
        cpu_us: Some(ran_ms.saturating_mul(plan.cpu_millis.into())),
        memory_bytes: Some(plan.memory_bytes.into()),
        processes: Some(plan.processes),
        read_bytes: moved(plan.read_bytes_per_s),
        written_bytes: moved(plan.written_bytes_per_s),
        attributes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_grow_with_time_while_it_runs() {
        let config = serde_json::json!({"run_ms": 5_000, "usage": {"cpu_millis": 500, "read_bytes_per_s": 10}});
        let config: Config = serde_json::from_value(config).unwrap();
        let life = Life::default().start(&config, "op", 1_000);
        for (now_ms, cpu_us, read_bytes) in [(1_000, 0, 0), (3_000, 1_000_000, 20)] {
            let sample = sample(&config, &life, now_ms).unwrap();
            assert_eq!(
                (sample.cpu_us, sample.read_bytes, sample.written_bytes),
                (Some(cpu_us), Some(read_bytes), Some(0))
            );
            assert_eq!(
                (sample.memory_bytes, sample.processes),
                (Some(1 << 20), Some(1))
            );
        }
        for (life, now_ms) in [(&life, 6_000), (&Life::default(), 1_000)] {
            assert!(sample(&config, life, now_ms).unwrap_err().is_not_found());
        }
    }
}
