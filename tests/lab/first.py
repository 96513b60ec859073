"""The first process of the lab's namespaces: makes the machine look as the services want it, then reaps orphans.

Run by Debian's Python, alone: `first.py STATE NFS ADDRESS`.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

STATE, NFS, ADDRESS = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
MOUNT_NFS = f"""#!/bin/sh
# Kernels without NFS: the share "ADDRESS:/lab" is a folder.
[ $# -ge 2 ] || exit 1
exec mount --bind "{NFS}" "$2"
"""


def mount(*argv: str) -> None:
    subprocess.run(["mount", *argv], check=True)


# Two agents on one network undo each other's rules, and stop wiring when they find them undone.
EBTABLES = "#!/bin/sh\nexit 0\n"
PROGRAMS = {"mount.nfs": MOUNT_NFS, "ebtables": EBTABLES}
# Names that have to be asked for far away would cost each connection seconds: here nobody is asked.
FILES = {
    # a line for each: libvirt calls itself by the first name of its line
    "/etc/hosts": f"127.0.0.1 localhost\n{ADDRESS} lab\n{ADDRESS} edge-1\n{ADDRESS} edge-2\n",
    "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
}


def put(path: str, text: str) -> None:
    """Another file in the place of one, seen in here alone."""
    ours, theirs = STATE / "etc" / Path(path).name, Path(os.path.realpath(path))
    ours.write_text(text)
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.touch()
    mount("--bind", str(ours), str(theirs))


def furnish() -> None:
    subprocess.run(["hostname", "lab"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    mount("-t", "tmpfs", "-o", "mode=755", "run", "/run")
    # devices are looked for in /sys, which has to be that of this network
    mount("-t", "sysfs", "sysfs", "/sys")
    mount("-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
    for folder in ("netns", "lock", "libvirt", "dnsmasq"):
        Path("/run", folder).mkdir()
    for path, text in FILES.items():
        put(path, text)
    Path("/run/meghdwar-lab").write_text(f"{STATE}\n")
    NFS.mkdir(parents=True, exist_ok=True)
    for name, text in PROGRAMS.items():
        program = STATE / "sbin" / name
        program.write_text(text)
        program.chmod(0o755)
    mount("-t", "overlay", "-o", f"lowerdir={STATE / 'sbin'}:/usr/sbin", "overlay", "/usr/sbin")


furnish()
(STATE / "room.ready").touch()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
while True:
    signal.sigtimedwait({signal.SIGCHLD}, 60)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
