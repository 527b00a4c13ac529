#!/usr/bin/env bash
# Installs what the tests need and this machine lacks: PostgreSQL (second engine), Go with x/mod (independent log
# verifier), Python packages (independent decryptor, AWS services on loopback; in target/venv), faketime (a clock that is wrong), age
# and ssh-keygen (who opens what is shared), unshare (namespaces), shells (completion), groff and mandoc (manual), SoftHSM (a token).
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
[ -x /usr/lib/postgresql/15/bin/initdb ] || command -v initdb >/dev/null || packages+=(postgresql-15)
command -v go >/dev/null || packages+=(golang-go)
dpkg -s golang-golang-x-mod-dev >/dev/null 2>&1 || packages+=(golang-golang-x-mod-dev)
command -v python3 >/dev/null || packages+=(python3)
python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
command -v age >/dev/null || packages+=(age)
command -v ssh-keygen >/dev/null || packages+=(openssh-client)
command -v unshare >/dev/null || packages+=(util-linux)
command -v faketime >/dev/null || packages+=(faketime)
command -v zsh >/dev/null || packages+=(zsh)
command -v fish >/dev/null || packages+=(fish)
command -v groff >/dev/null || packages+=(groff-base)
command -v mandoc >/dev/null || packages+=(mandoc)
command -v g++ >/dev/null || packages+=(g++)
[ -e /usr/lib/softhsm/libsofthsm2.so ] || packages+=(softhsm2)

if [ ${#packages[@]} -gt 0 ]; then
    line="apt-get update && apt-get install -y --no-install-recommends ${packages[*]}"
    if [ "$(id -u)" != 0 ]; then
        echo "the tests need packages that are missing; run:  sudo sh -c '$line'" >&2
        exit 1
    fi
    echo "installing ${packages[*]}"
    log=$(mktemp)
    DEBIAN_FRONTEND=noninteractive sh -c "$line" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    rm -f "$log"
fi

stamp=target/venv/$(cat spec/requirements.txt scripts/requirements.txt | sha256sum | cut -c1-16).done
if [ ! -e "$stamp" ]; then
    rm -rf target/venv && mkdir -p target
    python3 -m venv target/venv
    target/venv/bin/pip install -q --disable-pip-version-check -r spec/requirements.txt -r scripts/requirements.txt
    touch "$stamp"
fi
