"""AWS: the session and its clients, what its errors mean, and helpers for S3 and ECR."""

from byoc.aws.errors import error_code, explain
from byoc.aws.session import Aws, connect

__all__ = ["Aws", "connect", "error_code", "explain"]
