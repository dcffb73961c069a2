//! The contract as Rust: generated from the WIT packages.
//!
//! Types that two interfaces spell alike (how a process and how a runtime ended, say) become one
//! Rust type, so a plugin that passes one on converts nothing.
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
