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

/// The interfaces beyond those every backend of this SDK has. Same types, an export macro of its own.
pub mod optional {
    wit_bindgen::generate!({
        path: ["../../wit/common/0.1.0", "../../wit/host/0.1.0", "../../wit/backend/0.1.0"],
        inline: "
            package fleet:sdk-input;

            world commands {
                export fleet:backend/input@0.1.0;
            }
        ",
        world: "fleet:sdk-input/commands",
        with: {
            "fleet:common/types@0.1.0": crate::bindings::fleet::common::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_input",
        default_bindings_module: "fleet_sdk::bindings::optional",
    });
}
