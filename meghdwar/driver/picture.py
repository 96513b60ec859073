"""What a stack says of where things are: looked at, and told by updates of which there is one at a time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from meghdwar.bundle import Bundle
from meghdwar.driver.cloud_api import Cloud, CloudError, wait
from meghdwar.driver.heat import Found, await_stack, find, resources, server_among, the
from meghdwar.driver.hypervisor import HypervisorError
from meghdwar.driver.instance import Instance
from meghdwar.driver.plan import edge_name
from meghdwar.model import Cloudlet, Gateway

UPDATE_S = 600.0
STILL_S = 60.0  # without an event an update has nobody who works on it: an engine that died never comes back to it
FRESH_S = 5.0  # for so long a gateway is the server that it was: a health policy takes longer to make it anew


class Picture:
    """The Stack of moves: says in the stack where things are. One update at a time; those that wait become one.

    Safe for the threads of one driver; another driver, or a person, who updates the stack is waited for.
    """

    def __init__(self, cloud: Cloud, bundle: Bundle, stack: str, timeout_s: float = UPDATE_S) -> None:
        self._cloud, self._bundle, self._stack, self._timeout_s = cloud, bundle, stack, timeout_s
        self._waiting: dict[str, str | None] = {}  # instance -> gateway
        self._instances: dict[str, Instance] = {}
        self._note, self._turn = threading.Lock(), threading.Lock()
        self._path = stack  # as Heat is asked for it
        self._made: Mapping[str, str] = {}  # resource -> id, as it was looked at last
        self._made_by = ""  # the update before that look
        self._servers: dict[str, tuple[str, float]] = {}  # gateway -> its server, and when that was looked at
        self._ahead: dict[str, _Ahead] = {}
        self.updates = 0  # that were made, for those who count

    # looking
    def look(self) -> Found | None:
        """The stack as it is now, None when it is gone."""
        found = find(self._cloud, self._path)
        if found is None and self._path != self._stack:  # it may have been made anew
            self._path, self._made, self._servers = self._stack, {}, {}
            found = find(self._cloud, self._stack)
        if found is not None:
            self._path = found.path
        return found

    def found(self) -> Found:
        """As `look`; raises CloudError when it is gone."""
        return self.look() or the(self._cloud, self._stack)

    def at(self, instance: Instance) -> str | None:
        """The gateway where the stack says that an instance is."""
        stack = self.look()
        parameter = self._bundle.plan.made.get(instance.cloudlet, {}).get("at", "")
        told = None if stack is None else stack.parameters.get(parameter)
        return _table(told).get(instance.name) if instance.subscriber is not None else told

    def volumes(self, instance: Instance) -> dict[str, str]:
        """Disk -> the id of its volume; nothing when the stack is gone."""
        made, parts = self._resources(), self._bundle.plan.made
        named = {edge_name(instance.name, state): part.get("volume", "") for state, part in parts.items()}
        wanted = {disk.name for disk in instance.disks}
        return {disk: made[volume] for disk, volume in named.items() if disk in wanted and volume in made}

    def volume(self, volume: str) -> Mapping[str, Any] | None:
        """A volume as Cinder has it, None when it is gone."""
        asked, path = f"look at volume {volume}", f"/volumes/{volume}"
        return self._cloud.ask("block_storage", "GET", path, asked=asked, missing=True).get("volume")

    def server(self, gateway: str) -> Mapping[str, Any] | None:
        """The server of a gateway as Nova has it, None when there is none now."""
        ahead = self._ahead.pop(gateway, None)
        if ahead is not None and ahead.answered():
            return ahead.found
        return self._look_at_server(gateway)

    def look_ahead(self, gateway: str) -> None:
        """Begins to look at the server of a gateway: whoever asks for it next, and soon, need not wait as long."""
        self._ahead[gateway] = _Ahead(lambda: self._look_at_server(gateway))

    def server_of(self, gateway: str) -> str:
        """The id of the server that a gateway is, "" when there is none now."""
        try:
            return self._server_of(gateway)
        except CloudError as error:
            if error.status != 404:
                raise
            return ""

    def _look_at_server(self, gateway: str) -> Mapping[str, Any] | None:
        known = gateway in self._servers
        server, found = self.server_of(gateway), None
        if server:
            asked, path = f"look at server {server}", f"/servers/{server}"
            found = self._cloud.ask("compute", "GET", path, asked=asked, missing=True).get("server")
        if found is None:
            self._servers.pop(gateway, None)
            if known:  # it may have been made anew
                return self._look_at_server(gateway)
        return found

    def _resources(self) -> Mapping[str, str]:
        if not self._made:
            try:
                self._made = resources(self._cloud, self._path)
            except CloudError as error:
                if error.status != 404:
                    raise
        return self._made

    def _server_of(self, gateway: str) -> str:
        server, looked = self._servers.get(gateway, ("", 0.0))
        if not server or time.monotonic() - looked > FRESH_S:
            server, looked = server_among(self._cloud, self._bundle, self._resources(), gateway), time.monotonic()
            self._servers[gateway] = server, looked
        return server

    # acting
    def settle(self) -> None:
        """When this returns nobody works on the stack, or nobody has for so long that nobody will."""
        stack = self.look()
        if stack is not None and stack.busy:
            self._settled()

    def write(self, volume: str, written: Mapping[str, str]) -> None:
        """Puts it into the metadata of a volume, beside what is there."""
        asked, path = f"write on volume {volume}", f"/volumes/{volume}/metadata"
        self._cloud.ask("block_storage", "POST", path, {"metadata": dict(written)}, asked=asked)

    def free(self, volume: str) -> None:
        """When this returns the volume is attached to no server, and nothing is under way."""
        detach_elsewhere(self._cloud, volume, "", self._timeout_s)

    def place(self, instance: Instance, gateway: str | None) -> float | None:
        """How long, in seconds, its volume was at no server meanwhile; None when nobody knows."""
        with self._note:
            self._waiting[instance.name] = gateway
            self._instances[instance.name] = instance
        with self._turn:
            with self._note:
                if self._waiting.get(instance.name, _TAKEN) is _TAKEN:
                    return None  # whoever had the turn before has told it too
                work = {name: (self._instances[name], at) for name, at in self._waiting.items()}
                self._waiting = {}
            try:
                return self._tell(list(work.values())).get(instance.name)
            except BaseException as error:
                with self._note:  # the others still have to be told
                    left = {name: at for name, (_, at) in work.items() if name != instance.name}
                    self._waiting = left | self._waiting
                if not isinstance(error, CloudError):
                    raise
                where, asked = f"stack {self._stack}", f"say that {instance.name} is at {gateway or 'no gateway'}"
                raise HypervisorError(where, asked, str(error), retry=error.retry) from None

    def preview(self, instance: Instance, gateway: str | None) -> list[str]:
        """What Heat says that an update would change: one line for each resource that it would touch."""
        stack = self.found()
        body = {"existing": True, "parameters": self._parameters([(instance, gateway)], stack)}
        path = f"/stacks/{stack.path}/preview"
        asked = f"preview the update of stack {self._stack}"
        changes = self._cloud.ask("orchestration", "PATCH", path, body, asked=asked).get("resource_changes", {})
        return [
            f"{entry['resource_name']} ({entry['resource_type']}) is {kind}"
            for kind in ("updated", "replaced", "added", "deleted")
            for entry in changes.get(kind, ())
        ]

    def _tell(self, work: Sequence[tuple[Instance, str | None]]) -> dict[str, float]:
        """Updates until the stack says it: an update of somebody else in between may have undone it. Returns for how
        long the volume of an instance was at no server, where that was seen."""
        end = time.monotonic() + self._timeout_s
        gaps: dict[str, float] = {}
        stack = self._settled()
        while True:
            if stack.state in ("CREATE_FAILED", "DELETE_FAILED"):
                advice = f"see openstack stack failures list {stack.name}"
                raise CloudError(f"cannot update stack {stack.name}: it is {stack.state}: {stack.reason}; {advice}")
            wanted = self._parameters(work, stack)
            told = all(_same(stack.parameters.get(key), value) for key, value in wanted.items())
            if told and not stack.failed and not stack.busy:
                self._verify(work)
                return gaps
            if stack.failed or stack.busy:
                self._untangle(work)
            watched = self._watched(work)
            ours = self._update(wanted)
            stack = self._settled(watched)
            gaps |= {each.instance: each.gap_s for each in watched if each.gap_s is not None}
            if ours and stack.failed:
                self._servers = {}
                raise CloudError(f"cannot update stack {stack.name}: {stack.reason}", retry=True)
            if time.monotonic() > end:
                raise CloudError(f"cannot update stack {stack.name}: somebody else changes it all the time", retry=True)

    def _settled(self, watched: Sequence[_Watched] = ()) -> Found:
        """The stack once nobody works on it, or nobody has for so long that nobody will."""

        def watch() -> None:
            for each in watched:
                each.look()

        stack = self.found()
        if stack.busy:
            stack = await_stack(self._cloud, self._path, timeout_s=self._timeout_s, still_s=STILL_S, meanwhile=watch)
        if stack.updated != self._made_by or not stack.updated:
            self._made, self._made_by = {}, stack.updated
        return stack

    def _update(self, parameters: Mapping[str, Any]) -> bool:
        """Whether Heat has taken the update: it does not while it works on another."""
        body = {"existing": True, "parameters": parameters, "disable_rollback": True}
        try:
            path, asked = f"/stacks/{self._path}", f"update stack {self._stack}"
            self._cloud.ask("orchestration", "PATCH", path, body, asked=asked)
        except CloudError as error:
            if error.status != 409:
                raise
            time.sleep(0.5)
            return False
        self.updates += 1
        return True

    def _watched(self, work: Sequence[tuple[Instance, str | None]]) -> list[_Watched]:
        return [
            _Watched(self, instance.name, str(gateway), volume, server)
            for instance, gateway in work
            for volume, _, server in self._volumes([(instance, gateway)])
        ]

    def _volumes(self, work: Sequence[tuple[Instance, str | None]]) -> Iterator[tuple[str, str, str]]:
        """Volume, the resource that attaches it, and the server where it shall be."""
        made = self._resources()
        for instance, gateway in work:
            if gateway is None or self._stands(gateway) or instance.subscriber is not None:
                continue
            cloudlet = next(item for item in self._bundle.plan.each(Cloudlet) if item.name == instance.cloudlet)
            parts = [self._bundle.plan.made.get(mount.state, {}) for mount in cloudlet.state]
            for part in parts:
                if part.get("volume") in made and "attachment" in part:
                    server = self._server_of(gateway)
                    yield made[part["volume"]], part["attachment"], server

    def _untangle(self, work: Sequence[tuple[Instance, str | None]]) -> None:
        """After an update that was cut off a volume may still be where it was, or be where it shall be already while
        Heat thinks that it is not. Heat makes an attachment anew that it has not finished, and that succeeds only
        when there is none."""
        path = f"/stacks/{self._path}/resources"
        answer = self._cloud.ask("orchestration", "GET", path, asked=f"list what is in stack {self._stack}")
        whole = {r["resource_name"] for r in answer["resources"] if r["resource_status"].endswith("_COMPLETE")}
        for volume, attachment, server in self._volumes(work):
            detach_elsewhere(self._cloud, volume, server if attachment in whole else "", self._timeout_s)

    def _verify(self, work: Sequence[tuple[Instance, str | None]]) -> None:
        """What Heat says is so: a volume that it calls attached, and that is not, is attached."""
        for volume, _, server in self._volumes(work):
            found = self.volume(volume)
            if found is None or server in {entry["server_id"] for entry in found["attachments"]}:
                continue
            detach_elsewhere(self._cloud, volume, server, self._timeout_s)
            asked = f"attach volume {volume} to server {server}"
            if self._status(volume) == "available":
                body = {"volumeAttachment": {"volumeId": volume}}
                self._cloud.ask("compute", "POST", f"/servers/{server}/os-volume_attachments", body, asked=asked)
                wait(lambda volume=volume: self._status(volume) == "in-use", asked, self._timeout_s)  # type: ignore[misc]

    def _status(self, volume: str) -> str:
        found = self.volume(volume)
        return found["status"] if found else "gone"

    def _parameters(self, work: Sequence[tuple[Instance, str | None]], stack: Found) -> dict[str, Any]:
        """The parameters of the stack as they shall be."""
        result: dict[str, Any] = {}
        for instance, gateway in work:
            made = self._bundle.plan.made.get(instance.cloudlet, {})
            if "at" in made and instance.subscriber is not None:
                table = result.setdefault(made["at"], _table(stack.parameters.get(made["at"])))
                table.pop(instance.name, None)
                if gateway is not None:
                    table[instance.name] = gateway
            elif "at" in made and gateway is not None:
                result[made["at"]] = gateway
            if "server" in made:
                nowhere = gateway is None or self._stands(gateway)
                result[made["server"]] = "" if nowhere or gateway is None else self._server_of(gateway)
        return result

    def _stands(self, gateway: str) -> bool:
        """Whether it is none of the stack's servers; what the plan does not name has joined a cluster of the stack."""
        return any(each.stands for each in self._bundle.plan.each(Gateway) if each.name == gateway)


_TAKEN: Any = object()


class _Watched:
    """A volume while an update brings it from one server to another. `gap_s` is how long it was at neither, as exact as
    it was looked at; None when its going or its coming was not seen."""

    def __init__(self, picture: Picture, instance: str, gateway: str, volume: str, server: str) -> None:
        self._picture, self._gateway, self._volume, self._server = picture, gateway, volume, server
        self._left: float | None = None  # when it was seen at another server last
        self._came = False
        self.instance = instance
        self.gap_s: float | None = None

    def look(self) -> None:
        if self._came:
            return
        with suppress(CloudError):  # it is only watched
            found = self._picture.volume(self._volume) or {"status": "gone"}
            if found["status"] != "in-use":
                return
            now, self._came = time.monotonic(), self._server in {each["server_id"] for each in found["attachments"]}
            if not self._came:
                self._left = now
                return
            self.gap_s = None if self._left is None else now - self._left
            self._picture.look_ahead(self._gateway)


class _Ahead:
    """A look at a server that was begun before anybody asks for what it finds."""

    def __init__(self, look: Callable[[], Mapping[str, Any] | None]) -> None:
        self.found: Mapping[str, Any] | None = None
        self._look, self._well, self._since = look, False, time.monotonic()
        self._thread = threading.Thread(target=self._run, name="look-ahead", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(CloudError):  # whoever asks for it looks again, and hears why
            self.found = self._look()
            self._well = True

    def answered(self) -> bool:
        """Waits for it; whether it found out, and that is not too long ago."""
        if time.monotonic() - self._since > FRESH_S:
            return False
        self._thread.join()
        return self._well


def detach_elsewhere(cloud: Cloud, volume: str, server: str, timeout_s: float) -> None:
    """When this returns the volume is attached to that server or to none, and nothing is under way."""
    asked = f"find out where volume {volume} is attached"

    def clear() -> bool:
        found = cloud.ask("block_storage", "GET", f"/volumes/{volume}", asked=asked)["volume"]
        others = [a["server_id"] for a in found["attachments"] if a["server_id"] != server]
        for other in others if found["status"] == "in-use" else ():
            path = f"/servers/{other}/os-volume_attachments/{volume}"
            cloud.ask("compute", "DELETE", path, asked=f"detach volume {volume} from server {other}", missing=True)
        return not others and found["status"] in ("available", "in-use")

    advice = f"see openstack volume show {volume}"
    wait(clear, f"free volume {volume}, which something still attaches or detaches ({advice})", timeout_s)


def _table(value: Any) -> dict[str, Any]:
    found = json.loads(value) if isinstance(value, str) and value else value
    return dict(found) if isinstance(found, Mapping) else {}


def _same(found: Any, wanted: Any) -> bool:
    """Whether a parameter has a value; Heat gives everything back as text."""
    return _table(found) == wanted if isinstance(wanted, Mapping) else str(found) == str(wanted)
