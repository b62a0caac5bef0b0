"""What can go wrong, as one tree.

    ByocError
    ├── ConfigurationError    endpoint.yaml or an option holds a value that cannot be right
    ├── ArchiveError          a directory or an archive cannot become a model archive
    ├── ImageError            the container image cannot be built, or is not what it should be
    ├── RegistryError         the image registry refuses or does not answer
    ├── AwsError              AWS refuses a call, or cannot be reached
    │   ├── CredentialsError    no credentials, or credentials that have run out
    │   ├── RegionError         no region, or one that does not fit
    │   ├── AccessDeniedError   the caller may not do that
    │   └── NotFoundError       what the call names does not exist
    ├── OwnershipError        the endpoint exists and was not made by `byoc deploy`
    ├── DeploymentError       the endpoint failed, was rolled back, or did not get ready in time
    ├── InvocationError       the endpoint answered a request with an error
    ├── ContainerError        an endpoint container on this machine cannot start, ended, or is not ready in time
    └── LoadError             a load generator cannot run, or a request of it was not answered with success

Each is shown as one line on stderr (`byoc: message. remedy`) and ends the program with status 1. Wrong options and
arguments end it with status 2.
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
    """A failure the user can act on: `message` says what is wrong and where, `remedy` what to do about it."""

    def __init__(self, message: str, remedy: str = "") -> None:
        """Take both as sentences; the last full stop may be left out."""
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
    """`endpoint.yaml`, or an option that stands for a key of it, holds a value that cannot be right."""


class ArchiveError(ByocError):
    """A directory or an archive cannot become a model archive."""


class ImageError(ByocError):
    """The container image cannot be built, or is not what it should be."""


class RegistryError(ByocError):
    """The image registry refuses or does not answer."""


class AwsError(ByocError):
    """AWS refuses a call, or cannot be reached."""


class CredentialsError(AwsError):
    """There are no AWS credentials, or they have run out."""


class RegionError(AwsError):
    """No AWS region is set, or one that does not fit."""


class AccessDeniedError(AwsError):
    """The caller may not do what was asked for."""


class NotFoundError(AwsError):
    """What an AWS call names does not exist."""


class OwnershipError(ByocError):
    """The endpoint exists and was not made by `byoc deploy`."""


class DeploymentError(ByocError):
    """The endpoint failed, was rolled back, or did not get ready in time."""


class InvocationError(ByocError):
    """The endpoint answered a request with an error."""


class ContainerError(ByocError):
    """An endpoint container on this machine cannot start, ended, or is not ready in time."""


class LoadError(ByocError):
    """A load generator cannot run, or a request of it was not answered with success."""
