#!/usr/bin/env bash
# Runs every fuzz target for the given number of seconds on the installed toolchain; a crash fails.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
export PATH="$PWD/target/tools/bin:$PATH" RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$PWD/target/fuzz"
command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: run make test-deps" >&2; exit 1; }
cargo fuzz build --dev 2>&1 | tail -n 3
for target in $(cargo fuzz list); do
    mkdir -p "fuzz/corpus/$target" "target/fuzz-work/$target"
    # New inputs go to target/, so that a run leaves the committed corpus alone.
    log="target/fuzz-work/$target.log"
    if ! cargo fuzz run --dev "$target" "target/fuzz-work/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=2048 -timeout=20 -verbosity=0 >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        echo "fuzz target $target failed" >&2
        exit 1
    fi
    echo "fuzz $target: $seconds s without a finding"
done
