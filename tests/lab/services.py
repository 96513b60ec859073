"""The services of the lab, in the order in which they come up, and how each is started, watched and ended."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.hypervisors.processes import alive, run, start, stop, wait_until
from tests.lab import HERE
from tests.lab.place import HEATS, HOSTS, Heat, Place

CLEAN = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",  # another python3 in front of Debian's would break them all
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}
PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class Service:
    """One daemon. `port` and `url` say when it is up; without either, being there is enough."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    url: str = ""


def uwsgi(name: str, place: Place, port: int, program: str, threads: int, *more: str, **environment: str) -> Service:
    """A WSGI program in a process of its own. Answers close their connection: clients reuse them otherwise while
    uwsgi ends them."""
    argv = (
        "uwsgi_python3", "--http-socket", f"{place.address}:{port}", "--wsgi-file", program, "--processes", "1",
        "--threads", str(threads), "--enable-threads", "--need-app", "--buffer-size", "65535", "--listen", "100",
        "--die-on-term", "--lazy-apps", "--post-buffering", "65536", "--add-header", "Connection: close",
        "--log-format", "%(method) %(uri) %(status) %(msecs)ms", "--thunder-lock", *more,
    )  # fmt: skip
    return Service(name, argv, environment, port, f"http://{place.address}:{port}/")


def mariadb(place: Place) -> Service:
    data = place.lib("mysql")
    argv = (
        "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={place.state}/mysql.sock",
        f"--pid-file={place.lib('mysql.pid')}", f"--bind-address={place.address}", "--port=3306",
        "--innodb-buffer-pool-size=256M", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0",
        "--skip-log-bin", "--performance-schema=OFF", "--skip-name-resolve", "--max-connections=2000",
        "--character-set-server=utf8mb3", "--collation-server=utf8mb3_general_ci", "--innodb-flush-method=nosync",
    )  # fmt: skip
    return Service("mariadb", argv, port=3306)


def rabbitmq_environment(place: Place) -> Mapping[str, str]:
    lib, etc = place.lib("rabbit"), place.etc("rabbit")
    return {
        "HOME": str(lib),
        "RABBITMQ_NODENAME": "lab@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": place.address,
        "RABBITMQ_NODE_PORT": "5672",
        "RABBITMQ_DIST_PORT": "25672",
        "RABBITMQ_MNESIA_BASE": str(lib),
        "RABBITMQ_LOG_BASE": str(place.state / "log" / "rabbit"),
        "RABBITMQ_CONFIG_FILE": str(etc / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(etc / "enabled_plugins"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none"
        " -kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_CRASH_DUMP": str(place.state / "log" / "erl_crash.dump"),
    }


def base(place: Place) -> list[Service]:
    memcached = ("memcached", "-u", "nobody", "-l", place.address, "-p", "11211", "-m", "64", "-t", "1")
    rabbit = ("/usr/lib/rabbitmq/bin/rabbitmq-server",)
    return [
        Service("memcached", memcached, port=11211),
        Service("rabbitmq", rabbit, rabbitmq_environment(place), port=5672),
        mariadb(place),
    ]


def keystone(place: Place) -> Service:
    settings = str(place.etc("keystone") / "keystone.conf")
    program = "/usr/bin/keystone-wsgi-public"
    found = uwsgi("keystone", place, 5000, program, 8, OS_KEYSTONE_CONFIG_FILES=settings)
    return Service(found.name, found.argv, found.environment, 5000, f"http://{place.address}:5000/v3")


def heat(place: Place, which: Heat) -> list[Service]:
    settings = f"--config-file={place.etc(which.name) / 'heat.conf'}"
    if which.release == "debian":
        programs = {f"{which.name}-{part}": (f"heat-{part}", settings) for part in ("engine", "api", "api-cfn")}
        ports = {"api": which.port, "api-cfn": which.port + 1, "engine": 0}
        return [Service(name, argv, port=ports[name.removeprefix(f"{which.name}-")]) for name, argv in programs.items()]
    venv = place.state / "venv" / which.release / "bin"
    serve = (str(venv / "python"), str(HERE / "serve_wsgi.py"), str(venv / "heat-wsgi-api"))
    api = (*serve, place.address, str(which.port), settings)
    engine = Service(f"{which.name}-engine", (str(venv / "heat-engine"), settings))
    return [engine, Service(f"{which.name}-api", api, port=which.port)]


# What each of them would import when it is first asked, and two at once get in each other's way: all of it at once.
SENLIN = """
import senlin.cmd, openstack
import dogpile.cache.backends.memory, dogpile.cache.backends.null
import keystoneauth1.loading._plugins.identity.generic
nowhere = dict.fromkeys(("username", "password", "project_name", "user_domain_name", "project_domain_name"), "x")
openstack.connect(load_yaml_config=False, load_envvars=False, auth_url="http://127.0.0.1:1/v3", **nowhere)
from senlin.cmd.{} import main
main()
"""


def senlin(place: Place) -> list[Service]:
    settings = f"--config-file={place.etc('senlin') / 'senlin.conf'}"
    found = []
    for part in ("conductor", "engine", "health-manager", "api"):
        argv = (PYTHON, "-c", SENLIN.format(part.replace("-", "_")), settings)
        found.append(Service(f"senlin-{part}", argv, port=8777 if part == "api" else 0))
    return found


def machines(place: Place) -> list[Service]:
    """What serves requests for machines: placement, images, networks, servers, volumes."""
    neutron, cinder = place.etc("neutron"), f"--config-file={place.etc('cinder') / 'cinder.conf'}"
    network = f"--config-file={neutron / 'neutron.conf'}"
    nova = f"--config-file={place.etc('nova-lab') / 'nova.conf'}"
    return [
        uwsgi(
            "placement", place, 8778, "/usr/bin/placement-api", 4,
            OS_PLACEMENT_CONFIG_DIR=str(place.etc("placement")),
        ),
        Service("glance", ("glance-api", f"--config-file={place.etc('glance') / 'glance-api.conf'}"), port=9292),
        Service("neutron", ("neutron-server", network), port=9696),
        Service("nova-conductor", ("nova-conductor", nova)),
        Service("nova-scheduler", ("nova-scheduler", nova)),
        uwsgi(
            "nova-api", place, 8774, "/usr/bin/nova-api-wsgi", 8,
            OS_NOVA_CONFIG_DIR=str(place.etc("nova-lab")), OS_NOVA_DISABLE_EVENTLET_PATCHING="1",
        ),
        uwsgi("cinder-api", place, 8776, "/usr/bin/cinder-wsgi", 6, "--pyargv", cinder),
        Service("cinder-scheduler", ("cinder-scheduler", cinder)),
        Service("cinder-volume", ("cinder-volume", cinder)),
    ]  # fmt: skip


def agents(place: Place) -> list[Service]:
    """What moves packets. Each asks the network service at once, and waits for a minute when that is not there yet."""
    neutron = place.etc("neutron")
    network = f"--config-file={neutron / 'neutron.conf'}"
    first = f"--config-file={neutron / HOSTS[0]}.ini"
    found = [
        Service("neutron-dhcp", ("neutron-dhcp-agent", network, f"--config-file={neutron / 'dhcp.ini'}", first)),
        Service("neutron-l3", ("neutron-l3-agent", network, f"--config-file={neutron / 'routers.ini'}", first)),
    ]
    for host in HOSTS:
        bridges = (f"--config-file={neutron / 'bridges.ini'}", f"--config-file={neutron / host}.ini")
        found.append(Service(f"neutron-bridges-{host}", ("neutron-linuxbridge-agent", network, *bridges)))
    return found


def libvirt(place: Place, host: str) -> Service:
    """A compute host is a host name and a libvirtd: mounts and name of their own."""
    argv = ("unshare", "--uts", "--mount", "--propagation", "private", PYTHON, "-I", str(HERE / "edge_host.py"))
    return Service(f"libvirtd-{host}", (*argv, host, str(place.state)))


def compute(place: Place, host: str) -> Service:
    inside = ("nsenter", "--target", str(alive(place.pid(f"libvirtd-{host}"))), "--mount", "--uts")
    settings = f"--config-file={place.etc(f'nova-{host}') / 'nova.conf'}"
    return Service(f"nova-compute-{host}", (*inside, "nova-compute", settings))


def every(place: Place) -> Iterator[Service]:
    """All that there can be, whether it runs or not."""
    yield from base(place)
    yield keystone(place)
    for which in HEATS.values():
        yield from heat(place, which)
    yield from senlin(place)
    yield from machines(place)
    yield from agents(place)
    for host in HOSTS:
        yield libvirt(place, host)
        yield compute(place, host)


# what is done to one
def begin(place: Place, service: Service) -> None:
    pid = place.pid(service.name)
    if alive(pid):
        return
    argv = ["env", "-i", *(f"{key}={value}" for key, value in (CLEAN | dict(service.environment)).items())]
    start([*argv, *service.argv], pid, place.log(service.name))


def await_up(place: Place, service: Service, within_s: float = 180) -> None:
    """Raises RuntimeError when it ended or does not answer."""

    def there() -> bool:
        return (not service.port or _listens(place, service.port)) and (not service.url or _answers(service.url))

    deadline = time.monotonic() + within_s
    while not there():
        if not alive(place.pid(service.name)):
            raise RuntimeError(f"cannot go on: {service.name} ended; see {place.log(service.name)}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"cannot go on: {service.name} does not answer; see {place.log(service.name)}")
        time.sleep(0.2)


def finish(place: Place, name: str, within_s: float = 20) -> None:
    stop(place.pid(name), within_s)


def restart(place: Place, name: str) -> None:
    found = {service.name: service for service in every(place)}
    if name not in found:
        raise RuntimeError(f"cannot restart {name}: there are {', '.join(found)}")
    finish(place, name)
    begin(place, found[name])
    await_up(place, found[name])


def crash(place: Place, name: str) -> None:
    """SIGKILL, for it and all that it has started: what a crash is like."""
    pid = alive(place.pid(name))
    if pid:
        os.killpg(pid, signal.SIGKILL)
    wait_until(lambda: not alive(place.pid(name)), 10)
    place.pid(name).unlink(missing_ok=True)


def _listens(place: Place, port: int) -> bool:
    with socket.socket() as attempt:
        attempt.settimeout(2)
        return attempt.connect_ex((place.address, port)) == 0


def _answers(url: str) -> bool:
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request("GET", f"/{path}")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def tool(place: Place, *argv: str | Path, within_s: float = 600) -> str:
    """One of the services' own commands, in their environment."""
    return run(["env", "-i", *(f"{key}={value}" for key, value in CLEAN.items()), *argv], timeout_s=within_s)


def memory_mib() -> int:
    """What all processes in here hold, shared pages counted once for each that shares them."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                lines = (entry / "status").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return total // 1024


def await_file(path: Path, within_s: float) -> bool:
    return wait_until(path.exists, within_s)
