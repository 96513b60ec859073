#!/usr/bin/env bash
# Everything that this machine can test. What it had to leave out it says at the end, by name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec </dev/null
unset PYTHONDONTWRITEBYTECODE # each of the many processes below would compile all tests anew
# shellcheck source=.ci/setup.sh
source .ci/setup.sh

left_out=()
failed=()
times=()
counts=.cache/test-counts
mkdir -p .cache
: >"$counts"

took() { times+=("$(printf '%6d s  %s' $((SECONDS - $2)) "$1")"); }

step() {
    local name=$1 since=$SECONDS
    shift
    say "$name"
    "$@" || failed+=("$name")
    took "$name" "$since"
}

# As step, for what prints much: only when it fails.
quiet_step() {
    local name=$1 since=$SECONDS log
    shift
    log=$(mktemp)
    say "$name"
    if ! "$@" >"$log" 2>&1; then
        failed+=("$name")
        tail -n 60 "$log"
    fi
    rm -f "$log"
    took "$name" "$since"
}

# As step, for pytest: its closing lines are added up, and what it skipped counts as left out.
tests() {
    local name=$1 since=$SECONDS log line
    shift
    log=$(mktemp)
    say "$name"
    if ! "$@" 2>&1 | tee "$log"; then
        failed+=("$name")
    fi
    grep -E '^=*.*[0-9]+ (passed|failed|skipped|error)' "$log" | tail -n 1 >>"$counts" || true
    while IFS= read -r line; do
        left_out+=("$name: ${line#SKIPPED \[*\] }")
    done < <(grep '^SKIPPED ' "$log" || true)
    rm -f "$log"
    took "$name" "$since"
}

count() { grep -oE "[0-9]+ $1" "$counts" | awk '{ sum += $1 } END { print sum + 0 }'; }

python=$(main_python)
hypervisor_packages "$python" || true # what is missing shows as skipped tests below
[ -x /usr/lib/postgresql/15/bin/initdb ] || command -v initdb >/dev/null || debian_install postgresql || true
extras=dev,second-opinion,lxd,openstack
if libvirt_builds; then
    extras=$extras,kvm
else
    left_out+=("real KVM: libvirt-python cannot be built (as root: apt-get install libvirt-dev pkg-config gcc python3-dev)")
fi
make_venv .venv "$python" "$extras"
bin=$PWD/.venv/bin

if command -v shellcheck >/dev/null || debian_install shellcheck; then
    step "shellcheck" shellcheck -x .ci/run .ci/setup.sh demo.sh test.sh
else
    left_out+=("shellcheck: it is not installed (as root: apt-get install shellcheck)")
fi
step "ruff format" "$bin/ruff" format --check .
step "ruff check" "$bin/ruff" check .
step "mypy --strict" "$bin/mypy" --strict
step "lint-imports" "$bin/lint-imports"
tests "tests" "$bin/pytest" -q -m "not real"
step "simulator" "$bin/python" -m tests.simulator --histories 20000
step "planted bugs" "$bin/python" -m tests.simulator.planted

# What takes a real hypervisor or database. As root two of each are brought up for each worker, and ended again.
places=(tests/api tests/osc tests/contract tests/crash tests/driver tests/hypervisors tests/cli tests/bench tests/simulator)
tests "crash suite and PostgreSQL" "$bin/pytest" -q -n 2 -m real -k "not lxd and not kvm" "${places[@]}"
end_all() {
    [ "$(id -u)" = 0 ] || return 0
    "$bin/python" -m tests.hypervisors down >/dev/null 2>&1 || true
    "$bin/python" -m tests.lab down >/dev/null 2>&1 || true
}
trap end_all EXIT
for kind in lxd kvm; do
    tests "real ${kind^^}" "$bin/pytest" -q -n 2 -m real -k "$kind" "${places[@]}"
    if [ "$(id -u)" = 0 ] && [ -z "$("$bin/python" -m tests.hypervisors packages "$kind")" ]; then
        quiet_step "demo.sh $kind" ./demo.sh "$kind"
    else
        left_out+=("demo.sh $kind: it takes root and $("$bin/python" -m tests.hypervisors packages "$kind" | tr '\n' ' ')")
    fi
done
quiet_step "demo.sh" ./demo.sh

# A real cloud: the user's own by OS_CLOUD, or the lab. What is killed in the faults others would miss.
if [ -n "${OS_CLOUD:-}" ] || lab_packages "$bin/python"; then
    heats=(--heat heat-plugin --heat heat-27 --heat heat-27-plugin)
    [ -n "${OS_CLOUD:-}" ] || quiet_step "the lab comes up" "$bin/python" -m tests.lab up "${heats[@]}"
    tests "real OpenStack" "$bin/pytest" -q -n 3 -m real -k "not faults" tests/lab
    tests "real OpenStack, faults" "$bin/pytest" -q -m real -k faults tests/lab
    [ -n "${OS_CLOUD:-}" ] || quiet_step "the lab goes down" "$bin/python" -m tests.lab down
else
    left_out+=("real OpenStack: it takes root on Debian 12, or a cloud of yours that OS_CLOUD names")
fi

say "the judges' environments"
"$bin/python" -m tests.oracle.venvs || true # what is missing shows as skipped tests below
tests "oracles" "$bin/pytest" -q -m real tests/oracle tests/compiler

for version in 3.11 3.12 3.13; do
    if "$bin/python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')"; then
        continue
    fi
    if other=$(find_python "$version"); then
        make_venv ".venv-$version" "$other" dev,second-opinion,lxd
        tests "tests on Python $version" ".venv-$version/bin/pytest" -q -m "not real"
    else
        left_out+=("tests on Python $version: there is no Python $version with venv on this machine")
    fi
done

if [ -n "${MEGHDWAR_CORPUS:-}" ]; then
    step "conformance" "$bin/python" -m tests.conformance --corpus "$MEGHDWAR_CORPUS"
else
    left_out+=("conformance: MEGHDWAR_CORPUS does not name a folder with the corpus")
fi

say "in all, $SECONDS s"
printf '%s\n' "${times[@]}" | sort -rn | head -n 12
if [ ${#left_out[@]} -gt 0 ]; then
    printf 'LEFT OUT: %s\n' "${left_out[@]}"
fi
if [ ${#failed[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
fi
printf '%s passed, %s failed, %s errors, %s skipped\n' "$(count passed)" "$(count failed)" "$(count error)" "$(count skipped)"
[ ${#failed[@]} -eq 0 ]
