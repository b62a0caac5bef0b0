"""SageMaker's runtime API in front of a running `serve`, which moto lacks.

A deployed endpoint is looked up in the emulated account, its model fetched from the emulated S3 and laid out as
SageMaker does, `serve` started on it with the container's environment, and each invocation passed on. Nothing else of
SageMaker is emulated: no routing by weight, no eviction, no limits.

    POST /endpoints/NAME/invocations                    → /invocations; with a target model /models/HASH/invoke
    POST /endpoints/NAME/invocations-response-stream    → the same, each chunk as an event of an event stream
    POST /endpoints/NAME/async-invocations              → the same, the answer put into S3
"""

from __future__ import annotations

import hashlib
import json
import struct
import tarfile
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from byoc.aws import Aws
from byoc.aws.s3 import split_uri
from tests.serving import running_serve

__all__ = ["Hosted", "as_process", "hosting"]

PREFIX = "X-Amzn-SageMaker-"
PASSED_ON = ("Content-Type", "Accept", f"{PREFIX}Custom-Attributes", f"{PREFIX}Target-Model", f"{PREFIX}Inference-Id")


@dataclass
class Hosted:
    """An endpoint whose container runs.

    Attributes:
        name: the endpoint's name.
        url: what AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME has to be.
        container_url: where the container answers.
        container_base: what the container calls `directory`.
        aws: the emulated account.
        config: its endpoint configuration.
        container: the primary container of its only variant.
        directory: stands for `/opt/ml`.
        not_ready: with how many requests SageMaker says that the model is not ready, before it passes one on.
        passed_on: headers of the requests that were passed on.
    """

    name: str
    url: str
    container_url: str
    container_base: str
    aws: Aws
    config: Mapping[str, Any]
    container: Mapping[str, Any]
    directory: Path
    not_ready: int = 0
    passed_on: list[Mapping[str, str]] = field(default_factory=list)
    _loaded: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def pass_on(self, headers: Mapping[str, str], body: bytes) -> requests.Response:
        """The container's answer; with a target model, which is loaded first if it is not."""
        self.passed_on.append(headers)
        target = headers.get(f"{PREFIX}Target-Model")
        path = f"/models/{self._load(target)}/invoke" if target else "/invocations"
        kept = {name: headers[name] for name in PASSED_ON if name in headers}
        return requests.post(f"{self.container_url}{path}", body, headers=kept, stream=True, timeout=60)

    def _load(self, target: str) -> str:
        name = hashlib.sha256(target.encode()).hexdigest()
        with self._lock:
            if name not in self._loaded:
                model = self.directory / "models" / name / "model"
                fetch(self.aws, f"{self.container['ModelDataUrl']}{target}", model)
                answer = requests.post(
                    f"{self.container_url}/models",
                    json={"model_name": name, "url": f"{self.container_base}/models/{name}/model"},
                    headers={f"{PREFIX}Target-Model": target},
                    timeout=60,
                )
                assert answer.status_code == 200, answer.text
                self._loaded.add(name)
        return name


def fetch(aws: Aws, url: str, directory: Path) -> None:
    """Extract the archive at an S3 address."""
    bucket, key = split_uri(url)
    directory.mkdir(parents=True)
    archive = directory.parent / "model.tar.gz"
    aws.s3.download_file(bucket, key, str(archive))
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")


# Runs a container with a directory for `/opt/ml` and an environment: its URL, and what it calls the directory.
Runner = Callable[[Path, Mapping[str, str]], AbstractContextManager[tuple[str, str]]]


@contextmanager
def as_process(directory: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Run `serve` as a process of this machine."""
    with running_serve(directory, environment) as serve:
        yield serve.url, str(directory)


@contextmanager
def hosting(
    aws: Aws,
    endpoint: str,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    run: Runner = as_process,
) -> Iterator[Hosted]:
    """Run the container of a deployed endpoint, and its runtime API, while the block runs."""
    described = aws.sagemaker.describe_endpoint(EndpointName=endpoint)
    config: Any = aws.sagemaker.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
    [variant] = config["ProductionVariants"]
    container: Any = aws.sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]
    multi = container.get("Mode") == "MultiModel"
    if multi:
        (directory / "models").mkdir(parents=True)
    else:
        fetch(aws, container["ModelDataUrl"], directory / "model")
    settings = {**container.get("Environment", {}), **({"SAGEMAKER_MULTI_MODEL": "true"} if multi else {})}
    with run(directory, {**settings, **(environment or {})}) as (container_url, base):
        hosted = Hosted(endpoint, "", container_url, base, aws, config, container, directory)
        with ThreadingHTTPServer(("127.0.0.1", 0), _handler(hosted)) as server:
            hosted.url = f"http://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield hosted
            finally:
                server.shutdown()
                thread.join()


def _handler(hosted: Hosted) -> type[BaseHTTPRequestHandler]:
    class Runtime(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            _, _, endpoint, action = self.path.split("/")
            if endpoint != hosted.name:
                self.refuse(400, "ValidationError", {"Message": f"Endpoint {endpoint} of account 1 not found."})
            elif hosted.not_ready:
                hosted.not_ready -= 1
                self.refuse(429, "ModelNotReadyException", {"Message": "Model is not ready"})
            elif hosted.container.get("Mode") == "MultiModel" and f"{PREFIX}Target-Model" not in self.headers:
                self.refuse(400, "ValidationError", {"Message": "Request 1 is missing a target model header"})
            else:
                {
                    "invocations": self.invoke,
                    "invocations-response-stream": self.stream,
                    "async-invocations": self.queue,
                }[action](body)

        def invoke(self, body: bytes) -> None:
            with hosted.pass_on(dict(self.headers), body) as answer:
                if answer.status_code >= 400:
                    self.model_error(answer)
                    return
                attributes = answer.headers.get(f"{PREFIX}Custom-Attributes", "")
                headers = {"x-Amzn-Invoked-Production-Variant": "AllTraffic", f"{PREFIX}Custom-Attributes": attributes}
                self.respond(200, answer.headers["Content-Type"], answer.content, headers)

        def stream(self, body: bytes) -> None:
            accept = {"Accept": self.headers[f"{PREFIX}Accept"]} if f"{PREFIX}Accept" in self.headers else {}
            with hosted.pass_on({**self.headers, **accept}, body) as answer:
                if answer.status_code >= 400:
                    self.model_error(answer)
                    return
                self.send_response(200)
                self.send_header(f"{PREFIX}Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Type", "application/vnd.amazon.eventstream")
                self.send_header("Connection", "close")
                self.end_headers()
                for chunk in answer.iter_content(chunk_size=None):
                    self.wfile.write(_payload_part(chunk))
                    self.wfile.flush()
                self.close_connection = True

        def queue(self, body: bytes) -> None:
            """Answered before the work is done, as it is there; the work is done when the connection is at rest."""
            identity = uuid.uuid4()
            output = hosted.config["AsyncInferenceConfig"]["OutputConfig"]
            locations = [f"{output[key]}/{identity}.out" for key in ("S3OutputPath", "S3FailurePath")]
            names = (f"{PREFIX}OutputLocation", f"{PREFIX}FailureLocation")
            inference_id = json.dumps({"InferenceId": self.headers.get(f"{PREFIX}Inference-Id")}).encode()
            self.respond(202, "application/json", inference_id, dict(zip(names, locations, strict=True)))
            bucket, key = split_uri(self.headers.get(f"{PREFIX}InputLocation", ""))
            content = hosted.aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read() if bucket else body
            headers = {"Content-Type": self.headers[f"{PREFIX}Content-Type"]}
            with hosted.pass_on(headers, content) as answer:
                bucket, key = split_uri(locations[answer.status_code >= 400])
                hosted.aws.s3.put_object(
                    Bucket=bucket, Key=key, Body=answer.content, ContentType=answer.headers["Content-Type"]
                )

        def model_error(self, answer: requests.Response) -> None:
            status, text = answer.status_code, answer.text
            side = "server" if status >= 500 else "client"
            message = f'Received {side} error ({status}) from primary with message "{text}"'
            error = {"Message": message, "OriginalMessage": text, "OriginalStatusCode": status}
            self.refuse(424, "ModelError", {**error, "LogStreamArn": "arn:aws:logs:x"})

        def refuse(self, status: int, code: str, error: dict[str, Any]) -> None:
            self.respond(status, "application/json", json.dumps(error).encode(), {"x-amzn-ErrorType": code})

        def respond(self, status: int, content_type: str, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing: a failing test shows the response."""

    return Runtime


def _payload_part(payload: bytes) -> bytes:
    """A message of AWS's event stream encoding."""
    fields = {":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"}
    headers = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value)) + value.encode()
        for name, value in fields.items()
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))
