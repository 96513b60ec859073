"""Log lines say what they are about, and keep secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meghdwar.driver import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, written = logging.getLogger(), io.StringIO()
    level = root.level
    yield written
    for handler in [handler for handler in root.handlers if handler.get_name() == "meghdwar"]:
        root.removeHandler(handler)
    root.setLevel(level)


def test_a_line_of_a_library_carries_the_operation(stream: io.StringIO) -> None:
    logs.set_up("info", "json", stream)
    with logs.about(operation="m-20261122-7f3k9q", instance="arena", epoch=7):
        logs.now_about(step="pause")
        logging.getLogger("urllib3.connectionpool").warning("slow: %d s", 3, extra={"gateway": "edge_a"})
    logging.getLogger("urllib3").warning("afterwards")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "warning",
        "logger": "urllib3.connectionpool",
        "message": "slow: 3 s",
        "operation": "m-20261122-7f3k9q",
        "instance": "arena",
        "gateway": "edge_a",
        "step": "pause",
        "epoch": 7,
    }
    assert "operation" not in second


def test_threads_do_not_mix(stream: io.StringIO) -> None:
    logs.set_up("info", "json", stream)

    def work(name: str) -> None:
        with logs.about(operation=name):
            for _ in range(50):
                logging.getLogger("work").warning(name)

    threads = [Thread(target=work, args=(f"m-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 200
    assert all(line["operation"] == line["message"] for line in lines)


def test_text_is_one_line_whatever_is_in_it(stream: io.StringIO) -> None:
    logs.set_up("info", "text", stream)
    with logs.about(operation="m-1", instance="arena", step="wake"):
        logging.getLogger("x").error("two\nlines\x1b[31m", extra={"gateway": "edge_b"})
    line = stream.getvalue()
    assert line.endswith(" ERROR arena m-1 wake: two\\nlines\\x1b[31m gateway=edge_b\n")
    assert line.count("\n") == 1


def test_a_traceback_is_kept(stream: io.StringIO) -> None:
    logs.set_up("info", "json", stream)
    try:
        raise RuntimeError("password=hunter2")
    except RuntimeError:
        logging.getLogger("x").exception("it went wrong")
    line = json.loads(stream.getvalue())
    assert "RuntimeError" in line["traceback"]
    assert "hunter2" not in stream.getvalue()


def test_a_mistake_in_a_line_is_no_mistake_of_ours() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "%d of %d", (1,), None)
    assert "TypeError in its arguments" in json.loads(logs.Json().format(record))["message"]


def test_set_up_again_replaces(stream: io.StringIO) -> None:
    logs.set_up("info", "json", io.StringIO())
    logs.set_up("error", "text", stream)
    logging.getLogger("x").warning("no")
    logging.getLogger("x").error("yes")
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize(("level", "format_"), [("loud", "json"), ("info", "xml")])
def test_what_there_is_not_is_told(level: str, format_: str) -> None:
    with pytest.raises(ValueError, match="cannot log"):
        logs.set_up(level, format_)


KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEhunter2\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://meghdwar:hunter2@db.example/meghdwar",
        "redis://:hunter2@cache:6379",
        "amqp://user:p@hunter2@host/",
        KEY,
        KEY[:50],
        "Authorization: Bearer hunter2",
        "{'Authorization': 'Basic hunter2=='}",
        "password=hunter2&x=1",
        '{"password": "hunter2", "a": 1}',
        "client_secret: hunter2",
        "OS_PASSWORD=hunter2",
        "X-Auth-Token: hunter2",
        "api_key = 'hunter2 hunter2'",
    ],
)
def test_secrets_are_hidden(text: str) -> None:
    assert "hunter2" not in logs.hidden(f"before {text} after")


@pytest.mark.parametrize(
    "text",
    [
        "qemu+unix:///system?socket=/run/edge-1/libvirt-sock",
        "https://edge-a.example:8443/1.0/instances/arena",
        "cannot move arena to edge_b: it is full (50 cloudlets)",
        "postgresql://meghdwar@db.example/meghdwar",
        "at 12:30:05, 3 of 7 tokens were left",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert logs.hidden(text) == text


@given(st.text(max_size=300))
def test_any_text_can_be_logged(text: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, text, (), None)
    assert json.loads(logs.Json().format(record))["level"] == "info"
    assert "\n" not in logs.Text().format(record)
