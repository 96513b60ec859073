"""Brings the lab up, step by step, and ends it; each step is left out when what it makes is there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.hypervisors.processes import run
from tests.lab import HERE, guest, settings
from tests.lab import services as lab
from tests.lab.place import HEATS, HOSTS, PASSWORD, REGION, Heat, Place
from tests.lab.services import Service, await_up, begin, finish, tool

DATABASES = ("keystone", "senlin", "placement", "glance", "neutron", "nova_api", "nova", "nova_cell0", "cinder")
RABBITMQCTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"  # the one in /usr/sbin takes another home, with another cookie
PYMYSQL = ("setuptools<80", "PyMySQL", "pymemcache", "python-memcached")


class Steps:
    """Runs steps and says how long each took."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, name: str, work: Callable[[], object]) -> None:
        since = time.monotonic()
        try:
            work()
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            raise RuntimeError(f"{name}: {error}") from error
        now = time.monotonic()
        print(f"  {name:24} {now - since:6.1f} s   in all {now - self._began:6.1f} s", flush=True)


def fetch(place: Place, heats: Iterable[str]) -> None:
    """What comes from elsewhere: the lab itself reaches nobody but this machine."""
    step = Steps()
    step("the image", lambda: guest.build(place.state / "guest"))
    for release in sorted({HEATS[name].release for name in heats} - {"debian"}):
        step(f"openstack-heat {release}", lambda release=release: _install(place, release))  # type: ignore[misc]


def up(place: Place, heats: Iterable[str]) -> None:
    """To be run inside the lab's namespaces."""
    wanted = [HEATS[name] for name in heats]
    step = Steps()
    step("settings", lambda: settings.write_all(place))
    step("memcached, rabbit, maria", lambda: _serve(place, _prepared(place)))
    step("databases", lambda: _databases(place, wanted))
    with ThreadPoolExecutor(3) as others:  # the schemas of the others meanwhile
        schemas = [others.submit(work, place) for work in (_nova_schemas, _other_schemas)]
        step("keystone", lambda: _keystone(place))
        step("identity", lambda: _ask(place, "identity", _catalogue(place)))
        for which in wanted:
            step(which.name, lambda which=which: _heat(place, which))  # type: ignore[misc]
        step("senlin", lambda: _senlin(place))
        step("the other schemas", lambda: [schema.result() for schema in schemas])
        step("machines", lambda: _serve(place, lab.machines(place)))
        step("network agents", lambda: _serve(place, lab.agents(place)))
        step("compute hosts", lambda: _hosts(place))
        step("resources", lambda: _ask(place, "resources", _inventory(place)))


def down(place: Place) -> None:
    """Ends everything inside, in an order that keeps what is on the disk whole."""
    for host in HOSTS:
        _end_guests(place, host)
    running = [path.name for path in place.pid("").iterdir()] if place.pid("").exists() else []
    last = ["rabbitmq", "mariadb"]
    with ThreadPoolExecutor(8) as each:
        list(each.map(lambda name: finish(place, name, 5), [name for name in running if name not in last]))
    for name in last:
        finish(place, name, 20)


def _end_guests(place: Place, host: str) -> None:
    for file in (place.state / host / "run" / "qemu").glob("*.pid"):
        try:
            os.kill(int(file.read_text()), 15)
        except (OSError, ValueError):
            continue


def _serve(place: Place, services: Iterable[Service]) -> None:
    """All at once: most of the time of each is waiting for the others."""
    services = list(services)
    for service in services:
        begin(place, service)
    for service in services:
        await_up(place, service)


def _once(place: Place, name: str, *commands: list[str | Path]) -> None:
    done = place.data(name)
    if done.exists():
        return
    for command in commands:
        tool(place, *command)
    done.touch()


# databases
def _prepared(place: Place) -> list[Service]:
    data = place.lib("mysql")
    if not (data / "mysql").exists():
        data.mkdir(parents=True, exist_ok=True)
        options = ["--no-defaults", "--user=root", f"--datadir={data}", "--auth-root-authentication-method=normal"]
        tool(place, "mariadb-install-db", *options, "--skip-test-db")
    for folder in (place.lib("rabbit"), place.state / "log" / "rabbit"):
        folder.mkdir(parents=True, exist_ok=True)
    return lab.base(place)


def _databases(place: Place, heats: list[Heat]) -> None:
    names = [*DATABASES, *(which.database for which in heats)]
    user = f"identified by '{PASSWORD}'"
    statements = [f"create user if not exists os@'{where}' {user};" for where in ("%", "localhost")]
    for name in names:
        statements.append(f"create database if not exists {name} character set utf8mb3;")
        statements += [f"grant all on {name}.* to os@'{where}';" for where in ("%", "localhost")]
    tool(place, "mariadb", "--no-defaults", "-uroot", "-S", place.state / "mysql.sock", "-e", " ".join(statements))


def _nova_schemas(place: Place) -> None:
    nova = ["nova-manage", "--config-file", place.etc("nova-lab") / "nova.conf"]
    placement = ["placement-manage", "--config-file", place.etc("placement") / "placement.conf", "db", "sync"]
    cell0 = settings.database(place, "nova_cell0")
    _once(place, "nova_api", [*nova, "api_db", "sync"])
    _once(place, "nova_cell0", [*nova, "cell_v2", "map_cell0", "--database_connection", cell0])
    _once(place, "nova", [*nova, "db", "sync"], [*nova, "cell_v2", "create_cell", "--name", "cell1"])
    _once(place, "placement", placement)


def _other_schemas(place: Place) -> None:
    for name, command in {
        "senlin": ["senlin-manage", "--config-file", place.etc("senlin") / "senlin.conf", "db_sync"],
        "neutron": ["neutron-db-manage", "--config-file", place.etc("neutron") / "neutron.conf", "upgrade", "heads"],
        "cinder": ["cinder-manage", "--config-file", place.etc("cinder") / "cinder.conf", "db", "sync"],
        "glance": ["glance-manage", "--config-file", place.etc("glance") / "glance-api.conf", "db_sync"],
    }.items():
        _once(place, name, command)
    for folder in ("glance/images", "glance/staging", "neutron", "cinder", "nova-lab/instances"):
        place.lib(folder).mkdir(parents=True, exist_ok=True)
    (place.state / "mnt").mkdir(exist_ok=True)


# identity
def _keystone(place: Place) -> None:
    manage = ["keystone-manage", "--config-file", place.etc("keystone") / "keystone.conf"]
    owner = ["--keystone-user", "root", "--keystone-group", "root"]
    url = f"http://{place.address}:5000/v3"
    place.lib("keystone").mkdir(parents=True, exist_ok=True)
    _once(
        place,
        "keystone",
        [*manage, "db_sync"],
        [*manage, "fernet_setup", *owner],
        [*manage, "credential_setup", *owner],
        [
            *manage, "bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", REGION,
            "--bootstrap-service-name", "keystone", "--bootstrap-public-url", url,
            "--bootstrap-internal-url", url, "--bootstrap-admin-url", url,
        ],
    )  # fmt: skip
    _serve(place, [lab.keystone(place)])


SERVICES = (
    ("senlin", "clustering", "http://{}:8777"),
    ("placement", "placement", "http://{}:8778"),
    ("glance", "image", "http://{}:9292"),
    ("neutron", "network", "http://{}:9696"),
    ("nova", "compute", "http://{}:8774/v2.1"),
    ("cinderv3", "volumev3", "http://{}:8776/v3/%(tenant_id)s"),
    ("keystone", "identity", "http://{}:5000/v3"),
)


def _catalogue(place: Place) -> dict[str, object]:
    """The services of every region: each has a Heat of its own and the rest in common."""
    entries = []
    for which in HEATS.values():
        stacks = f"http://{place.address}:{which.port}/v1/%(tenant_id)s"
        templates = f"http://{place.address}:{which.port + 1}/v1"
        for name, kind, url in (
            ("heat", "orchestration", stacks),
            ("heat-cfn", "cloudformation", templates),
            *((name, kind, url.format(place.address)) for name, kind, url in SERVICES),
        ):
            entries.append({"name": name, "type": kind, "url": url, "region": which.region})
    regions = [which.region for which in HEATS.values()]
    return {"password": PASSWORD, "regions": regions, "services": entries}


def _inventory(place: Place) -> dict[str, object]:
    folder = place.state / "guest"
    return {
        "hosts": HOSTS,
        "nova": str(place.etc("nova-lab") / "nova.conf"),
        "images": str(folder),
        "guest": (folder / "made-of").read_text()[:8],
        "names": ["lab"],
        "outside": place.outside,
    }


def _ask(place: Place, script: str, table: dict[str, object]) -> None:
    """Runs identity.py or resources.py, unless it was run with the same table already."""
    file, text = place.etc(f"{script}.json"), json.dumps(table, indent=1)
    done = place.data(script)
    if done.exists() and done.read_text() == text and script == "identity":
        return
    file.write_text(text)
    environment = f"OS_CLIENT_CONFIG_FILE={place.clouds}"
    tool(place, environment, lab.PYTHON, "-I", HERE / f"{script}.py", file)
    done.write_text(text)


# the services
def _install(place: Place, release: str) -> None:
    """A Heat from PyPI in an environment of its own. Debian's Python makes it, as it runs all the rest."""
    venv = place.state / "venv" / release
    if (venv / "bin" / "heat-engine").exists() and (venv / "whole").exists():
        return
    shutil.rmtree(venv, ignore_errors=True)
    run(["/usr/bin/python3", "-m", "venv", venv])
    wanted = [f"openstack-heat=={release}", *PYMYSQL]
    run([venv / "bin" / "pip", "install", "-q", "--disable-pip-version-check", *wanted], timeout_s=900)
    (venv / "whole").touch()


def _heat(place: Place, which: Heat) -> None:
    programs = Path("/usr/bin") if which.release == "debian" else place.state / "venv" / which.release / "bin"
    if which.vhost != "/":
        control = ["env", *(f"{key}={value}" for key, value in lab.rabbitmq_environment(place).items()), RABBITMQCTL]
        _once(
            place,
            f"vhost-{which.name}",
            [*control, "-q", "add_vhost", which.vhost],
            [*control, "-q", "set_permissions", "-p", which.vhost, "guest", ".*", ".*", ".*"],
        )
    schema = [programs / "heat-manage", "--config-file", place.etc(which.name) / "heat.conf", "db_sync"]
    _once(place, which.name, schema)
    _serve(place, lab.heat(place, which))


def _senlin(place: Place) -> None:
    deadline = time.monotonic() + 300
    while not place.data("senlin").exists():  # its schema is made beside
        if time.monotonic() > deadline:
            raise RuntimeError("cannot make Senlin's schema")
        time.sleep(0.1)
    _serve(place, lab.senlin(place))


def _hosts(place: Place) -> None:
    for host in HOSTS:
        (place.lib(f"nova-{host}") / "instances").mkdir(parents=True, exist_ok=True)
        (place.state / f"mnt-{host}").mkdir(exist_ok=True)
        begin(place, lab.libvirt(place, host))
    for host in HOSTS:
        if not lab.await_file(place.state / host / "run" / "libvirt-sock", 60):
            raise RuntimeError(f"cannot start libvirtd of {host}: see {place.log(f'libvirtd-{host}')}")
        begin(place, lab.compute(place, host))
