"""How the driver speaks to an LXD: one session, a pinned certificate, operations waited for, errors of one kind.

The only module that imports pylxd. Its traps are dealt with here: a session that does not trust the environment
(REQUESTS_CA_BUNDLE would overrule what we verify by), a certificate that is held against its fingerprint and nothing
else, no websockets (they fail over https), and operations that are waited for where they are, not polled.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import pylxd
import requests
from pylxd.client import get_session_for_url
from pylxd.exceptions import ClientConnectionFailed, LXDAPIException
from requests.adapters import HTTPAdapter

from meghdwar.driver.hypervisor import Access, Full, HypervisorError, Unreachable

CONNECT_S = 5.0
WAIT_S = 10  # for one answer of a wait: then it is asked again whether the operation goes on
STALLED_S = 300.0  # an operation that takes longer has to say why it may
POOL_SIZE = 32  # connections that are kept: several moves run at once

# what LXD says -> whether it is about room, or whether asking again can help
NO_ROOM = ("no space left", "quota exceeded", "not enough space", "not enough room")
PASSING = ("busy", "shutting down", "starting up", "already running", "try again", "timed out", "timeout")

INSIDE = "Executing command"  # LXD's word for what runs inside an instance
COPYING = "Copying storage volume"

Data = Mapping[str, Any]
T = TypeVar("T")


class Missing(HypervisorError):
    """There is no such thing."""


class Changed(HypervisorError):
    """Somebody was quicker: it is there already, or is no longer what it was when we looked."""


class _Pinned(HTTPAdapter):
    """Takes a server for the right one when its certificate has this fingerprint, and only then."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        super().__init__(pool_maxsize=POOL_SIZE)

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        settings |= {"assert_fingerprint": self._fingerprint, "assert_hostname": False}
        super().init_poolmanager(*arguments, **settings)


def _concerns(operation: Data, names: Set[str]) -> bool:
    """Whether an operation is about one of these instances and volumes. A copy within a pool does not say."""
    if not operation.get("resources"):
        return bool(operation["description"] == COPYING)
    paths = [path for each in operation["resources"].values() for path in each]
    return any(part in names for path in paths for part in path.partition("?")[0].split("/"))


class Api:
    """One LXD. Every call may raise HypervisorError; `asked` says in it what was wanted. Threads may share it."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._client: pylxd.Client | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()

    # asking
    def get(self, path: str, asked: str, /, **parameters: object) -> Any:
        """What is at a path below /1.0. Raises Missing when there is nothing."""
        return self._metadata(self._send("get", path, asked, params=parameters), asked)

    def find(self, path: str, asked: str, /, **parameters: object) -> Any | None:
        """What is at a path, or None."""
        try:
            return self.get(path, asked, **parameters)
        except Missing:
            return None

    def tagged(self, path: str, asked: str) -> tuple[Any, str] | None:
        """What is at a path, with the tag that tells whether it has changed since; None when there is nothing."""
        try:
            response = self._send("get", path, asked)
        except Missing:
            return None
        return self._metadata(response, asked), response.headers.get("ETag", "")

    def raw(self, path: str, asked: str, size_max: int | None = None, /, **parameters: object) -> tuple[bytes, str]:
        """The bytes at a path, and what LXD says they are (X-LXD-type). Stops once there are more than `size_max`."""
        response = self._send("get", path, asked, params=parameters, stream=True, is_api=False)
        content = bytearray()
        try:
            for piece in response.iter_content(1 << 16):
                content += piece
                if size_max is not None and len(content) > size_max:
                    break
        except requests.RequestException as error:
            raise self._not_answered(error, asked) from None
        finally:
            response.close()
        return bytes(content), response.headers.get("X-LXD-type", "")

    def head(self, asked: str) -> tuple[Data, Mapping[str, str]]:
        """What the server says of itself, and the headers of that answer."""
        response = self._send("get", "", asked)
        return self._metadata(response, asked), response.headers

    # changing
    def change(
        self,
        method: str,
        path: str,
        body: object,
        asked: str,
        *,
        tag: str = "",
        patience_s: float = STALLED_S,
    ) -> Data:
        """Changes something and waits until it is done. With a `tag` only what has not changed since is changed:
        otherwise Changed is raised."""
        headers = {"If-Match": tag} if tag else {}
        answer = self._json(self._send(method, path, asked, json=body, headers=headers), asked)
        if answer.get("type") == "async":
            return self.wait(answer["operation"], asked, patience_s)
        return answer.get("metadata") or {}

    def begin(self, path: str, body: object, asked: str) -> Data:
        """Begins something that is waited for by somebody else; the operation as it is at first, its `id` included."""
        operation: Data = self._metadata(self._send("post", path, asked, json=body), asked)
        return operation

    def send(self, path: str, content: bytes, headers: Mapping[str, str], asked: str, /, **parameters: object) -> Data:
        """Posts bytes and waits until they have been taken."""
        answer = self._json(
            self._send("post", path, asked, data=content, headers=dict(headers), params=parameters), asked
        )
        return self.wait(answer["operation"], asked) if answer.get("type") == "async" else {}

    def remove(self, path: str, asked: str, /, **parameters: object) -> None:
        """Removes what is at a path at once. Raises Missing when there is nothing."""
        self._send("delete", path, asked, params=parameters)

    def wait(self, operation: str, asked: str, patience_s: float = STALLED_S) -> Data:
        """Waits for an operation (its path or id); what it left. Raises what went wrong with it."""
        path = f"operations/{operation.partition('?')[0].rpartition('/')[2]}/wait"
        end = time.monotonic() + patience_s
        while True:
            wait_s = max(1, min(WAIT_S, int(self.access.timeout_s / 2), int(patience_s)))
            try:
                state = self.get(path, asked, timeout=wait_s)
            except Missing:
                why = "it has forgotten the operation, so it was started anew: nobody knows whether it was done"
                raise Unreachable(self.access.gateway, asked, why) from None
            if state.get("status_code") == 200:
                return state.get("metadata") or {}
            if state.get("status_code", 400) >= 400:
                raise self._refusal(str(state.get("err") or state.get("status")), asked)
            if time.monotonic() > end:
                what = str(state.get("description") or "the operation").lower()
                why = f"{what} is still going on there after {patience_s:.0f} s"
                raise Unreachable(self.access.gateway, asked, why)

    def settle(self, names: Set[str], asked: str) -> None:
        """Waits until nothing is under way there for these instances and volumes, whoever began it. What runs inside
        an instance is not meant, nor what only sends: that changes nothing there."""
        end = time.monotonic() + self.access.timeout_s
        while going_on := self._under_way(names, asked):
            if time.monotonic() > end:
                why = f"{going_on[0]} is still going on there; somebody began it who did not wait for it"
                raise Unreachable(self.access.gateway, asked, why)
            time.sleep(0.05)

    def _under_way(self, names: Set[str], asked: str) -> list[str]:
        found = self.get("operations", asked, recursion=1) or {}
        return [
            each["description"].lower()
            for each in found.get("running", ())
            if each["class"] == "task" and each["description"] != INSIDE and _concerns(each, names)
        ]

    def run(
        self,
        instance: str,
        command: Sequence[str],
        asked: str,
        environment: Mapping[str, str] | None = None,
        patience_s: float | None = None,
    ) -> int:
        """Runs a command in an instance and returns its exit status; 126 and more when it could not be run or died."""
        return self.status_of(self.begin_run(instance, command, asked, environment), asked, patience_s)

    def begin_run(
        self, instance: str, command: Sequence[str], asked: str, environment: Mapping[str, str] | None = None
    ) -> str:
        """Begins a command in an instance; the id of what is to be waited for."""
        body = {
            "command": list(command),
            "environment": dict(environment or {}),
            "wait-for-websocket": False,
            "record-output": False,
            "interactive": False,
        }
        return str(self.begin(f"instances/{instance}/exec", body, asked)["id"])

    def status_of(self, running: str, asked: str, patience_s: float | None = None) -> int:
        """Waits for a command that was begun, and returns its exit status as `run` does."""
        return int(self.wait(running, asked, patience_s or self.access.timeout_s).get("return", 255))

    def read(self, instance: str, command: Sequence[str], asked: str) -> str:
        """What a command in an instance prints."""
        body = {"command": list(command), "wait-for-websocket": False, "record-output": True, "interactive": False}
        output = self.change("post", f"instances/{instance}/exec", body, asked).get("output") or {}
        printed = {key: self.raw(log.removeprefix("/1.0/"), asked)[0].decode() for key, log in output.items()}
        for log in output.values():
            self.remove(log.removeprefix("/1.0/"), asked)
        return printed.get("1", "")

    def later(self, call: Callable[[], T], after_s: float = 0.0) -> Future[T]:
        """Makes a call without waiting for it, a while from now or when all is closed; what goes wrong with it is left
        to whoever looks."""

        def wait_and_call() -> T:
            if after_s:
                self._closing.wait(after_s)
            return call()

        return self._pool().submit(wait_and_call)

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        """Makes calls at the same time and returns what they did; the first error of them is raised."""
        pool = self._pool()
        futures = [pool.submit(call) for call in calls]
        return [future.result() for future in futures]

    def _pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(POOL_SIZE, f"lxd-{self.access.gateway}")
            return self._threads

    @property
    def url(self) -> str:
        """Where other servers reach this one; nothing when it answers on a unix socket alone."""
        if self.access.endpoint.startswith("https://"):
            return self.access.endpoint.rstrip("/")
        addresses = self.get("", "find its address")["environment"].get("addresses") or []
        return f"https://{addresses[0]}" if addresses else ""

    @property
    def certificate(self) -> str:
        """The certificate that it shows, as PEM: other servers verify it by that."""
        return str(self.connected("read its certificate").host_info["environment"]["certificate"])

    def connected(self, asked: str) -> pylxd.Client:
        with self._lock:
            if self._client is None:
                self._client = self._connect(asked)
            return self._client

    def close(self) -> None:
        """Ends when the calls that were left for later have been made; it may be used again."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            self._closing.set()
            threads.shutdown()
            self._closing.clear()
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.api.session.close()

    # how
    def _connect(self, asked: str) -> pylxd.Client:
        access = self.access
        if access.endpoint.startswith("https://"):
            session = self._pinned_session(asked)
        elif access.endpoint.startswith("/"):
            session = get_session_for_url("http+unix://")
        else:
            why = f"its endpoint {access.endpoint!r} is neither https://HOST:PORT nor the path of a unix socket"
            raise HypervisorError(access.gateway, asked, why)
        session.trust_env = False
        timeout = (min(CONNECT_S, access.timeout_s), access.timeout_s)
        project = access.options.get("project")
        try:
            return pylxd.Client(access.endpoint, session=session, timeout=timeout, project=project)
        except LXDAPIException as error:
            raise self._refusal(str(error), asked, error.response.status_code) from None
        except (ClientConnectionFailed, requests.RequestException, OSError, KeyError, ValueError) as error:
            raise self._not_answered(error, asked) from None

    def _pinned_session(self, asked: str) -> requests.Session:
        access = self.access
        if not access.certificate:
            why = "no fingerprint of its certificate is given; see openssl x509 -fingerprint -sha256, and add it anew"
            raise HypervisorError(access.gateway, asked, why)
        session = requests.Session()
        session.verify = False  # no authority is asked: the fingerprint tells, before anything is sent
        if access.client_certificate and access.client_key:
            session.cert = (str(access.client_certificate), str(access.client_key))
        session.mount("https://", _Pinned(access.certificate.lower().replace(":", "")))
        return session

    def _send(self, method: str, path: str, asked: str, **arguments: Any) -> requests.Response:
        node = self.connected(asked).api
        for part in path.split("/"):
            node = node[part] if part else node
        try:
            response: requests.Response = getattr(node, method)(**arguments)
        except LXDAPIException as error:
            if error.response.status_code == 200:  # what pylxd says of an answer that it does not understand
                raise self._nonsense(asked) from None
            raise self._refusal(str(error), asked, error.response.status_code) from None
        except (requests.RequestException, OSError) as error:
            raise self._not_answered(error, asked) from None
        except (TypeError, KeyError, AttributeError):
            raise self._nonsense(asked) from None
        return response

    def _metadata(self, response: requests.Response, asked: str) -> Any:
        answer = self._json(response, asked)
        if "metadata" not in answer:
            raise self._nonsense(asked)
        return answer["metadata"]

    def _json(self, response: requests.Response, asked: str) -> dict[str, Any]:
        try:
            answer = response.json()
        except ValueError:
            raise self._nonsense(asked) from None
        if not isinstance(answer, dict) or answer.get("type") not in ("sync", "async"):
            raise self._nonsense(asked)
        return answer

    # what went wrong
    def _nonsense(self, asked: str) -> HypervisorError:
        why = f"what answers at {self.access.endpoint} is no LXD, or something stands before it"
        return HypervisorError(self.access.gateway, asked, why)

    def _refusal(self, why: str, asked: str, status: int = 0) -> HypervisorError:
        gateway, text = self.access.gateway, why.strip() or f"HTTP status {status}"
        said = text.lower()
        if status == 404:
            return Missing(gateway, asked, text)
        if status in (409, 412) or "already exists" in said:
            return Changed(gateway, asked, text, retry=True)
        if status in (401, 403) or "not authorized" in said:
            text = "it does not trust the driver's certificate; there: lxc config trust add CERTIFICATE"
            return HypervisorError(gateway, asked, text)
        if any(word in said for word in NO_ROOM):
            return Full(gateway, asked, text)
        return HypervisorError(gateway, asked, text, retry=status >= 500 or any(word in said for word in PASSING))

    def _not_answered(self, error: Exception, asked: str) -> HypervisorError:
        access, said = self.access, str(error)
        if "ingerprint" in said:
            why = f"the certificate that it shows is not the pinned one ({access.certificate})"
            return HypervisorError(access.gateway, asked, why)
        if "TLS certificate file" in said or "TLS key file" in said or "PEM" in said:
            return HypervisorError(access.gateway, asked, f"the driver's own certificate or key cannot be read: {said}")
        if isinstance(error, requests.Timeout) or "timed out" in said:
            return Unreachable(access.gateway, asked, f"{access.endpoint} gave no answer in time")
        return Unreachable(access.gateway, asked, f"{access.endpoint} does not answer ({_last_words(said)})")


def _last_words(said: str) -> str:
    """The end of a chain of errors, without the objects that requests puts into it."""
    return said.rpartition(": ")[2].strip("'\")( ") or "no reason was given"
