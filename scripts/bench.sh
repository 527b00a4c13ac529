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
for crate in seal depot log policy keeper; do
    printf '\n== %s\n' "$crate"
    cargo bench -q -p "strongroom-$crate"
done
printf '\n== commands\n'
benches/commands.py "$@"
