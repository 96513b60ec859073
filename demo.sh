#!/usr/bin/env bash
# The main job on the example: installs Meghdwar into .venv, compiles a descriptor, shows what came out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec </dev/null
# shellcheck source=.ci/setup.sh
source .ci/setup.sh

python=$(main_python)
make_venv .venv "$python" ""
mdw_compile=.venv/bin/mdw-compile
example=tosca/examples/arena.tosca.yaml
out=build/demo
mkdir -p "$out"

say "mdw-compile -o $out $example"
"$mdw_compile" -o "$out" "$example"

say "what it wrote"
(cd "$out" && wc -lc -- *)

say "the resources of the stack"
awk '/^resources:/ {on = 1; next} /^[^ ]/ {on = 0} on && /^  [^ ]/ {name = $1} on && /^    type:/ {printf "  %-24s %s\n", name, $2}' \
    "$out/arena.hot.yaml"

say "what is left for the driver, because this release of Heat cannot do it"
awk '/^complete:/ {on = 1; next} /^[^ -]/ {on = 0} on && /act:/ {act = $NF} on && /resource:/ {printf "  %-16s %s\n", act, $NF}' \
    "$out/arena.plan.yaml"

say "why is there a volume? mdw-compile --explain saves $example"
"$mdw_compile" --explain saves "$example"

say "a drawing of it: mdw-compile --graph $out/arena.svg $example"
"$mdw_compile" --graph "$out/arena.svg" -o "$out" -f json "$example" >/dev/null
ls -l "$out/arena.svg"

say "a mistake: the same descriptor with a misspelt type"
broken=$(mktemp -d)
trap 'rm -rf "$broken"' EXIT
sed '0,/meghdwar.nodes.EdgeGateway/s//meghdwar.nodes.EdgeGatway/' "$example" >"$broken/arena.tosca.yaml"
if (cd "$broken" && "$OLDPWD/$mdw_compile" --check arena.tosca.yaml); then
    fail "the misspelt type was not found"
fi

cat <<'NEXT'

== what comes next
  * docs/tutorial/first-descriptor.md writes a descriptor of your own, step by step
  * .venv/bin/mdw-compile --help shows what else the command can do
  * ./test.sh runs everything that this machine can test
NEXT
