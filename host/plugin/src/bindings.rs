//! The contract in `wit/`, as Rust.
//!
//! Generated for the widest world a backend may have; which of its exports a component offers is
//! read from the component itself, so all but `driver` may be missing. Nothing outside `convert`, `imports`
//! and `backend` sees these types: the rest of the host speaks `fleet_model`.

wasmtime::component::bindgen!({
    path: ["../../wit/common/0.1.0", "../../wit/host/0.1.0", "../../wit/backend/0.1.0"],
    inline: "
        package fleet:host-side;

        world widest {
            include fleet:backend/backend-with-everything@0.1.0;
            import fleet:host/handles@0.1.0;
            import fleet:host/lines@0.1.0;
        }
    ",
    world: "fleet:host-side/widest",
    imports: { default: async },
    exports: { default: async },
    with: {
        "fleet:host/sources.source": fleet_capability::source::Source,
    },
});
