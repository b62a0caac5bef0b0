"""Maps HTTP requests to AWS operations, and writes errors in each AWS protocol."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

__all__ = ["Call", "identify", "refusal"]

# How a request of S3 tells what it wants: method, whether it names an object, a key of the query.
_S3 = (
    ("HEAD", True, None, "HeadObject"),
    ("HEAD", False, None, "HeadBucket"),
    ("GET", True, None, "GetObject"),
    ("GET", False, "uploads", "ListMultipartUploads"),
    ("GET", False, "list-type", "ListObjectsV2"),
    ("GET", False, None, "ListBuckets"),
    ("PUT", True, "partNumber", "UploadPart"),
    ("PUT", True, None, "PutObject"),
    ("PUT", False, None, "CreateBucket"),
    ("POST", True, "uploads", "CreateMultipartUpload"),
    ("POST", True, "uploadId", "CompleteMultipartUpload"),
    ("POST", False, "delete", "DeleteObjects"),
    ("DELETE", True, "uploadId", "AbortMultipartUpload"),
)

# How a request of SageMaker's runtime does: the last part of its path.
_RUNTIME = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}


@dataclass(frozen=True)
class Call:
    """One call: the service as requests are signed for it, the operation, the region it is signed for."""

    service: str
    operation: str
    region: str

    def __str__(self) -> str:
        """The call as IAM names the action: the operation's name, except for S3."""
        return f"{self.service}:{self.operation}"


def identify(environ: dict[str, Any], body: bytes) -> Call | None:
    """Return the call of a signed request; None for moto's own requests."""
    scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
    if not scope:
        return None
    region, service = scope.groups()
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return Call(service, target.rpartition(".")[2], region)
    if service == "s3":
        return Call(service, _s3_operation(environ), region)
    if environ["PATH_INFO"].startswith("/endpoints/"):
        return Call(service, _RUNTIME[environ["PATH_INFO"].rpartition("/")[2]], region)
    form = parse_qs(body.decode("latin-1"))
    return Call(service, form.get("Action", ["?"])[0], region)


def _s3_operation(environ: dict[str, Any]) -> str:
    names_object = environ["PATH_INFO"].strip("/").count("/") > 0
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    for method, of_object, key, operation in _S3:
        if method == environ["REQUEST_METHOD"] and of_object == names_object and (key is None or key in query):
            return operation
    raise NotImplementedError(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ.get('QUERY_STRING')}")


def refusal(call: Call, code: str, message: str) -> tuple[str, bytes]:
    """Return content type and body of an error response of the call's service."""
    if call.service == "s3":
        return "application/xml", f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    if call.service in ("iam", "sts"):
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        return "text/xml", f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>".encode()
    return "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message}).encode()
