"""Serve the image classifier on this machine, classify a photograph, and go on serving until Ctrl-C.

`make run` runs this. `--once` stops after the response. The exit status is 0 only if there was a response and `serve`
stopped as it was told to. Otherwise it is that of `serve`, 1, or 130 after a Ctrl-C that came before the response.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

from byoc.container.process import serve_environment, start_serve
from byoc.errors import ByocError
from byoc.load.client import send
from byoc.load.request import Request
from serve import sagemaker

ROOT = Path(__file__).parents[1]
MODEL = "image_classification"
PHOTOGRAPH = ROOT / "examples" / "photographs" / "chelsea.jpg"
READY_SECONDS = 180.0


def main() -> None:
    """Parse the command line, and exit with the status of what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="stop after the response")
    parser.add_argument("--photograph", type=Path, default=PHOTOGRAPH, help="a JPEG or PNG file")
    options = parser.parse_args()
    if not options.photograph.is_file():
        parser.error(f"--photograph {options.photograph}: there is no such file")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(quick_start(options.photograph, once=options.once))
    except ByocError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def quick_start(photograph: Path, *, once: bool) -> int:
    """Start `serve`, classify, and wait for Ctrl-C or until `serve` ends by itself; return its exit status.

    When told to stop, `serve` finishes the requests in flight; a second Ctrl-C kills it.

    Raises:
        ContainerError: `serve` could not start, ended, or was not ready in time.
        InvocationError: it did not respond to the request, or with an error.
    """
    environment = serve_environment(lay_out(), {"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": MODEL, **os.environ})
    print("Starting serve: tritonserver loads the models …", flush=True)
    started = time.monotonic()
    with start_serve(environment) as serve:
        serve.await_ready(READY_SECONDS)
        print(f"Ready after {time.monotonic() - started:.1f} s.", flush=True)
        classify(serve.url, photograph)
        if not once:
            print(next_steps(serve.url, photograph), flush=True)
            with suppress(KeyboardInterrupt):
                serve.wait()
    status = serve.wait()
    if status:
        print(f"serve ended with status {status}: see its log above", file=sys.stderr)
    return status


def lay_out() -> Path:
    """Lay out model_repository/ as SageMaker lays out a model, and return the directory that stands for /opt/ml."""
    base_dir = ROOT / "build" / "quickstart"
    base_dir.mkdir(parents=True, exist_ok=True)
    model, repository = base_dir / "model", ROOT / "model_repository"
    if model.resolve() != repository.resolve():
        model.unlink(missing_ok=True)
        model.symlink_to(repository, target_is_directory=True)
    return base_dir


def next_steps(url: str, photograph: Path) -> str:
    """Return what to do while it serves."""
    return f"""
Serving on {url}. Ctrl-C stops it. Try next:

  curl -s {url}{sagemaker.INVOCATIONS} --data-binary @{shlex.quote(str(photograph))} \\
    -H 'Content-Type: {sagemaker.BINARY_JSON_PREFIX}0' |
    tr -cs '[:print:]' '\\n'

"""


def classify(url: str, photograph: Path) -> None:
    """Send a photograph as one BYTES element, and print the five most probable labels.

    Raises:
        InvocationError: there was no response, or it was an error.
    """
    image = InferInput("image", [1, 1], "BYTES")
    image.set_data_from_numpy(np.array([[photograph.read_bytes()]], dtype=np.object_))
    outputs = [InferRequestedOutput(name, binary_data=True) for name in ("labels", "probabilities")]
    body, header_size = InferenceServerClient.generate_request_body([image], outputs=outputs)
    content_type = f"{sagemaker.BINARY_JSON_PREFIX}{header_size}"
    started = time.perf_counter()
    response = send("POST", Request(f"{url}{sagemaker.INVOCATIONS}", {"Content-Type": content_type}, body))
    milliseconds = (time.perf_counter() - started) * 1000
    header_size = int(response.content_type.rpartition("=")[2])
    result = InferenceServerClient.parse_response_body(response.body, header_length=header_size)
    print(f"\n{photograph.name}:")
    for label, probability in zip(result.as_numpy("labels")[0], result.as_numpy("probabilities")[0], strict=True):
        print(f"  {probability:6.1%}  {label.decode()}")
    print(f"as {content_type}, {len(body):,} bytes, in {milliseconds:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
