#!/usr/bin/env bash
# Builds what is handed out, into target/dist/out: a static binary for any Linux of this architecture, the manual, completion
# scripts, and a wheel that carries the binary. With musl where its target and compiler are there (rustup target add
# x86_64-unknown-linux-musl; Debian: musl-tools), else with this machine's C library linked in. The build has a folder of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

arch=$(uname -m)
musl=$arch-unknown-linux-musl
gnu=$arch-unknown-linux-gnu
build=(cargo build --locked --profile dist --workspace --bin strongroom --target-dir target/dist)
if [ -d "$(rustc --print sysroot)/lib/rustlib/$musl" ] && command -v musl-gcc >/dev/null; then
    target=$musl
    env "CC_${musl//-/_}=musl-gcc" "${build[@]}" --target "$musl"
else
    echo "no musl here, so this machine's C library is linked in; for musl: rustup target add $musl, and musl-gcc (Debian: musl-tools)" >&2
    target=$gnu
    # Starting a program that may lie anywhere is to apply its relocations: packed, they are a page instead of a million bytes.
    RUSTFLAGS='-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs' "${build[@]}" --target "$gnu"
fi

out=target/dist/out
rm -rf "$out" && mkdir -p "$out/completions"
binary=$out/strongroom
cp "target/dist/$target/dist/strongroom" "$binary"
strip "$binary"

# It needs no other file: nothing to load, and it runs where there is nothing else.
if readelf -l "$binary" | grep -q INTERP; then
    echo "the binary asks for a loader: it is not static" >&2
    exit 1
fi
echo "checking $binary"
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
cp "$binary" "$empty/strongroom"
inside=(unshare --user --map-root-user chroot "$empty" /strongroom)
[ "$(id -u)" != 0 ] || inside=(chroot "$empty" /strongroom)
env -i PATH="$PATH:/usr/sbin" "${inside[@]}" --version

"$binary" -q man "$out/man"
for shell in bash zsh fish elvish powershell; do
    "$binary" completions "$shell" >"$out/completions/strongroom.$shell"
done
platform=linux_$arch
[ "$target" != "$musl" ] || platform=manylinux_2_17_$arch.musllinux_1_1_$arch
scripts/wheel.py "$binary" "$out" "$platform" >/dev/null

# Who installs the wheel has this binary under this name, and it works.
python3 -m venv "$empty/env"
"$empty/env/bin/pip" install -q --no-index --no-deps --disable-pip-version-check "$out"/*.whl
cmp "$binary" "$empty/env/bin/strongroom"
(
    cd "$empty"
    export PATH=$empty/env/bin:$PATH HOME=$empty XDG_CONFIG_HOME=$empty/config XDG_STATE_HOME=$empty/state
    strongroom --version
    strongroom -q init --no-recovery
    head -c 1000000 /dev/urandom >in
    strongroom -q put in lab/a
    strongroom -q get lab/a out
    cmp in out
)
(cd "$out" && sha256sum strongroom ./*.whl >SHA256SUMS)
stat -c '%s bytes  %n' "$binary" "$out"/*.whl
