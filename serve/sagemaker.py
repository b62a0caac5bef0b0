"""The contract between SageMaker and a container: headers, paths, media types, clocks and limits.

Imports nothing of ours. The source of each value is in brackets: [guide] SageMaker Developer Guide, [api] API Reference
and botocore's service model, [triton] the stock `sagemaker-tritonserver` image, [seen] observed on real endpoints.
"""

from __future__ import annotations

from pathlib import PurePosixPath

__all__ = [
    "ANSWER_SECONDS",
    "ASYNC_ANSWER_SECONDS",
    "BINARY_JSON",
    "BINARY_JSON_PATTERN",
    "BINARY_JSON_PREFIX",
    "CUSTOM_ATTRIBUTES",
    "DEFAULT_SAFE_PORTS",
    "EVENT_STREAM",
    "EXECUTION_PARAMETERS",
    "HEADER_PREFIX",
    "INFERENCE_ID",
    "INVOCATIONS",
    "JSON",
    "MAX_ASYNC_INLINE_BYTES",
    "MAX_ENVIRONMENT_BYTES",
    "MAX_ENVIRONMENT_ENTRIES",
    "MAX_PAYLOAD_MB",
    "METRICS",
    "MODELS",
    "MODELS_PAGE",
    "MODELS_SUBDIRECTORY",
    "MODEL_LOAD_SECONDS",
    "MODEL_SUBDIRECTORY",
    "OCTET_STREAM",
    "OPT_ML",
    "PING",
    "PING_SECONDS",
    "PORT",
    "SHARED_MEMORY_BYTES",
    "STOP_SECONDS",
    "TARGET_MODEL",
]

# Headers. HTTP compares their names without regard to case; HAProxy lower-cases them.
HEADER_PREFIX = "x-amzn-sagemaker-"  # [guide] what all of them begin with
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"  # [api] of requests and of responses
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"  # [api]
TARGET_MODEL = "X-Amzn-SageMaker-Target-Model"  # [guide] sent with loads and unloads as well [triton]

# HTTP routes of the container [guide].
PING = "/ping"
INVOCATIONS = "/invocations"
EXECUTION_PARAMETERS = "/execution-parameters"  # asked by batch transform
MODELS = "/models"  # multi-model: load and list; below it unload, describe and invoke
METRICS = "/metrics"  # [api] scraped where EnableDetailedObservability is set

# Directories of the container [guide]. A tenant's archive lies in `models/{model_name}/model`.
OPT_ML = PurePosixPath("/opt/ml")
MODEL_SUBDIRECTORY = "model"  # read-only
MODELS_SUBDIRECTORY = "models"

# Media types.
JSON = "application/json"
OCTET_STREAM = "application/octet-stream"  # what AWS's samples label KServe JSON with
EVENT_STREAM = "text/event-stream"
BINARY_JSON = "application/vnd.sagemaker-triton.binary+json"  # [triton] KServe JSON, then the tensors' bytes
BINARY_JSON_PREFIX = f"{BINARY_JSON};json-header-size="

# The size, in bytes, of the JSON before the tensors; 0 for a raw binary request. For PCRE, POSIX and Python alike.
BINARY_JSON_PATTERN = r"^application/vnd\.sagemaker-triton\.binary\+json; *json-header-size=([0-9]{1,9})$"

# Clocks, in seconds.
PING_SECONDS = 2.0  # [guide] the timeout of one `GET /ping`
STOP_SECONDS = 30  # [guide] from SIGTERM to SIGKILL
ANSWER_SECONDS = 60  # [guide] a real-time invocation; the container is not told when it is given up [seen]
ASYNC_ANSWER_SECONDS = 3600  # [api] an asynchronous invocation, at most
MODEL_LOAD_SECONDS = 360  # [guide] multi-model: one load or one unload

# Limits.
PORT = 8080  # [guide] unless SAGEMAKER_BIND_TO_PORT names another
DEFAULT_SAFE_PORTS = (21000, 21999)  # [seen] SAGEMAKER_SAFE_PORT_RANGE of single-model endpoints, inclusive
SHARED_MEMORY_BYTES = 64 * 1024 * 1024  # [seen] /dev/shm, which no setting changes
MAX_PAYLOAD_MB = 6  # [api] a real-time body; the guide's FAQ says 25
MAX_ASYNC_INLINE_BYTES = 128_000  # [api] the body within an asynchronous request; a larger one goes to S3
MAX_ENVIRONMENT_ENTRIES = 100  # [api]
MAX_ENVIRONMENT_BYTES = 1024  # [api] a variable's name, and its value
MODELS_PAGE = 100  # models on a page of `GET /models`, as Multi Model Server has it
