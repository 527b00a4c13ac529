#!/usr/bin/env bash
# Runs every fuzz target for the given number of seconds on the installed toolchain; a crash fails.
set -euo pipefail
cd "$(dirname "$0")/.."
export seconds=${1:-60}
host=$(rustc -vV | sed -n 's/^host: //p')
export bin=$PWD/target/fuzz/$host/debug

# One build of all targets. These are the flags that `cargo fuzz build --dev` gives, which works here too: counters for
# libFuzzer and the address sanitizer, unstable but present in every toolchain.
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
flags+=" -Cllvm-args=-sanitizer-coverage-stack-depth -Cllvm-args=-simplifycfg-branch-fold-threshold=0"
flags+=" -Zsanitizer=address -Cdebug-assertions --cfg fuzzing"
RUSTC_BOOTSTRAP=1 RUSTFLAGS=$flags CARGO_TARGET_DIR=target/fuzz \
    cargo build -q --manifest-path fuzz/Cargo.toml --bins --target "$host"

fuzz() {
    mkdir -p "fuzz/corpus/$1" "target/fuzz-work/$1"
    # New inputs and crashes go to target/, so that a run leaves the committed corpus alone.
    if ! "$bin/$1" "target/fuzz-work/$1" "fuzz/corpus/$1" -artifact_prefix="target/fuzz-work/$1-" -max_total_time="$seconds" \
        -max_len=65536 -rss_limit_mb=2048 -timeout=20 -verbosity=0 >"target/fuzz-work/$1.log" 2>&1; then
        tail -n 60 "target/fuzz-work/$1.log" >&2
        echo "fuzz target $1 failed" >&2
        return 255 # ends xargs
    fi
    echo "fuzz $1: $seconds s without a finding"
}
export -f fuzz
export ASAN_OPTIONS=detect_odr_violation=0
sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"$/\1/p' fuzz/Cargo.toml | xargs -P "$(nproc)" -I{} bash -c 'fuzz {}'
