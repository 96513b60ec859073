"""What the lab needs from Debian 12, as one list."""

from __future__ import annotations

import subprocess

PACKAGES = (
    "mariadb-server", "mariadb-client", "rabbitmq-server", "memcached",
    "keystone", "heat-api", "heat-api-cfn", "heat-engine",
    "senlin-api", "senlin-conductor", "senlin-engine", "senlin-health-manager",
    "placement-api", "glance-api",
    "neutron-api", "neutron-rpc-server", "neutron-linuxbridge-agent", "neutron-dhcp-agent", "neutron-l3-agent",
    "neutron-metadata-agent",
    # nova-compute-qemu would bring every architecture
    "nova-api", "nova-conductor", "nova-scheduler", "nova-compute", "nova-compute-kvm",
    "cinder-api", "cinder-scheduler", "cinder-volume",
    "uwsgi-core", "uwsgi-plugin-python3", "python3-pymysql", "python3-memcache", "python3-pymemcache",
    "libvirt-daemon-system", "libvirt-daemon-driver-qemu", "qemu-system-x86", "qemu-utils",
    "ebtables", "iproute2", "iptables", "util-linux", "busybox-static", "cpio", "gcc", "libc6-dev", "curl",
)  # fmt: skip


def missing() -> list[str]:
    """Those that are not installed."""
    asked = ["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *PACKAGES]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return list(PACKAGES)
    there = {line.split()[0] for line in answer.splitlines() if line.endswith("install ok installed")}
    return [package for package in PACKAGES if package not in there]
