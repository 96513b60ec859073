"""A compute host: its own name, its own libvirtd. `edge_host.py HOST STATE`, in mount and host name namespaces."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HOST, STATE = sys.argv[1], Path(sys.argv[2])
PLACE = STATE / HOST
FOLDERS = {"run": "/run/libvirt", "lib": "/var/lib/libvirt", "cache": "/var/cache/libvirt", "log": "/var/log/libvirt"}
DAEMON = f"""
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "00000000-0000-4000-8000-{int(HOST.rpartition("-")[2]):012}"
log_outputs = "3:stderr"
"""
MACHINES = """
user = "root"
group = "root"
security_driver = "none"
dynamic_ownership = 0
remember_owner = 0
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""

subprocess.run(["hostname", HOST], check=True)
etc = PLACE / "etc"
if not etc.exists():
    shutil.copytree("/etc/libvirt", etc, symlinks=True)
for autostarted in ("networks", "autostart"):
    shutil.rmtree(etc / "qemu" / autostarted, ignore_errors=True)
(etc / "libvirtd.conf").write_text(DAEMON)
(etc / "qemu.conf").write_text(MACHINES)
for name, where in {**FOLDERS, "etc": "/etc/libvirt"}.items():
    (PLACE / name).mkdir(parents=True, exist_ok=True)
    Path(where).mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", str(PLACE / name), where], check=True)
for stale in (PLACE / "libvirtd.pid", PLACE / "run" / "libvirtd.pid"):
    stale.unlink(missing_ok=True)
os.execvp("libvirtd", ["libvirtd", "--pid-file", str(PLACE / "libvirtd.pid")])  # noqa: S606 - no shell is wanted
