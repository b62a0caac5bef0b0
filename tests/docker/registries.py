"""Real registries for the tests: docker-registry, and Amazon ECR as moto plays it with docker-registry behind it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import requests
from moto.server import ThreadedMotoServer

from tests.triton import free_ports

REGION = "eu-west-1"
# What moto's GetAuthorizationToken gives out (user AWS, password 123456789012-auth-token), hashed by bcrypt.
HTPASSWD = "AWS:$2b$05$abcdefghijklmnopqrstuu/4ofrUS75HrKu6f.iuRo0I/XlrmpqlC\n"


@contextmanager
def docker_registry(directory: Path, *, htpasswd: str | None = None) -> Iterator[str]:
    """Run docker-registry with its data in `directory`; its address, HOST:PORT. With `htpasswd` it wants a login."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed (.ci/engine installs it)")
    [port] = free_ports(1)
    address = f"127.0.0.1:{port}"  # an engine takes a registry without TLS on the loopback interface alone
    config = directory / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: warn}}\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{directory / 'data'}'}}, delete: {{enabled: true}}}}\n"
    )
    if htpasswd:
        (directory / "htpasswd").write_text(htpasswd)
        with config.open("a") as file:
            file.write(f"auth: {{htpasswd: {{realm: test, path: '{directory / 'htpasswd'}'}}}}\n")
    with (directory / "log").open("wb") as log, subprocess.Popen([program, "serve", config], stderr=log) as process:
        try:
            _await_answer(f"http://{address}/v2/", process)
            yield address
        finally:
            process.terminate()


def _await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            requests.get(url, timeout=2)
        except requests.ConnectionError:
            assert process.poll() is None, f"docker-registry ended with status {process.returncode}"
            assert time.monotonic() < deadline, "docker-registry did not answer within 30 s"
            time.sleep(0.05)
        else:
            return


@contextmanager
def ecr(registry: str) -> Iterator[str]:
    """Run moto's AWS behind a proxy that puts `registry` where moto names ECR's host; the endpoint's URL.

    moto answers ECR's API but takes no layers, and names a host that would be Amazon's.
    """
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        with _proxy(f"http://{host}:{port}", registry) as url:
            requests.post(f"{url}/moto-api/reset", timeout=10).raise_for_status()
            yield url
    finally:
        moto.stop()


@contextmanager
def _proxy(upstream: str, registry: str) -> Iterator[str]:
    ecr_host = f"123456789012.dkr.ecr.{REGION}.amazonaws.com".encode()

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            answer = requests.post(f"{upstream}{self.path}", body, headers=headers, timeout=30)
            content = answer.content.replace(ecr_host, registry.encode())
            self.send_response(answer.status_code)
            for name in ("Content-Type", "x-amzn-errortype"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing: a failing test shows the response."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
