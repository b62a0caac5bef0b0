"""The exceptions of byoc, as one tree.

    ByocError
    ├── ConfigurationError    endpoint.yaml or an option has an invalid value
    ├── ArchiveError          a directory or file cannot become a model archive
    ├── ImageError            the container image cannot be built or used
    ├── RegistryError         the image registry rejects a request or cannot be reached
    ├── AwsError              AWS rejects a call, or cannot be reached
    │   ├── CredentialsError    no AWS credentials, or expired ones
    │   ├── RegionError         no AWS region is set, or the wrong one
    │   ├── AccessDeniedError   the caller lacks a permission
    │   └── NotFoundError       something that a call names does not exist
    ├── OwnershipError        the endpoint exists, but `byoc deploy` did not create it
    ├── DeploymentError       the endpoint failed, was rolled back, or was not ready in time
    ├── InvocationError       the endpoint returned an error
    ├── ContainerError        a container on this machine cannot start, has ended, or was not ready in time
    └── LoadError             a load generator cannot run, or one of its requests failed

`byoc` prints each as one line on stderr (`byoc: message. remedy`) and exits with status 1. Invalid options and
arguments exit with status 2.
"""

from __future__ import annotations

__all__ = [
    "AccessDeniedError",
    "ArchiveError",
    "AwsError",
    "ByocError",
    "ConfigurationError",
    "ContainerError",
    "CredentialsError",
    "DeploymentError",
    "ImageError",
    "InvocationError",
    "LoadError",
    "NotFoundError",
    "OwnershipError",
    "RegionError",
    "RegistryError",
]


class ByocError(Exception):
    """A failure that the user can act on: `message` says what is wrong and where, `remedy` what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        """Both are sentences; the final full stop is optional."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """The message, then the remedy."""
        if not self.remedy:
            return self.message
        if "\n" in self.message:
            return f"{self.message}\n{self.remedy}"
        return f"{self.message.rstrip('.')}. {self.remedy}"


class ConfigurationError(ByocError):
    """`endpoint.yaml` or an option has an invalid value."""


class ArchiveError(ByocError):
    """A directory or file cannot become a model archive."""


class ImageError(ByocError):
    """The container image cannot be built or used."""


class RegistryError(ByocError):
    """The image registry rejects a request or cannot be reached."""


class AwsError(ByocError):
    """AWS rejects a call, or cannot be reached."""


class CredentialsError(AwsError):
    """There are no AWS credentials, or they have expired."""


class RegionError(AwsError):
    """No AWS region is set, or the wrong one."""


class AccessDeniedError(AwsError):
    """The caller lacks a permission."""


class NotFoundError(AwsError):
    """Something that an AWS call names does not exist."""


class OwnershipError(ByocError):
    """The endpoint exists, but `byoc deploy` did not create it."""


class DeploymentError(ByocError):
    """The endpoint failed, was rolled back, or was not ready in time."""


class InvocationError(ByocError):
    """The endpoint returned an error."""


class ContainerError(ByocError):
    """An endpoint container on this machine cannot start, has ended, or was not ready in time."""


class LoadError(ByocError):
    """A load generator cannot run, or one of its requests failed."""
