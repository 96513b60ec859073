"""What libvirt is told of an instance, and what its definitions say: XML out of templates/libvirt, and read back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree

import jinja2

from meghdwar.driver.instance import Disk, Instance
from meghdwar.resources import templates

NAMESPACE = "https://meghdwar.dev/libvirt/1"
SERIAL_MAX = 20  # what a virtio disk can say


@dataclass(frozen=True, slots=True)
class Machine:
    """How guests are run at a gateway; None leaves it to libvirt."""

    virt: str  # qemu or kvm
    arch: str = "x86_64"
    machine: str | None = "pc"
    cpu: str | None = None
    bridge: str | None = None
    network: str | None = None


@dataclass(frozen=True, slots=True)
class Boot:
    """What it boots from: paths at the gateway. `image` names the content, the same at every gateway."""

    image: str
    kernel: str | None = None
    initrd: str | None = None
    command_line: str = ""
    overlay: str | None = None


@dataclass(frozen=True, slots=True)
class Plugged:
    """A disk in a definition."""

    path: str
    device: str
    xml: str


def render(template: str, **values: object) -> str:
    """A template filled in. What comes out is read back, so that nothing that is no XML gets to libvirt."""
    text = _templates().get_template(f"{template}.xml.j2").render(**values)
    ElementTree.fromstring(text)  # noqa: S314 - our own
    return text


@lru_cache
def _templates() -> jinja2.Environment:
    def load(name: str) -> str:
        return (templates() / "libvirt" / name).read_text(encoding="utf-8")

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def domain_xml(instance: Instance, machine: Machine, boot: Boot) -> str:
    return render(
        "domain",
        instance=instance,
        uuid=uuid_of(instance),
        namespace=NAMESPACE,
        image=boot.image,
        virt=machine.virt,
        arch=machine.arch,
        machine=machine.machine,
        cpu=machine.cpu,
        bridge=machine.bridge,
        network=machine.network,
        mac=mac_of(instance.name),
        kernel=boot.kernel,
        initrd=boot.initrd,
        command_line=command_line(instance, boot.command_line),
        overlay=boot.overlay,
        strings=list(strings(instance)),
    )


def disk_xml(disk: Disk, path: str, device: str) -> str:
    return render("disk", format="raw", path=path, device=device, serial=serial_of(disk.name))


def uuid_of(instance: Instance) -> str:
    """The same at every gateway: libvirt takes two domains of one name and two UUIDs for two."""
    return str(uuid5(NAMESPACE_URL, f"{NAMESPACE}/{instance.application}/{instance.name}"))


def mac_of(name: str) -> str:
    """The same at every gateway, and of those that anybody may give out."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in sha256(name.encode()).digest()[:3])


def serial_of(disk: str) -> str:
    """How the guest finds the disk: /dev/disk/by-id/virtio-SERIAL. Its name, or what fits of it and a checksum."""
    if len(disk) <= SERIAL_MAX:
        return disk
    return f"{disk[: SERIAL_MAX - 9]}-{sha256(disk.encode()).hexdigest()[:8]}"


def strings(instance: Instance) -> Iterator[str]:
    """What the guest is told of itself, as SMBIOS strings of type 11, which need no disk and no network."""
    yield f"meghdwar.name={instance.name}"
    if instance.address:
        yield f"meghdwar.address={instance.address}"
    for disk in instance.disks:
        yield f"meghdwar.disk={serial_of(disk.name)}:{disk.location}"
    for key, value in instance.environment.items():
        yield f"meghdwar.environment.{key}={value}"
    if instance.command:
        yield "meghdwar.command=" + " ".join(_quoted(word) for word in instance.command)


def command_line(instance: Instance, first: str) -> str:
    """The kernel's, where the image has a kernel of its own: its own words, then name, address and disks."""
    plain = [each for each in strings(instance) if each.split("=")[0].rpartition(".")[2] in ("name", "address", "disk")]
    return " ".join(filter(None, [first, *plain]))


def _quoted(word: str) -> str:
    from shlex import quote

    return quote(word)


# reading definitions
def is_ours(xml: str) -> bool:
    return _instance(xml) is not None


def said(xml: str) -> Mapping[str, str]:
    """What a definition says of its instance: application, cloudlet, image, subscriber."""
    element = _instance(xml)
    return {} if element is None else dict(element.attrib)


def _instance(xml: str) -> ElementTree.Element | None:
    return ElementTree.fromstring(xml).find(f"metadata/{{{NAMESPACE}}}instance")  # noqa: S314 - libvirt's own


def is_emulated(xml: str) -> bool:
    """Whether QEMU runs it without KVM.

    Then its memory must not go over while it runs: QEMU 7.2 clears the dirty bits of whole blocks of memory without
    telling the emulated processor, which goes on writing past them. Mended in QEMU 9.0 ("physmem: Fix migration dirty
    bitmap coherency with TCG memory access").
    """
    return ElementTree.fromstring(xml).get("type") == "qemu"  # noqa: S314 - libvirt's own


def plugged(xml: str) -> list[Plugged]:
    """The disks of a definition that are files."""
    result = []
    for disk in ElementTree.fromstring(xml).iterfind("devices/disk"):  # noqa: S314
        source, target = disk.find("source"), disk.find("target")
        if source is not None and target is not None and source.get("file"):
            text = ElementTree.tostring(disk, encoding="unicode")
            result.append(Plugged(source.get("file", ""), target.get("dev", ""), text))
    return result


def free_device(xml: str, wanted: str | None) -> str:
    """The name that a disk gets: the one that is wished for when it is free, else the next."""
    taken = {disk.device for disk in plugged(xml)}
    device = (wanted or "").rpartition("/")[2]
    if re.fullmatch(r"vd[a-z]", device) and device not in taken:
        return device
    # vda is left for a disk that it boots from
    return next(f"vd{letter}" for letter in "bcdefghijklmnopqrstuvwxyz" if f"vd{letter}" not in taken)


def moved(xml: str, source_pool: str, target_pool: str, machine: Machine) -> str:
    """The same definition as the target's libvirt needs it: its pool, its bridge or network."""
    root = ElementTree.fromstring(xml)  # noqa: S314 - libvirt's own
    ElementTree.register_namespace("meghdwar", NAMESPACE)
    for element in root.iter():
        for key, value in element.attrib.items():
            if value.startswith(f"{source_pool}/"):
                element.set(key, target_pool + value.removeprefix(source_pool))
        if element.tag in ("kernel", "initrd") and (element.text or "").startswith(f"{source_pool}/"):
            element.text = target_pool + (element.text or "").removeprefix(source_pool)
    for link in root.iterfind("devices/interface"):
        source = link.find("source")
        if source is not None and machine.bridge and link.get("type") == "bridge":
            source.attrib.clear()
            source.set("bridge", machine.bridge)
        if source is not None and machine.network and link.get("type") == "network":
            source.attrib.clear()
            source.set("network", machine.network)
    return ElementTree.tostring(root, encoding="unicode")
