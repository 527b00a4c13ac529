#!/usr/bin/env bash
# Writes vectors/ again from the independent Python generators; a difference to what is committed is a finding.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x target/venv/bin/pip ] || scripts/test-deps.sh
target/venv/bin/pip install -q --disable-pip-version-check -r spec/vectors/requirements.txt
target/venv/bin/python spec/vectors/sealed.py vectors
target/venv/bin/python spec/vectors/manifests_and_keys.py
target/venv/bin/python spec/vectors/recovery.py
target/venv/bin/python spec/vectors/escrow.py
git diff --stat --exit-code -- vectors
# ML-DSA signatures are randomised: this file differs on every run and is compared by eye.
target/venv/bin/python spec/vectors/log.py >vectors/log.json
