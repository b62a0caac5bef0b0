"""Serve the image classifier on this machine, ask it about a photograph, and go on serving until Ctrl-C.

`make run` runs this. `--once` stops after the answer. The exit status is 0 only if the answer came and `serve` has
ended as it was told to: otherwise it is that of `serve`, 1, or 130 after a Ctrl-C that came before the answer.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

from serve.machine.inspect import is_free
from serve.settings import Settings, SettingsError

ROOT = Path(__file__).parents[1]
MODEL = "image_classification"
PHOTOGRAPH = ROOT / "examples" / "photographs" / "chelsea.jpg"
START_SECONDS = 180
# Our own server is asked directly, whatever http_proxy says.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> None:
    """Parse the command line, and exit with the status of what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="stop after the answer")
    parser.add_argument("--photograph", type=Path, default=PHOTOGRAPH, help="a JPEG or PNG file")
    options = parser.parse_args()
    if not options.photograph.is_file():
        parser.error(f"--photograph {options.photograph}: there is no such file")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(quick_start(options.photograph, once=options.once))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def quick_start(photograph: Path, *, once: bool) -> int:
    """Start, ask, print, and wait for Ctrl-C or, where that is earlier, the end of `serve`; return its status."""
    environment = serve_environment()
    url = f"http://127.0.0.1:{free_port(environment)}"
    with serving(environment) as server:
        wait_until_ready(server, url)
        classify(url, photograph)
        if not once:
            print(f"\nServing on {url}; stop it with Ctrl-C. Try next:\n")
            print(f"  curl -s {url}/invocations --data-binary @{shlex.quote(str(photograph))} \\")
            print("    -H 'Content-Type: application/vnd.sagemaker-triton.binary+json;json-header-size=0' |")
            print("    tr -cs '[:print:]' '\\n'\n", flush=True)
            with suppress(KeyboardInterrupt):
                server.wait()
    if server.returncode:
        print(f"serve ended with status {server.returncode}: its log above says why", file=sys.stderr)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def serve_environment() -> dict[str, str]:
    """Lay out model_repository/ as SageMaker lays out /opt/ml/model, and return what `serve` is to be started with."""
    base_dir = ROOT / "build" / "quickstart"
    base_dir.mkdir(parents=True, exist_ok=True)
    model, repository = base_dir / "model", ROOT / "model_repository"
    if model.resolve() != repository.resolve():
        model.unlink(missing_ok=True)
        model.symlink_to(repository, target_is_directory=True)
    return {
        "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": MODEL,
        "SAGEMAKER_TRITON_INSTALL_DIR": str(ROOT / "build" / "tritonserver"),
        **os.environ,
        "SAGEMAKER_BASE_DIR": str(base_dir),
        # Triton's Python models run with the first python3 on PATH: the one that has their packages.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def free_port(environment: Mapping[str, str]) -> int:
    """Return the port that `serve` will listen on. Looked at before it starts, or another server might answer us.

    Raises:
        SystemExit: a variable of `serve` has a bad value, or the port is not free.
    """
    try:
        port = Settings.from_environment(environment).bind_to_port
    except SettingsError as error:
        raise SystemExit(str(error)) from error
    if not is_free(port):
        raise SystemExit(
            f"Another program listens on port {port}: SAGEMAKER_BIND_TO_PORT={port + 1} make run takes another one"
        )
    return port


@contextmanager
def serving(environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run `serve` for as long as the block lasts. It finishes what is in flight; a second Ctrl-C ends it at once."""
    print("Starting serve: tritonserver loads the models …", flush=True)
    server = subprocess.Popen([sys.executable, "-m", "serve"], env=environment)
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait()
        except KeyboardInterrupt:
            server.kill()  # its children die with it
            server.wait()
            raise


def wait_until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    """Return once /ping answers 200.

    Raises:
        SystemExit: `serve` has ended, or is not ready after three minutes.
    """
    started = time.monotonic()
    while time.monotonic() - started < START_SECONDS:
        if server.poll() is not None:
            raise SystemExit(f"serve ended with status {server.returncode}: its log above says why")
        try:
            with OPENER.open(f"{url}/ping", timeout=2):
                print(f"Ready after {time.monotonic() - started:.1f} s.", flush=True)
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"serve was not ready after {START_SECONDS} s: its log above says why")


def classify(url: str, photograph: Path) -> None:
    """Send a photograph as one BYTES element, and print the five most probable labels.

    Raises:
        SystemExit: there was no answer, or it was an error.
    """
    image = InferInput("image", [1, 1], "BYTES")
    image.set_data_from_numpy(np.array([[photograph.read_bytes()]], dtype=np.object_))
    outputs = [InferRequestedOutput(name, binary_data=True) for name in ("labels", "probabilities")]
    body, header_size = InferenceServerClient.generate_request_body([image], outputs=outputs)
    content_type = f"application/vnd.sagemaker-triton.binary+json;json-header-size={header_size}"
    started = time.perf_counter()
    content, answer_type = post(f"{url}/invocations", body, content_type)
    milliseconds = (time.perf_counter() - started) * 1000
    result = InferenceServerClient.parse_response_body(content, header_length=int(answer_type.rpartition("=")[2]))
    print(f"\n{photograph.name}:")
    for label, probability in zip(result.as_numpy("labels")[0], result.as_numpy("probabilities")[0], strict=True):
        print(f"  {probability:6.1%}  {label.decode()}")
    print(f"as {content_type}, {len(body):,} bytes, in {milliseconds:.0f} ms", flush=True)


def post(url: str, body: bytes, content_type: str) -> tuple[bytes, str]:
    """Return the body of an answer, and its content type; SystemExit where there is none."""
    request = urllib.request.Request(url, data=body, headers={"Content-Type": content_type})  # noqa: S310
    try:
        with OPENER.open(request, timeout=60) as response:
            return response.read(), response.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{url} answered {error.code}: {error.read().decode(errors='replace')}") from error
    except OSError as error:
        raise SystemExit(f"{url} did not answer: {error}") from error


if __name__ == "__main__":
    main()
