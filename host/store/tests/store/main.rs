//! The store as its users see it, over every kind of disk.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test fails by panicking, and nobody imports it"
)]

/// Runs each case, a function of a disk, over every kind of disk.
macro_rules! suite {
    ($($case:ident),* $(,)?) => {
        mod simulated {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(<crate::media::Simulated as crate::media::Media>::new()).await;
                }
            )*
        }

        mod sqlite {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(<crate::media::OnDisk as crate::media::Media>::new()).await;
                }
            )*
        }
    };
}

mod commits;
mod faults;
mod media;
mod model;
mod schema;
mod simulated;
mod sqlite;
mod streams;
mod suite;
