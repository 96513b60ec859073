"""The process in which tosca-parser and heat-translator run: it takes its network away first, and says how.

Reads a job from the standard input (who, path, inputs, memory, time) and answers with JSON on the standard output.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import logging
import resource
import socket
import sys
from typing import Any, NoReturn

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def limit(memory_bytes: int, time_s: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (time_s, time_s))


def cut_network() -> str:
    """By the kernel where it lets us, also without privileges; else every socket refuses. Says which it was."""
    library = ctypes.CDLL(None, use_errno=True)
    for flags in (CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET):
        if library.unshare(flags) == 0:
            return "a network namespace of their own"

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise OSError("there is no network here")

    socket.socket = socket.create_connection = socket.getaddrinfo = refuse  # type: ignore[misc,assignment]
    return "sockets that refuse every connection"


def work(job: dict[str, Any]) -> dict[str, Any]:
    """What a peer makes of the descriptor: its nodes and its template, or its error."""
    answer: dict[str, Any] = {"network": cut_network()}
    logging.disable(logging.CRITICAL)
    noise = io.StringIO()
    try:
        with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise):
            from toscaparser.tosca_template import ToscaTemplate

            parsed = ToscaTemplate(job["path"], job["inputs"], True)
            answer["nodes"] = [node.name for node in getattr(parsed, "nodetemplates", None) or []]
            if job["who"] == "heat-translator":
                from translator.hot.tosca_translator import TOSCATranslator

                translator = TOSCATranslator(parsed, job["inputs"], False, csar_dir=None)
                answer["template"] = translator.translate()
    except BaseException as error:  # SystemExit and RecursionError are answers as well
        answer["error"] = f"{type(error).__name__}: {error}"
    return answer


if __name__ == "__main__":
    given = json.load(sys.stdin)
    limit(given["memory"], given["time"])
    print(json.dumps(work(given)))
