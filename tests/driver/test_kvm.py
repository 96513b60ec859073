"""What KVM gateways are told and what is remembered of them, without libvirt; with it see test_kvm_real.py."""

from __future__ import annotations

import hashlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("libvirt", reason="kvm: libvirt-python is not installed; pip install 'meghdwar[kvm]'")

from meghdwar.driver.hypervisor import Access, Full, HypervisorError, Refused, Unbounded, Unreachable, Unverified
from meghdwar.driver.instance import Disk, Files, Instance
from meghdwar.driver.kvm import Kvm, copying, doctor, domain, images, reach
from meghdwar.driver.kvm.connection import Connection, ImpossibleError
from meghdwar.driver.kvm.domain import Boot, Machine
from meghdwar.driver.kvm.pinned import pinned_uri
from meghdwar.driver.kvm.pool import Held, Kept, Window, sorted_out

ACCESS = Access("edge-9", "kvm", "qemu+unix:///system?socket=/nowhere", timeout_s=0.3)
INSTANCE = Instance(
    name="shop-arena",
    application="shop",
    cloudlet="arena",
    kind="vm",
    image="arena",
    address="10.50.0.80",
    ports=(80,),
    disks=(Disk("shop-arena-saves", 2**20, "/data", "/dev/vdc"),),
)
MACHINE = Machine("qemu", bridge="cloudlets")
BOOT = Boot("abc.vmlinuz", kernel="/pool/abc.vmlinuz", initrd="/pool/abc.initrd", command_line="quiet")


def parsed(xml: str) -> ElementTree.Element:
    return ElementTree.fromstring(xml)  # noqa: S314 - ours


# definitions
def test_a_definition_says_it_all() -> None:
    xml = domain.domain_xml(INSTANCE, MACHINE, BOOT)
    root = parsed(xml)
    assert root.get("type") == "qemu"
    assert root.findtext("name") == "shop-arena"
    assert root.findtext("os/cmdline") == (
        "quiet meghdwar.name=shop-arena meghdwar.address=10.50.0.80 meghdwar.disk=shop-arena-saves:/data"
    )
    assert domain.is_ours(xml)
    assert domain.said(xml) == {"application": "shop", "cloudlet": "arena", "image": "abc.vmlinuz"}
    assert not domain.is_ours("<domain><name>shop-arena</name></domain>")
    assert domain.uuid_of(INSTANCE) == root.findtext("uuid")
    assert domain.uuid_of(replace(INSTANCE, application="other")) != root.findtext("uuid")


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF), max_size=40)


@given(application=TEXT, key=TEXT, value=TEXT, cloudlet=TEXT)
@settings(max_examples=50, deadline=None)
def test_whatever_is_written_in_a_descriptor_stays_text(application: str, key: str, value: str, cloudlet: str) -> None:
    hostile = replace(INSTANCE, application=application, cloudlet=cloudlet, environment={key: value})
    xml = domain.domain_xml(hostile, MACHINE, BOOT)
    assert domain.said(xml)["application"] == application
    entries = [entry.text or "" for entry in parsed(xml).iterfind("sysinfo/oemStrings/entry")]
    assert f"meghdwar.environment.{key}={value}" in entries
    assert len(list(parsed(xml).iterfind("devices/disk"))) == 0


def test_disks_have_names_that_fit() -> None:
    assert domain.serial_of("saves") == "saves"
    long = domain.serial_of("shop-arena-with-a-long-name-saves")
    assert len(long) == 20
    assert long != domain.serial_of("shop-arena-with-a-long-name-loads")
    xml = domain.domain_xml(INSTANCE, MACHINE, BOOT)
    assert domain.free_device(xml, None) == "vdb"
    assert domain.free_device(xml, "/dev/vdc") == "vdc"
    assert domain.free_device(xml, "../../etc/passwd") == "vdb"
    disk = domain.disk_xml(INSTANCE.disks[0], "/pool/a & <b>.raw", "vdb")
    with_disk = xml.replace("<devices>", f"<devices>{disk}")
    assert [(each.path, each.device) for each in domain.plugged(with_disk)] == [("/pool/a & <b>.raw", "vdb")]
    assert domain.free_device(with_disk, "vdb") == "vdc"


def test_at_the_target_its_files_and_its_bridge_are_the_targets() -> None:
    xml = domain.domain_xml(INSTANCE, MACHINE, BOOT)
    there = domain.moved(xml, "/pool", "/var/other", replace(MACHINE, bridge="br9"))
    root = parsed(there)
    assert root.findtext("os/kernel") == "/var/other/abc.vmlinuz"
    assert root.findtext("os/initrd") == "/var/other/abc.initrd"
    assert [source.get("bridge") for source in root.iterfind("devices/interface/source")] == ["br9"]
    assert domain.is_ours(there)
    assert domain.moved(there, "/var/other", "/pool", MACHINE).count("/var/other") == 0


# what is remembered
APPLICATIONS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
HELD = st.builds(Held, st.integers(0, 10**9), st.integers(0, 10**5), st.booleans(), APPLICATIONS)


@given(st.lists(HELD, max_size=5), st.booleans())
@settings(max_examples=100, deadline=None)
def test_the_highest_name_counts(held: list[Held], saved: bool) -> None:
    names = [each.volume("one") for each in held] + ["one.disk.raw", "two.held.x", "f00.vmlinuz", "_boots.kvm.7"]
    names += ["one.saved"] if saved else []
    assert all("/" not in name for name in names)
    kept = sorted_out(names)
    assert kept["one"].now == (max(held) if held else Held())
    assert kept["one"].disks == ("disk",)
    assert kept["one"].saved is saved
    assert set(kept) == {"one"}


def test_what_was_not_proved_is_no_disk() -> None:
    names = ["one.a.raw", "one.a.copying", "one.b.raw", "one.b.copied.1500", "one.c.raw", "two.a.copying", "_direct"]
    kept = sorted_out([*names, "one.d.copied.7", "one.a.copied.9"])
    assert (kept["one"].disks, kept["one"].doubted, kept["one"].as_of) == (("b", "c"), ("a",), (("b", 1.5),))
    assert (kept["two"].disks, kept["two"].doubted) == ((), ("a",))
    assert set(kept) == {"one", "two"}


@pytest.mark.parametrize(("skew_s", "level"), [(0.0, "good"), (3.5, "warning"), (None, "warning")])
def test_a_clock_that_was_not_read_is_not_said_to_be_right(skew_s: float | None, level: str) -> None:
    [finding] = doctor._clock(skew_s)
    assert (finding.check, finding.level) == ("clock", level)


def test_nothing_is_remembered_of_nobody() -> None:
    assert sorted_out([]) == {}
    assert Kept().now == Held(0, 0, False, "")


def test_what_vms_boot_from_is_no_instance() -> None:
    digest = hashlib.sha256(b"an image").hexdigest()
    volumes = [f"{digest}.{kind}" for kind in images.FILES]
    assert sorted_out([*volumes, *(f"{volume}.whole" for volume in volumes)]) == {}


# copies
@dataclass
class Memory:
    """Volumes in memory, as `pool.Pool` shows them; `loses` is how many writes are not kept."""

    volumes: dict[str, bytearray]
    loses: int = 0
    written: list[tuple[int, int]] = field(default_factory=list)
    connection: Any = field(default_factory=lambda: Connection(ACCESS))

    def read(self, volume: str, offset: int, length: int) -> Window:
        content = self.volumes[volume][offset : offset + length]
        holes = 4096  # as a file system would: blocks of zeros are holes
        extents = [
            (at, min(at + holes, len(content))) for at in range(0, len(content), holes) if any(content[at : at + holes])
        ]
        return Window(bytearray(content), extents)

    def write(self, volume: str, offset: int, content: memoryview) -> None:
        self.written.append((offset, len(content)))
        if self.loses:
            self.loses -= 1
            return
        there = self.volumes[volume]
        there.extend(bytes(max(0, offset + len(content) - len(there))))
        there[offset : offset + len(content)] = content


CONTENT = st.lists(st.sampled_from([bytes(1000), b"x" * 1000, b"y" * 1000]), max_size=40).map(b"".join)


def copied(source: Memory, target: Memory, *, final: bool = True) -> Any:
    return copying.copy(source, "v", target, "v", lambda: None, final=final)  # type: ignore[arg-type]


@given(CONTENT, CONTENT, st.sampled_from([4096, 10_000, 2**26]))
@settings(max_examples=100, deadline=None)
def test_a_copy_is_the_same(theirs: bytes, ours: bytes, window: int) -> None:
    size = max(len(theirs), len(ours))
    source, target = (Memory({"v": bytearray(each.ljust(size, b"\0"))}) for each in (theirs, ours))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(copying, "WINDOW", window)
        patched.setattr(copying, "CHUNK", 512)
        patched.setattr(copying, "NEAR", 1024)
        patched.setattr(copying, "ZEROS", bytes(512))
        first = copied(source, target)
        assert target.volumes["v"] == source.volumes["v"]
        again = copied(source, target)
    assert again.sent_bytes == 0
    assert again.proof == first.proof
    assert first.sent_bytes == sum(length for _, length in target.written)


def test_only_what_differs_is_sent() -> None:
    theirs = bytearray(b"x" * 8 * 2**20)
    ours = bytearray(theirs)
    theirs[5 * 2**20] = 0
    target = Memory({"v": ours})
    assert copied(Memory({"v": theirs}), target).sent_bytes == copying.CHUNK
    assert target.written == [(5 * 2**20, copying.CHUNK)]


def test_a_write_that_is_lost_is_seen() -> None:
    source, target = Memory({"v": bytearray(b"x" * 1000)}), Memory({"v": bytearray(1000)}, loses=1)
    with pytest.raises(Unverified) as caught:
        copied(source, target)
    assert caught.value.retry
    assert copied(source, target).proof
    assert not copied(source, target, final=False).proof


# images
def test_images_by_name(tmp_path: Path) -> None:
    (tmp_path / "disk.qcow2").write_bytes(b"QFI\xfb and more")
    (tmp_path / "raw.qcow2").write_bytes(b"not one")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder" / "vmlinuz").write_bytes(b"kernel")
    (tmp_path / "folder" / "initrd.gz").write_bytes(b"initrd")
    (tmp_path / "folder" / "cmdline").write_text("console=ttyS0\n")
    disk, folder = (images.find("edge-9", tmp_path, name) for name in ("disk", "folder"))
    assert disk.has_disk
    assert folder.volumes["vmlinuz"] == hashlib.sha256(b"kernel").hexdigest() + ".vmlinuz"
    assert folder.command_line == "console=ttyS0"
    for name, why in (("raw", "qemu-img"), ("empty", "vmlinuz"), ("../folder", "no name"), ("none", "put it there")):
        with pytest.raises(HypervisorError, match=why) as caught:
            images.find("edge-9", tmp_path, name)
        assert str(caught.value).startswith(f"cannot use the image {name} at edge-9")
    with pytest.raises(HypervisorError, match="say where"):
        images.find("edge-9", None, "disk")
    (tmp_path / "folder" / "vmlinuz").write_bytes(b"another")
    assert images.find("edge-9", tmp_path, "folder").content != folder.content


# asking libvirt
def test_a_call_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection(ACCESS)
    monkeypatch.setattr("libvirt.open", lambda uri: Opened())
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"no answer within 0.3 s; it may still be done") as caught:
        connection.call("wait", lambda c: time.sleep(5))
    assert time.monotonic() - began < 5, "it was waited for"
    assert caught.value.gateway == "edge-9"
    steps = iter(range(100))

    def gets_on(c: object) -> str:
        time.sleep(0.9)
        return "done"

    assert connection.call("wait", gets_on, progress=lambda: next(steps)) == "done"


def test_what_a_tick_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libvirt.open", lambda uri: Opened())

    def tick() -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        Connection(ACCESS).call("wait", lambda c: time.sleep(5), tick=tick)


class Opened:
    """A connection that is open."""

    def __init__(self) -> None:
        self.closed = False

    def isAlive(self) -> bool:  # noqa: N802 - libvirt's name
        return True

    def setKeepAlive(self, interval: int, count: int) -> None:  # noqa: N802
        return

    def close(self) -> None:
        self.closed = True


def test_a_connection_is_not_closed_under_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """libvirt takes the whole process with it then."""
    opened = Opened()
    monkeypatch.setattr("libvirt.open", lambda uri: opened)
    connection = Connection(replace(ACCESS, timeout_s=5))
    begun, go_on = threading.Event(), threading.Event()

    def work(c: Any) -> bool:
        begun.set()
        go_on.wait(5)
        return bool(c.closed)

    results: list[bool] = []
    calling = threading.Thread(target=lambda: results.append(connection.call("wait", work)))
    calling.start()
    begun.wait(5)
    connection.close()
    time.sleep(0.05)
    go_on.set()
    calling.join(5)
    assert results == [False]
    end = time.monotonic() + 2
    while not opened.closed and time.monotonic() < end:
        time.sleep(0.01)
    assert opened.closed


@pytest.mark.parametrize(
    ("code", "text", "kind", "retry"),
    [
        ("VIR_ERR_NO_CONNECT", "no connection driver available", Unreachable, True),
        ("VIR_ERR_INTERNAL_ERROR", "client socket is closed", Unreachable, True),
        ("VIR_ERR_SYSTEM_ERROR", "cannot write: No space left on device", Full, False),
        ("VIR_ERR_OPERATION_TIMEOUT", "cannot acquire state change lock", HypervisorError, True),
        ("VIR_ERR_AUTH_FAILED", "authentication failed", ImpossibleError, False),
        ("VIR_ERR_INTERNAL_ERROR", "filesystem does not support O_DIRECT", HypervisorError, False),
        ("VIR_ERR_XML_ERROR", "something is wrong", HypervisorError, False),
    ],
)
def test_errors_in_our_words(
    monkeypatch: pytest.MonkeyPatch, code: str, text: str, kind: type[HypervisorError], retry: bool
) -> None:
    import libvirt

    monkeypatch.setattr("libvirt.open", lambda uri: Opened())

    def fail(c: object) -> None:
        error = libvirt.libvirtError(text)
        error.err = (getattr(libvirt, code), libvirt.VIR_FROM_QEMU, text, 2, None, None, None, -1, -1)
        raise error

    with pytest.raises(HypervisorError) as caught:
        Connection(ACCESS).call("do something", fail)
    assert type(caught.value) is kind
    assert caught.value.retry is retry
    assert str(caught.value).startswith("cannot do something at edge-9: ")


def test_who_does_not_answer_is_unreachable() -> None:
    gateway = Kvm(ACCESS)
    for ask in (lambda: gateway.look(INSTANCE), gateway.inventory, lambda: gateway.hold(INSTANCE, Unbounded())):
        with pytest.raises(Unreachable, match="edge-9"):
            ask()
    findings = list(gateway.doctor(["arena"]))
    assert [(each.check, each.level) for each in findings] == [("reachable", "bad")]
    assert "virsh" in findings[0].help


def test_no_flag_says_that_safety_does_not_matter() -> None:
    import meghdwar.driver.kvm as package

    for file in Path(package.__file__).parent.glob("*.py"):
        assert "VIR_MIGRATE_UNSAFE" not in file.read_text(), file


def test_state_files_are_refused() -> None:
    gateway, files = Kvm(ACCESS), Files("saves", ("/saves",))
    assert "files" not in gateway.capabilities.strategies
    with pytest.raises(Refused, match="volume"):
        gateway.read_files(INSTANCE, files)


# asking the instance
@pytest.fixture
def server() -> Iterator[tuple[int, list[bytes], list[bytes]]]:
    """A port, the requests that it got and what it answers, one after the other."""
    listening = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []
    answers: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            with client, suppress(OSError):  # who asks may hang up at any time
                while answers:
                    requests.append(client.recv(4096))
                    if not requests[-1]:
                        break
                    client.sendall(answers.pop(0))

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()[1], requests, answers
    listening.close()


def test_asked_directly_and_through_a_proxy(server: tuple[int, list[bytes], list[bytes]]) -> None:
    port, requests, answers = server
    answers[:] = [b"HTTP/1.0 200 OK\r\n\r\n"]
    assert reach.answers("127.0.0.1", port, "/n", None)
    assert requests[-1].startswith(b"GET /n HTTP/1.0\r\n")
    answers[:] = [b"HTTP/1.0 503 Service Unavailable\r\n\r\n"]
    assert not reach.answers("127.0.0.1", port, "/n", None)
    answers[:] = [b"HTTP/1.0 200 Connection established\r\n\r\n", b"HTTP/1.0 204 No Content\r\n\r\n"]
    assert reach.answers("10.50.0.80", 8080, "/n", f"http://127.0.0.1:{port}")
    assert requests[-2].startswith(b"CONNECT 10.50.0.80:8080 HTTP/1.0\r\n")
    answers[:] = [b"HTTP/1.0 502 Bad Gateway\r\n\r\n"]
    assert not reach.answers("10.50.0.80", 8080, None, f"http://127.0.0.1:{port}")
    assert not reach.answers("127.0.0.1", 1, None, None)


# certificates
@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """A TLS server with a certificate of its own: its port and fingerprint."""
    folder = tmp_path_factory.mktemp("tls")
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=edge-9"
    made = subprocess.run([*words.split(), "-keyout", "key", "-out", "cert"], cwd=folder, capture_output=True)
    if made.returncode:
        pytest.skip("openssl cannot make a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
                context.wrap_socket(client, server_side=True).close()
            except OSError:
                if listening.fileno() < 0:
                    return

    threading.Thread(target=serve, daemon=True).start()
    der = ssl.PEM_cert_to_DER_cert((folder / "cert").read_text())
    yield listening.getsockname()[1], hashlib.sha256(der).hexdigest()
    listening.close()


def test_a_certificate_is_known_by_its_fingerprint(shown: tuple[int, str], tmp_path: Path) -> None:
    port, fingerprint = shown
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    access = replace(ACCESS, endpoint=f"qemu+tls://127.0.0.1:{port}/system", certificate=fingerprint)
    try:
        uri = pinned_uri(access)
        assert uri.startswith(access.endpoint + "?pkipath=")
        folder = Path(uri.partition("pkipath=")[2].partition("&")[0])
        der = ssl.PEM_cert_to_DER_cert((folder / "cacert.pem").read_text())
        assert hashlib.sha256(der).hexdigest() == fingerprint
        assert folder.stat().st_mode & 0o077 == 0
        with pytest.raises(HypervisorError, match=fingerprint) as caught:
            pinned_uri(replace(access, certificate="0" * 64))
        assert not caught.value.retry
        with pytest.raises(Unreachable):
            pinned_uri(replace(access, endpoint="qemu+tls://127.0.0.1:1/system"))
    finally:
        monkeypatch.undo()
    assert pinned_uri(replace(access, certificate=None)) == access.endpoint
    assert pinned_uri(ACCESS) == ACCESS.endpoint
