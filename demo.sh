#!/usr/bin/env bash
# The main job on an example: compiles it, brings it up at two edge gateways, moves its subscriber, and shows what the
# subscriber saw. ./demo.sh needs no rights; ./demo.sh lxd and ./demo.sh kvm do the same on real ones, as root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec </dev/null
# shellcheck source=.ci/setup.sh
source .ci/setup.sh

kind=${1:-local}
case $kind in
local) extras=driver application=arena-local ;;
lxd | kvm) extras=$kind application=arena ;;
*) fail "there is no demonstration on $kind: ./demo.sh [local|lxd|kvm]" ;;
esac
if [ "$kind" != local ] && [ "$(id -u)" != 0 ]; then
    fail "two real $kind gateways on one machine take root: sudo ./demo.sh $kind (./demo.sh alone needs no rights)"
fi

python=$(main_python)
if [ "$kind" != local ]; then
    hypervisor_packages "$python" "$kind" || fail "Debian packages are missing; see tests/hypervisors/README.md"
fi
make_venv .venv "$python" "$extras"
bin=$PWD/.venv/bin
out=build/demo/$kind
mkdir -p "$out"
export MEGHDWAR_DATABASE=$PWD/$out/meghdwar.db

subscriber=
finish() {
    local status=$?
    if [ -n "$subscriber" ]; then
        kill "$subscriber" 2>/dev/null || true
        wait "$subscriber" 2>/dev/null || true
        subscriber=
    fi
    if [ -f "$MEGHDWAR_DATABASE" ] && "$bin/mdw" status "$application" >/dev/null 2>&1; then
        "$bin/mdw" resume --wait --quiet >/dev/null 2>&1 || true
        "$bin/mdw" down "$application" --quiet >/dev/null 2>&1 || true
    fi
    return "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

run() {
    printf '\n$ mdw %s\n' "$*"
    "$bin/mdw" "$@"
}

finish # what an earlier demonstration left, if it was killed
rm -rf "$out"
mkdir -p "$out/edge_a" "$out/edge_b"

# the compiler
example=tosca/examples/arena-local.tosca.yaml
inside=()
if [ "$kind" = local ]; then
    gateways=()
    for name in edge_a edge_b; do
        gateways+=("$name"$'\t--hypervisor\tlocal\t--endpoint\t'"$out/$name")
    done
    router=table:$PWD/$out/routes
else
    example=$out/arena.tosca.yaml
    say "bringing up two $kind gateways, each in a network namespace (tests/hypervisors/README.md)"
    "$bin/python" -m tests.hypervisors.demonstration "$kind" "$example" >"$out/gateways"
    mapfile -t gateways < <(sed -n 's/^gateway //p' "$out/gateways")
    router=$(sed -n 's/^router //p' "$out/gateways")
    read -r -a inside < <(sed -n 's/^inside //p' "$out/gateways")
    where=(--at "$(sed -n 's/^at //p' "$out/gateways")")
fi

say "one descriptor becomes a Heat stack and a plan: mdw-compile -o $out $example"
"$bin/mdw-compile" -o "$out" "$example"
awk '/^resources:/ {on = 1; next} /^[^ ]/ {on = 0} on && /^    type:/ {n[$2]++} END {for (t in n) printf "  %3d %s\n", n[t], t}' \
    "$out/"*.hot.yaml | sort -k2
say "a mistake in it is shown where it stands"
sed '0,/meghdwar.nodes.EdgeGateway/s//meghdwar.nodes.EdgeGatway/' "$example" >"$out/mistake.tosca.yaml"
if (cd "$out" && "$bin/mdw-compile" --check mistake.tosca.yaml); then
    fail "the misspelt type was not found"
fi

# the driver
say "two edge gateways, and the application on the first of them"
for gateway in "${gateways[@]}"; do
    IFS=$'\t' read -r -a words <<<"$gateway"
    run gateway add "${words[@]}"
done
images=()
[ "$kind" != local ] || images=(--images tosca/examples/images)
run up "$out/$application.plan.yaml" "${images[@]}" --router "$router"
run status
instance=$("$bin/mdw" status -f json | "$bin/python" -c 'import json, sys; print(json.load(sys.stdin)[0]["instance"])')
[ "$kind" != local ] || where=(--table "$out/routes/$instance.json")

say "a subscriber asks it for the next number every 10 ms, and notes what it is told"
notes=$out/subscriber.jsonl
"${inside[@]}" "$bin/python" tosca/examples/subscriber.py poll "${where[@]}" "$notes" &
subscriber=$!
sleep 1
run sight anna --cell cell-1

say "what would a move do and cost?"
run plan move arena --to edge_b

say "the subscriber moves to cell-3, which the other gateway serves: its cloudlet follows, state and all"
run sight anna --cell cell-3
sleep 1
kill "$subscriber"
wait "$subscriber" 2>/dev/null || true
subscriber=

say "what the subscriber saw"
"$bin/python" tosca/examples/subscriber.py report "$notes" || fail "something acknowledged was lost or came twice"

say "what is where, and whether that is really so"
run status
run history
run fsck
run down "$application"
run fsck

cat <<NEXT

== what comes next
  * docs/tutorial/first-move.md does the same by hand, and breaks it
  * docs/tutorial/first-descriptor.md writes a descriptor of your own
  * $([ "$kind" = local ] && echo "sudo ./demo.sh lxd and sudo ./demo.sh kvm do it on real hypervisors" || echo "python -m tests.hypervisors down ends the gateways, which are still there")
  * ./test.sh runs everything that this machine can test
NEXT
