"""What is done inside of a container: stopping everything that may write, letting it go on, asking whether it serves.

Each is one script for any POSIX shell, busybox's too, run in one call: calls are what a gap is made of. A script
answers by its exit status. It uses what the shell has built in, wherever it would otherwise meet its own children.
"""

from __future__ import annotations

from collections.abc import Sequence

from meghdwar.driver.hypervisor import HypervisorError
from meghdwar.driver.instance import Instance
from meghdwar.driver.lxd_api import Api

QUIESCED, NOT_QUIESCED, NOT_STOPPED, NOT_READ_ONLY = 0, 10, 11, 12

# $DISKS become read-only where they are mounted; $FOLDERS are not, and get a read-only view of themselves on top. A
# disk whose file somebody (now stopped) has open for writing cannot become read-only: it gets such a view, too. Every
# thread of every process but init and this shell is stopped, looked at again and again until a whole pass
# finds nothing that runs: what is stopped has no more children, and a write that was in the kernel is over. Who was
# stopped between vfork and exec keeps its parent in a state (D) in which that cannot stop: it goes on to its exec.
_LOOK = r"""
running() {
    for task in /proc/[0-9]*/task/[0-9]*; do
        pid=${task#/proc/} pid=${pid%%/*}
        case $pid in 1 | $$) continue ;; esac
        { read -r line <"$task/stat"; } 2>/dev/null || continue
        state=${line##*) }
        case $state in [TtZX]*) ;; *) return 0 ;; esac
    done
    return 1
}
# 0 read-only, 1 not, 2 not mounted
read_only() {
    found=
    while IFS=' ' read -r device where type options rest; do
        [ "$where" = "$1" ] && found=$options
    done </proc/mounts
    case $found in ro | ro,*) return 0 ;; '') return 2 ;; esac
    return 1
}
IFS='
'
"""
_PAUSE = (
    _LOOK
    + r"""
[ $# -eq 0 ] || "$@" </dev/null || exit 10
tries=0
while :; do
    awake='' blocked=' '
    for task in /proc/[0-9]*/task/[0-9]*; do
        pid=${task#/proc/} pid=${pid%%/*}
        case $pid in 1 | $$) continue ;; esac
        { read -r line <"$task/stat"; } 2>/dev/null || continue
        state=${line##*) }
        case $state in
        [TtZX]*) continue ;;
        D*) blocked="$blocked$pid " ;;
        esac
        awake=yes
        kill -STOP "$pid" 2>/dev/null
    done
    [ -n "$awake" ] || break
    tries=$((tries + 1))
    [ $tries -lt 50 ] || sleep 0.01
    [ $tries -lt 150 ] || exit 11
    [ "$blocked" != ' ' ] || continue
    for process in /proc/[0-9]*; do
        { read -r line <"$process/stat"; } 2>/dev/null || continue
        state=${line##*) } parent=${line##*) ? }
        case $state:$blocked in T*:*" ${parent%% *} "*) kill -CONT "${process#/proc/}" 2>/dev/null ;; esac
    done
done
for disk in $DISKS; do
    read_only "$disk"
    [ $? -ne 1 ] || mount -o remount,bind,ro "$disk" 2>/dev/null ||
        { mount -o bind "$disk" "$disk" && mount -o remount,bind,ro "$disk"; } || exit 12
done
for folder in $FOLDERS; do
    [ ! -d "$folder" ] || read_only "$folder" ||
        { mount -o bind "$folder" "$folder" && mount -o remount,bind,ro "$folder"; } || exit 12
done
running && exit 11
exit 0
"""
)
_PAUSED = (
    _LOOK
    + r"""
running && exit 1
for disk in $DISKS; do
    read_only "$disk"
    [ $? -ne 1 ] || exit 1
done
exit 0
"""
)
_RESUME = (
    _LOOK
    + r"""
mounts() {
    count=0
    while IFS=' ' read -r device where rest; do
        [ "$where" = "$1" ] && count=$((count + 1))
    done </proc/mounts
}
for folder in $FOLDERS; do
    mounts "$folder"
    while [ $count -gt 0 ]; do umount "$folder" || exit 1; count=$((count - 1)); done
done
for disk in $DISKS; do
    mounts "$disk"
    while [ $count -gt 1 ]; do umount "$disk" || exit 1; count=$((count - 1)); done
    [ $count -eq 0 ] || mount -o remount,bind,rw "$disk" || exit 1
done
for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    case $pid in 1 | $$) ;; *) kill -CONT "$pid" 2>/dev/null ;; esac
done
exit 0
"""
)

# Waits a while until all of $DISKS are mounted.
_MOUNTED = (
    _LOOK
    + r"""
tries=0
for disk in $DISKS; do
    while read_only "$disk"; [ $? -eq 2 ]; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || exit 1
        sleep 0.01
    done
done
unset IFS
"""
)
# The tools differ from image to image, and a static busybox's wget dies where it looks for names.
_HTTP = r"""
limit=
command -v timeout >/dev/null && limit='timeout 2'
get() {
    if command -v nc >/dev/null; then
        answer=$(printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" | $limit nc -w 2 127.0.0.1 "$1" | head -n 1)
        case $answer in 'HTTP/1.'?' '[23]*) exit 0 ;; HTTP/*) exit 1 ;; esac
    fi
    if command -v curl >/dev/null; then exec curl -fsS -m 2 -o /dev/null "http://127.0.0.1:$1$2"; fi
    if command -v wget >/dev/null; then exec wget -q -T 2 -O /dev/null "http://127.0.0.1:$1$2"; fi
    if command -v python3 >/dev/null; then
        exec python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$1$2', timeout=2)"
    fi
    exit 127
}
get "$1" "$2"
"""
_TCP = r"""
hex=$(printf ':%04X' "$1")
while read -r number local remote state rest; do
    case $local:$state in *"$hex:0A") exit 0 ;; esac
done <<END
$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
END
exit 1
"""
_COMMAND = r"""
pid_file=/run/meghdwar.pid
[ -d /run ] || pid_file=/tmp/meghdwar.pid
{ read -r pid <"$pid_file" && kill -0 "$pid"; } 2>/dev/null && exit 0
"$@" >/dev/null 2>&1 </dev/null &
echo $! >"$pid_file"
exit 0
"""


def pause(api: Api, instance: Instance, asked: str) -> int:
    """Nothing can write to its state once this returned QUIESCED; any other status says what could not be done."""
    return _run(api, instance, _PAUSE, instance.quiesce, asked)


def is_paused(api: Api, instance: Instance, asked: str) -> bool:
    """Whether everything is stopped and its state read-only now. A container that cannot be asked is not paused."""
    try:
        return _run(api, instance, _PAUSED, (), asked) == 0
    except HypervisorError as error:
        if error.retry:
            raise
        return False


def resume(api: Api, instance: Instance, asked: str) -> None:
    """The way back from `pause`, after all of it or a part."""
    status = _run(api, instance, _RESUME, (), asked)
    if status:
        why = f"its state cannot be made writable again inside (status {status}); stop and start it"
        raise HypervisorError(api.access.gateway, asked, why)


def serves(api: Api, instance: Instance, asked: str) -> bool:
    """Whether it is ready, by its Ready: a path over http, a command, or else that it listens."""
    words = _ready(instance)
    if words is None:
        return True
    status = api.run(instance.name, words, asked)
    if status == 127 and instance.ready.http is not None:
        why = "its image has none of nc, curl, wget and python3 to ask over http; give ready a port or a command"
        raise HypervisorError(api.access.gateway, asked, why)
    return status == 0


def begin_serves(api: Api, instance: Instance, asked: str) -> str | None:
    """Begins to ask the same at the moment that its disks are there, within a second or so; the id of the command,
    None when there is nothing to be asked."""
    words = _ready(instance, _MOUNTED)
    disks = {"DISKS": "\n".join(disk.location for disk in instance.disks)}
    return None if words is None else api.begin_run(instance.name, words, asked, disks)


def _ready(instance: Instance, before: str = "") -> Sequence[str] | None:
    """The command that says by its status whether it is ready, after a script; None when it is whenever it runs."""
    ready = instance.ready
    port = ready.port or next(iter(instance.ports), None)
    if ready.command:
        return ("/bin/sh", "-c", before + 'exec "$@"', "ready", *ready.command) if before else ready.command
    if ready.http is not None:
        return ("/bin/sh", "-c", before + _HTTP, "ready", str(port or 80), ready.http)
    return None if port is None else ("/bin/sh", "-c", before + _TCP, "ready", str(port))


def run_command(api: Api, instance: Instance, asked: str) -> None:
    """Starts the instance's own command beside its init, unless it runs already."""
    status = api.run(instance.name, ["/bin/sh", "-c", _COMMAND, "command", *instance.command], asked)
    if status:
        raise HypervisorError(api.access.gateway, asked, f"its command cannot be run inside (status {status})")


def _run(api: Api, instance: Instance, script: str, words: Sequence[str], asked: str) -> int:
    folders = {path.rpartition("/")[0] or "/" for files in instance.files for path in files.paths}
    environment = {
        "DISKS": "\n".join(disk.location for disk in instance.disks),
        "FOLDERS": "\n".join(sorted(folders - {"/"})),
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    }
    return api.run(instance.name, ["/bin/sh", "-c", script, "meghdwar", *words], asked, environment)
