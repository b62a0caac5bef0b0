"""AWS: the session, its clients, and what its errors mean."""

from byoc.aws.session import Aws, connect, error_code, explain

__all__ = ["Aws", "connect", "error_code", "explain"]
