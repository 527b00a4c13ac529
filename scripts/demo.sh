#!/usr/bin/env bash
# The main job, on real input: scripts/demo.sh [FILE-OR-FOLDER]. Every step checks what it shows; a surprise ends the demo.
# DEMO_BIN is the folder of the binary, DEMO_DIR a new folder to work in.
set -euo pipefail
root=$(realpath -e -- "$(dirname -- "$0")/..")

examples=$root/examples/breast-cancer
model=$(realpath -e -- "${1:-$examples/model}")
bin=$(realpath -e -- "${DEMO_BIN:-$root/target/debug}")
PATH="$bin:$PATH"
work=$(realpath -m -- "${DEMO_DIR:-$root/target/demo}")
if [ -n "${DEMO_DIR:-}" ]; then
    mkdir -- "$work"
elif [[ $work/ == "$model"/* || $model/ == "$work"/* ]]; then
    # One holds the other: what is sealed must neither change nor be cleared away.
    work=$(mktemp -d)
else
    rm -rf "$work" && mkdir -p "$work"
fi
cd "$work"
# Keys and anchor of the demo stay in the demo's folder, yours are left alone.
export XDG_CONFIG_HOME=$work/config XDG_STATE_HOME=$work/state
unset "${!STRONGROOM_@}"

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' off=$'\e[0m'; else bold='' dim='' green='' off=''; fi
step=0
say() { step=$((step + 1)); printf '\n%s%d. %s%s\n' "$bold" "$step" "$*" "$off"; }
note() { printf '   %s\n' "$*"; }
good() { printf '   %s\xe2\x9c\x93%s %s\n' "$green" "$off" "$*"; }
fail() { printf '   FAILED: %s\n' "$*" >&2; exit 1; }
show() { printf '   %s$ %s%s\n' "$dim" "$*" "$off"; }
run() { show "$@"; "$@" 2>&1 | sed 's/^/   /'; }
# Runs a command that must end with the given exit code.
expect() {
    local want=$1 got=0; shift
    show "$@"
    "$@" >out.txt 2>&1 || got=$?
    sed 's/^/   /' out.txt
    [ "$got" = "$want" ] || fail "exit code $got, expected $want"
    good "exit code $got"
}
field() { sed -n "s/.*\"$1\":[[:space:]]*\"\{0,1\}\([^\",}]*\).*/\1/p" | sed -n 1p; }
depot_digest() { find .strongroom/depot -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16; }
same() { diff -r --no-dereference "$1" "$2"; }

say "A vault in this folder. No server, no account; its root key is a file outside of it."
run strongroom init --no-recovery

say "Seal a dataset (confidential) and a model (internal), each version under its own key."
run strongroom put "$examples/dataset" clinic/wdbc --class confidential --kind dataset
run strongroom put "$model" clinic/tumour-model --class internal --kind model --from clinic/wdbc

say "What a thief of the storage gets: ciphertext, without names."
largest=$(find .strongroom/depot -type f -printf '%s %p\n' | sort -rn | sed -n '1s/^[0-9]* //p')
show "find .strongroom/depot -type f; od on the largest"
find .strongroom/depot -type f -printf '   %10s bytes  %f\n' | sort -rn | sed -n 1,6p
od -A d -t x1z -j 4096 -N 48 "$largest" | sed '$d;s/^/   /'
for word in radius_mean wdbc.csv model.safetensors dense1.weight card.json; do
    if grep -rqaF -- "$word" .strongroom; then fail "\`$word\` is readable in the vault"; fi
done
good "no column name, file name or tensor name is readable anywhere in the vault"

say "Get both back and compare with the originals."
run strongroom get clinic/wdbc back-dataset
run strongroom get clinic/tumour-model back-model
same "$examples/dataset" back-dataset || fail "the dataset came back different"
same "$model" back-model || fail "the model came back different"
good "identical, byte for byte"

say "Put the same folder again: nothing is uploaded twice."
again=$(strongroom --format json put "$model" clinic/tumour-model)
show "strongroom --format json put $(basename "$model") clinic/tumour-model"
note "$again"
segments_sent=$(printf '%s' "$again" | field uploaded_bytes)
[ "$segments_sent" = 0 ] || fail "$segments_sent bytes of segments were uploaded"
good "a new version, 0 bytes of segments uploaded"

say "Read one byte range of a sealed file; only its chunks are fetched, verified and opened."
# Size and path of the largest file; no path if the model is a file itself.
IFS= read -r -d '' found < <(find "$model" -type f -printf '%s %P\0' | sort -zrn) || found='0 '
size=${found%% *} file=${found#* }
if [ "$size" = 0 ]; then
    note "skipped: $(basename "$model") has no byte to read"
else
    original=$model${file:+/$file} ref=clinic/tumour-model${file:+/$file}
    from=$((size / 2)) && to=$((from + 31)) && [ "$to" -lt "$size" ] || { from=0; to=$((size - 1)); }
    show "strongroom cat $ref --bytes $from-$to"
    strongroom cat "$ref" --bytes "$from-$to" >range.bin
    od -A d -t x1z range.bin | sed '$d;s/^/   /'
    cmp range.bin <(tail -c +$((from + 1)) "$original" | head -c $((to - from + 1))) || fail "other bytes"
    good "equal to the original's bytes $from-$to"
fi

say "A researcher without clearance would be refused: why, what was missing, how to ask."
run strongroom principal add alice --clearance internal --grant clinic=reader
show "strongroom policy explain --as alice read clinic/wdbc"
strongroom policy explain --as alice read clinic/wdbc >out.txt 2>&1 || true
sed 's/^/   /' out.txt
answer=$(strongroom --format json policy explain --as alice read clinic/wdbc || true)
[ "$(printf '%s' "$answer" | field allowed)" = false ] || fail "alice would be allowed: $answer"
answer=$(strongroom --format json policy explain --as alice read clinic/tumour-model || true)
[ "$(printf '%s' "$answer" | field allowed)" = true ] || fail "alice may not read the internal model: $answer"
good "refused for the confidential dataset, allowed for the internal model"

say "Rotate keys: version keys are wrapped again, the storage is not touched."
before=$(depot_digest)
run strongroom key rotate --workspace clinic
[ "$before" = "$(depot_digest)" ] || fail "the depot changed"
run strongroom get clinic/wdbc after-rotation
same "$examples/dataset" after-rotation || fail "the dataset came back different"
good "depot unchanged ($before), data still opens"

say "Flip one byte of the model in the storage."
object=$(strongroom --format json show clinic/tumour-model | field object)
hit=$(find .strongroom/depot -type f -name "$object")
[ -n "$hit" ] || fail "the depot has no object $object"
at=$(($(stat -c %s "$hit") / 2))
byte=$(od -A n -t u1 -j "$at" -N 1 "$hit" | tr -d ' ')
printf "$(printf '\\x%02x' $((byte ^ 1)))" | dd of="$hit" bs=1 seek="$at" conv=notrunc status=none
note "byte $at of $(basename "$hit"): $byte -> $((byte ^ 1))"
expect 7 strongroom verify --all
expect 7 strongroom get clinic/tumour-model never-written
[ ! -e never-written ] || fail "something was written"
printf "$(printf '\\x%02x' "$byte")" | dd of="$hit" bs=1 seek="$at" conv=notrunc status=none
good "caught, and nothing was written; the byte is put back"
expect 0 strongroom verify --all

say "The log: every decision and every key handed out, in a tree that nobody can quietly change."
run strongroom audit tail --limit 6
expect 0 strongroom audit verify
run strongroom status

printf '\n%sWhere next%s\n' "$bold" "$off"
note "this vault stays where it is; to go on with it:"
note "cd $work; export PATH=$bin:\$PATH XDG_CONFIG_HOME=\$PWD/config XDG_STATE_HOME=\$PWD/state"
note "strongroom ls clinic · strongroom history clinic/tumour-model · strongroom audit export log-copy"
note "README.md for your own vault, ARCHITECTURE.md for how it works, SECURITY.md for what it does and does not protect"
