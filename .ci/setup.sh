# shellcheck shell=bash
# Sourced by demo.sh and test.sh: finds a Python, installs what Debian lacks, makes virtual environments.

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'cannot go on: %s\n' "$*" >&2
    exit 1
}

# Is this command really that Python, with all that a virtual environment needs? Some names are only shims.
is_python() {
    [ -x "$1" ] || command -v "$1" >/dev/null 2>&1 || return 1
    "$1" -c "import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" >/dev/null 2>&1
}

# Prints a command that is Python of this version, or nothing.
find_python() {
    local version=$1 candidate
    for candidate in "python$version" "/usr/bin/python$version" "/usr/local/bin/python$version" \
        "${HOME:-/root}"/.pyenv/versions/"$version".*/bin/python python3; do
        if is_python "$candidate" "$version"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# Installs Debian packages; says what to type when it may not.
debian_install() {
    if [ "$(id -u)" != 0 ]; then
        return 1
    fi
    command -v apt-get >/dev/null || return 1
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -q --no-install-recommends "$@" </dev/null >/dev/null 2>&1 && return 0
    apt-get update -q </dev/null >/dev/null && apt-get install -y -q --no-install-recommends "$@" </dev/null >/dev/null
}

# Prints the Python to work with: 3.11 first, because it is Debian 12's and the oldest that we support.
main_python() {
    local version
    for version in 3.11 3.12 3.13; do
        find_python "$version" && return 0
    done
    debian_install python3 python3-venv >&2 || true
    for version in 3.11 3.12 3.13; do
        find_python "$version" && return 0
    done
    fail "there is no Python 3.11, 3.12 or 3.13 with venv; on Debian or Ubuntu: sudo apt-get install python3 python3-venv"
}

# Writes the byte code of our modules, also where the environment says not to: every start of a command reads it.
write_bytecode() {
    "$1/bin/python" -m compileall -q meghdwar tosca templates >/dev/null || true
}

# make_venv FOLDER PYTHON EXTRAS: an environment with this checkout in it, kept until the packaging changes.
# One that was made elsewhere, or by another Python, is made anew: its scripts name both.
make_venv() {
    local folder=$1 python=$2 extras=$3 made_in wanted stamp
    made_in="$PWD $("$python" --version)"
    wanted=$({ cat setup.py pyproject.toml && printf '%s' "$made_in"; } | sha256sum)
    stamp="$folder/.installed${extras//,/-}"
    if [ "$(cat "$folder/.made-in" 2>/dev/null)" = "$made_in" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        write_bytecode "$folder"
        return 0
    fi
    say "making $folder with $("$python" --version)"
    if [ "$(cat "$folder/.made-in" 2>/dev/null)" != "$made_in" ]; then
        rm -rf "$folder"
        "$python" -m venv "$folder"
        printf '%s\n' "$made_in" >"$folder/.made-in"
    fi
    "$folder/bin/python" -m pip install -qq --disable-pip-version-check -e ".${extras:+[$extras]}"
    write_bytecode "$folder"
    printf '%s\n' "$wanted" >"$stamp"
}

# hypervisor_packages PYTHON KIND ...: what the real hypervisors of tests/hypervisors need, installed where we may.
hypervisor_packages() {
    local python=$1 packages
    shift
    mapfile -t packages < <("$python" -m tests.hypervisors packages "$@")
    [ ${#packages[@]} -eq 0 ] || debian_install "${packages[@]}"
}

# lab_packages PYTHON: what the OpenStack of tests/lab needs, on Debian 12 alone. Its services must not start by
# themselves: the lab starts its own.
lab_packages() {
    local packages forbids=/usr/sbin/policy-rc.d made=no status=0
    grep -qs '^VERSION_ID="12"' /etc/os-release && [ "$(id -u)" = 0 ] || return 1
    mapfile -t packages < <("$1" -m tests.lab packages)
    [ ${#packages[@]} -eq 0 ] && return 0
    if ! [ -e "$forbids" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$forbids"
        chmod +x "$forbids"
        made=yes
    fi
    debian_install "${packages[@]}" || status=$?
    [ "$made" = no ] || rm -f "$forbids"
    return "$status"
}

# libvirt_builds: can the extra `kvm` be installed, which compiles against libvirt?
libvirt_builds() {
    command -v gcc >/dev/null && pkg-config --exists libvirt 2>/dev/null && return 0
    debian_install libvirt-dev pkg-config gcc libc6-dev python3-dev >&2 || return 1
    pkg-config --exists libvirt
}
