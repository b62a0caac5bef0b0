"""Serve the image classifier on this machine, ask it about a photograph, and go on serving until Ctrl-C.

`make run` runs this. `--once` stops after the answer, with exit status 0 only if the answer came.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

ROOT = Path(__file__).parents[1]
MODEL = "image_classification"
PHOTOGRAPH = ROOT / "examples" / "photographs" / "chelsea.jpg"
START_SECONDS = 180


def main() -> None:
    """Start, ask, print, and wait."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="stop after the answer")
    parser.add_argument("--photograph", type=Path, default=PHOTOGRAPH, help="a JPEG or PNG file")
    options = parser.parse_args()
    url = f"http://localhost:{os.environ.get('SAGEMAKER_BIND_TO_PORT', '8080')}"
    with serving() as server:
        wait_until_ready(server, url)
        classify(url, options.photograph)
        if options.once:
            return
        print(f"\nServing on {url}; stop it with Ctrl-C. Try next:\n")
        print(f"  curl -s {url}/invocations --data-binary @{options.photograph} \\")
        print("    -H 'Content-Type: application/vnd.sagemaker-triton.binary+json;json-header-size=0' | strings\n")
        server.wait()


@contextmanager
def serving() -> Iterator[subprocess.Popen[bytes]]:
    """Run `serve` on model_repository/, as SageMaker would run it on /opt/ml/model."""
    base_dir = ROOT / "build" / "quickstart"
    base_dir.mkdir(parents=True, exist_ok=True)
    model = base_dir / "model"
    if not model.is_symlink():
        model.symlink_to(ROOT / "model_repository", target_is_directory=True)
    environment = {
        "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": MODEL,
        "SAGEMAKER_TRITON_INSTALL_DIR": str(ROOT / "build" / "tritonserver"),
        **os.environ,
        "SAGEMAKER_BASE_DIR": str(base_dir),
        # Triton's Python models run with the first python3 on PATH: the one that has their packages.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    print("Starting serve: tritonserver loads five models …", flush=True)
    server = subprocess.Popen([sys.executable, "-m", "serve"], env=environment)
    try:
        yield server
    except KeyboardInterrupt:
        print()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


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
            with urllib.request.urlopen(f"{url}/ping", timeout=2):  # noqa: S310 (our own server)
                print(f"Ready after {time.monotonic() - started:.1f} s.")
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"serve was not ready after {START_SECONDS} s: its log above says why")


def classify(url: str, photograph: Path) -> None:
    """Send a photograph as one BYTES element, and print the five most probable labels."""
    image = InferInput("image", [1, 1], "BYTES")
    image.set_data_from_numpy(np.array([[photograph.read_bytes()]], dtype=np.object_))
    outputs = [InferRequestedOutput(name, binary_data=True) for name in ("labels", "probabilities")]
    body, header_size = InferenceServerClient.generate_request_body([image], outputs=outputs)
    content_type = f"application/vnd.sagemaker-triton.binary+json;json-header-size={header_size}"
    started = time.perf_counter()
    request = urllib.request.Request(f"{url}/invocations", data=body, headers={"Content-Type": content_type})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        content, answer_type = response.read(), response.headers["Content-Type"]
    milliseconds = (time.perf_counter() - started) * 1000
    result = InferenceServerClient.parse_response_body(content, header_length=int(answer_type.rpartition("=")[2]))
    print(f"\n{photograph.name}:")
    for label, probability in zip(result.as_numpy("labels")[0], result.as_numpy("probabilities")[0], strict=True):
        print(f"  {probability:6.1%}  {label.decode()}")
    print(f"as {content_type}, {len(body):,} bytes, in {milliseconds:.0f} ms")


if __name__ == "__main__":
    main()
