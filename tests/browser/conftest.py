"""Runs Streamlit scripts for tests that look at them in a real browser."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

START_LIMIT_S = 60.0


@pytest.fixture(scope="module")
def serve(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Call with a script (relative to the checkout, or absolute) to have it served on a free port of this machine.

    Returns the address. Keyword arguments become environment variables of the server, which ends with the module.
    """
    running: list[subprocess.Popen[bytes]] = []

    def start(script: str | Path, **environment: str) -> str:
        port = free_port()
        log = tmp_path_factory.mktemp("streamlit") / "server.log"
        flags = {
            "server.address": "127.0.0.1",
            "server.port": str(port),
            "server.headless": "true",
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": "false",
        }
        with log.open("wb") as sink:
            server = subprocess.Popen(
                [
                    *(sys.executable, "-m", "streamlit", "run", str(repository / script)),
                    *(f"--{name}={value}" for name, value in flags.items()),
                ],
                cwd=repository,
                env=os.environ | {"PYTHONPATH": str(repository)} | environment,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        running.append(server)
        address = f"http://127.0.0.1:{port}"
        wait_for_health(address, server, log)
        return address

    yield start
    for server in running:
        server.terminate()
    for server in running:
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_health(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"Streamlit did not start:\n{log.read_text()[-3000:]}")
