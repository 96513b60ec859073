"""The image of the counter for LXD: busybox and one script, in a tarball that is the same bytes every time.

The counter (tests/contract/pairs.py says what it does) keeps its log in /data, or in the folder that the environment
variable STATE names, with zlib's CRC-32 in 8 hex digits. It waits while nothing is mounted at /data.
"""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
BORN = 1_700_000_000  # every file has this time

METADATA = f"""\
architecture: x86_64
creation_date: {BORN}
properties: {{os: busybox, release: "1", description: a durable counter, architecture: x86_64}}
"""

INITTAB = """\
::sysinit:/etc/init.d/rcS
::respawn:/bin/busybox nc -ll -p 80 -e /srv/counter
::ctrlaltdel:/sbin/poweroff
"""

RC_S = """\
#!/bin/sh
mount -t proc proc /proc 2>/dev/null
ip link set lo up
rm -f /run/counter.lock
mkdir -p /data "${STATE:-/data}"
"""

# A lock whose owner is gone is taken over: a request may be killed between any two of its lines. What is asked all the
# time, /n, uses what the shell has built in. Nothing is written for those who hung up: while a container is
# paused its kernel takes connections for it, and when it goes on they have gone away long ago.
COUNTER = """\
#!/bin/sh
state=${STATE:-/data}
log=$state/log
read -r method path version
while read -r line && [ ${#line} -gt 1 ]; do :; done
answer() {
    printf 'HTTP/1.0 %s\\r\\nContent-Type: text/plain\\r\\nConnection: close\\r\\n\\r\\n%s\\n' "$1" "$2"
    exit 0
}
unable() { answer '503 Service Unavailable' "$1"; }
there() {
    [ "$state" = /data ] || return 0
    while read -r device where rest; do
        [ "$where" = /data ] && return 0
    done </proc/mounts
    return 1
}
last() {
    n=0
    [ -s "$log" ] || return 0
    set -- $(tail -n 1 "$log")
    n=$1
}
there || unable 'the state is not there'
case $path in
/n)
    last
    answer '200 OK' "$n"
    ;;
/next)
    read -r -t 0 && exit 0 # more to read after the request: they hung up
    until ln -s $$ /run/counter.lock 2>/dev/null; do
        kill -0 "$(readlink /run/counter.lock)" 2>/dev/null || rm -f /run/counter.lock
        usleep 1000
    done
    last
    n=$((n + 1))
    if echo "$n $(printf %s $n | crc32)" >>"$log" && sync "$log"; then
        rm -f /run/counter.lock
        answer '200 OK' $n
    fi
    rm -f /run/counter.lock
    unable 'the state cannot be written'
    ;;
/mark)
    answer '200 OK' "$(cat "$state/mark")"
    ;;
/mark\\?*)
    printf %s "${path#*\\?}" | dd of="$state/mark" conv=notrunc,fsync 2>/dev/null || unable 'it cannot be written'
    answer '200 OK' marked
    ;;
/fill\\?*)
    head -c "${path#*\\?}" /dev/urandom >"$state/fill" && sync "$state/fill" || unable 'it cannot be written'
    answer '200 OK' filled
    ;;
esac
answer '404 Not Found' 'there are /n, /next, /mark and /fill'
"""

FOLDERS = ("bin", "data", "dev", "etc", "etc/init.d", "mnt", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr")
FILES = {
    "etc/inittab": (INITTAB, 0o644),
    "etc/init.d/rcS": (RC_S, 0o755),
    "etc/passwd": ("root:x:0:0:root:/root:/bin/sh\n", 0o644),
    "etc/group": ("root:x:0:\n", 0o644),
    "etc/hostname": ("cloudlet\n", 0o644),
    "srv/counter": (COUNTER, 0o755),
}


def build(file: Path) -> Path:
    """Writes the tarball (unified: metadata and root file system in one) unless it is there and up to date."""
    archive = _archive()
    if not file.exists() or file.read_bytes() != archive:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(archive)
    return file


def _archive() -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as tar:
        _add(tar, "metadata.yaml", METADATA.encode(), 0o644)
        _folder(tar, "rootfs")
        for name in FOLDERS:
            _folder(tar, f"rootfs/{name}")
        _add(tar, "rootfs/bin/busybox", BUSYBOX.read_bytes(), 0o755)
        for applet in _applets():
            where = "sbin" if applet in ("init", "poweroff", "reboot", "halt") else "bin"
            link = tarfile.TarInfo(f"rootfs/{where}/{applet}")
            link.type, link.linkname, link.mtime = tarfile.SYMTYPE, "/bin/busybox", BORN
            tar.addfile(link)
        for name, (text, mode) in FILES.items():
            _add(tar, f"rootfs/{name}", text.encode(), mode)
    return gzip.compress(plain.getvalue(), compresslevel=6, mtime=BORN)


def _applets() -> list[str]:
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    return sorted(set(listed) - {"busybox"})


def _folder(tar: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o1777 if name.endswith("/tmp") else 0o755, BORN  # noqa: S108
    tar.addfile(entry)


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), mode, BORN
    tar.addfile(entry, io.BytesIO(content))
