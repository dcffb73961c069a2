//! What compiled code depends on, as one digest.
//!
//! Nothing here needs a compiler, so a build without one finds what a build with one has made.

use wasmtime::ModuleVersionStrategy;

use crate::digest::Digest;
use crate::engine::CONFIG_VERSION;

/// The key of a component's compiled form on this machine.
pub(crate) fn key(component: &Digest) -> Digest {
    let basis = format!(
        "{component:?} wasmtime={} config={CONFIG_VERSION} {}-{} {}",
        ModuleVersionStrategy::WasmtimeVersion.as_str(),
        std::env::consts::ARCH,
        std::env::consts::OS,
        features().join(",")
    );
    Digest::of(basis.as_bytes())
}

macro_rules! detect {
    ($macro:path: $($feature:tt),*) => {{
        use $macro as detected;
        [$(($feature, detected!($feature))),*].into_iter().filter_map(|(name, there)| there.then_some(name)).collect()
    }};
}

/// The processor features that the compiler makes use of where it finds them.
#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    detect!(std::is_x86_feature_detected:
        "cmpxchg16b", "sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "avx", "avx2", "fma", "avxvnni", "bmi1", "bmi2",
        "avx512bitalg", "avx512dq", "avx512f", "avx512vl", "avx512vbmi", "avx512vnni", "lzcnt")
}

/// The processor features that the compiler makes use of where it finds them.
#[cfg(target_arch = "aarch64")]
fn features() -> Vec<&'static str> {
    detect!(std::arch::is_aarch64_feature_detected: "lse", "paca", "fp16", "dotprod", "i8mm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_component_has_a_key_of_its_own_and_keeps_it() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(key(&a), key(&a));
        assert_ne!(key(&a), key(&b));
        assert_ne!(key(&a), a);
    }
}
