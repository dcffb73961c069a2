# Short names for what people run all day. Each is one call, so nothing here needs `just`.

# List the recipes.
default:
    @just --list

# Type-check everything, the quickest answer.
check:
    cargo check --workspace --all-targets

# Build the host and the shipped components.
build:
    cargo xtask build

# Run every check and test.
test *ARGS:
    cargo xtask test {{ARGS}}

# Run clippy on both workspaces.
lint:
    cargo xtask test --only lint

# The quick areas, before a change is handed in.
dev:
    cargo xtask test --only format --only lint --only unit

# Build and run the host; arguments go to the host.
run *ARGS:
    cargo xtask run -- {{ARGS}}

# Format both workspaces.
fmt:
    cargo fmt --all && cargo fmt --all --manifest-path plugins/Cargo.toml

# Build and open the crates' documentation.
doc:
    cargo doc --workspace --no-deps --open

# Rewrite the documents that the host generates.
generate:
    cargo xtask generate
