//! The contract as Rust: generated from the WIT packages.
//!
//! Types that two interfaces spell alike (how a process and how a runtime ended, say) become one
//! Rust type, so a plugin that passes one on converts nothing.
//!
//! What a backend need not offer is generated apart ([`optional`]), so that a component has the
//! exports its author asked for and no others.
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::restriction,
    reason = "generated; the documentation is the WIT's"
)]

wit_bindgen::generate!({
    path: ["../../wit/common/0.1.0", "../../wit/host/0.1.0", "../../wit/backend/0.1.0"],
    inline: "
        package fleet:sdk;

        world backend {
            include fleet:backend/backend-with-logs@0.1.0;
            import fleet:host/handles@0.1.0;
            import fleet:host/lines@0.1.0;
        }
    ",
    world: "fleet:sdk/backend",
    generate_all,
    additional_derives: [Clone, PartialEq],
    merge_structurally_equal_types: true,
    pub_export_macro: true,
    default_bindings_module: "fleet_sdk::bindings",
});

/// The interfaces beyond those every backend of this SDK has: each with the same types and an export
/// macro of its own.
pub mod optional {
    pub mod exec {
        wit_bindgen::generate!({
            path: ["../../wit/common/0.1.0", "../../wit/host/0.1.0", "../../wit/backend/0.1.0"],
            inline: "
                package fleet:sdk-exec;

                world offers-exec {
                    export fleet:backend/exec@0.1.0;
                }
            ",
            world: "fleet:sdk-exec/offers-exec",
            with: {
                "fleet:common/types@0.1.0": crate::bindings::fleet::common::types,
                "fleet:host/sources@0.1.0": crate::bindings::fleet::host::sources,
            },
            additional_derives: [Clone, PartialEq],
            pub_export_macro: true,
            export_macro_name: "export_exec",
            default_bindings_module: "fleet_sdk::bindings::optional::exec",
        });
    }
    pub mod input {
        wit_bindgen::generate!({
            path: ["../../wit/common/0.1.0", "../../wit/host/0.1.0", "../../wit/backend/0.1.0"],
            inline: "
                package fleet:sdk-input;

                world offers-input {
                    export fleet:backend/input@0.1.0;
                }
            ",
            world: "fleet:sdk-input/offers-input",
            with: {
                "fleet:common/types@0.1.0": crate::bindings::fleet::common::types,
            },
            additional_derives: [Clone, PartialEq],
            pub_export_macro: true,
            export_macro_name: "export_input",
            default_bindings_module: "fleet_sdk::bindings::optional::input",
        });
    }
    pub mod signals {
        wit_bindgen::generate!({
            path: ["../../wit/common/0.1.0", "../../wit/host/0.1.0", "../../wit/backend/0.1.0"],
            inline: "
                package fleet:sdk-signals;

                world offers-signals {
                    export fleet:backend/signals@0.1.0;
                }
            ",
            world: "fleet:sdk-signals/offers-signals",
            with: {
                "fleet:common/types@0.1.0": crate::bindings::fleet::common::types,
            },
            additional_derives: [Clone, PartialEq],
            pub_export_macro: true,
            export_macro_name: "export_signals",
            default_bindings_module: "fleet_sdk::bindings::optional::signals",
        });
    }
    pub mod stats {
        wit_bindgen::generate!({
            path: ["../../wit/common/0.1.0", "../../wit/host/0.1.0", "../../wit/backend/0.1.0"],
            inline: "
                package fleet:sdk-stats;

                world offers-stats {
                    export fleet:backend/stats@0.1.0;
                }
            ",
            world: "fleet:sdk-stats/offers-stats",
            with: {
                "fleet:common/types@0.1.0": crate::bindings::fleet::common::types,
            },
            additional_derives: [Clone, PartialEq],
            pub_export_macro: true,
            export_macro_name: "export_stats",
            default_bindings_module: "fleet_sdk::bindings::optional::stats",
        });
    }
}
