#!/usr/bin/env bash
# Speeds against peers in the same run: the libraries' own benches, then whole commands. Prints JSON lines and a table.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! { command -v age && command -v softhsm2-util; } >/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends age softhsm2 >/dev/null
    else
        echo "the peer age or a token is missing; run:  sudo apt-get install -y age softhsm2" >&2
        exit 1
    fi
fi
# With the whole workspace there is one set of features, so that each dependency is built once.
cargo build -q --release --workspace --bins --benches
for bench in seal release segment range verify decide datastore ledger catalog backup grants ask; do
    printf '\n== %s\n' "$bench"
    cargo bench -q --workspace --bench "$bench"
done
# VERSIONS=1000000 is what the goals are about; making them takes most of an hour.
printf '\n== lifetime\n'
cargo bench -q --workspace --bench lifetime -- "${VERSIONS:-20000}"
printf '\n== commands, as they are handed out\n'
scripts/dist.sh
benches/commands.py "$@"
printf '\n== the daily loop\n'
benches/daily.py
