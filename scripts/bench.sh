#!/usr/bin/env bash
# Speeds against peers in the same run: the libraries' own benches, then whole commands. Prints JSON lines and a table.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v age >/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends age >/dev/null
    else
        echo "the peer age is missing; run:  sudo apt-get install -y age" >&2
        exit 1
    fi
fi
# With the whole workspace there is one set of features, so that each dependency is built once.
cargo build -q --release --workspace --bins --benches
for bench in seal release segment range verify decide datastore ledger catalog backup grants ask lifetime; do
    printf '\n== %s\n' "$bench"
    cargo bench -q --workspace --bench "$bench"
done
printf '\n== commands, as they are handed out\n'
scripts/dist.sh
benches/commands.py "$@"
printf '\n== the daily loop\n'
benches/daily.py
