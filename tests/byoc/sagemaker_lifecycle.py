"""Parts of SageMaker that deployments need and moto lacks: UpdateEndpoint, states that take time, refusals.

It acts on moto's own state. The behaviour is that of the API reference and of messages in public issues: an endpoint
is Creating, Updating or Deleting for some looks at it; then it serves, or it failed; a failed update rolls back to the
configuration before; what is in progress cannot be changed; what is in use cannot be deleted; what exists cannot be
created.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sagemaker.models import FakeEndpoint, SageMakerModelBackend, sagemaker_backends

__all__ = ["Lifecycle", "RefusedError"]


class RefusedError(Exception):
    """SageMaker refuses the call: a ValidationException with this message."""


@dataclass
class _Pending:
    """What an endpoint is about to become, after `looks` more looks at it.

    Attributes:
        looks: how many more times it is in progress.
        config: the endpoint configuration that it then has; None: it is deleted.
        retained: variants, by name, whose instance counts an update keeps.
    """

    looks: int
    config: str | None
    retained: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Lifecycle:
    """The life cycle of endpoints.

    Attributes:
        looks: how many times DescribeEndpoint tells of something in progress before it has ended.
        failures: reasons with which the next creations and updates fail, the next one first.
    """

    looks: int = 2
    failures: list[str] = field(default_factory=list)
    _pending: dict[tuple[str, str], _Pending] = field(default_factory=dict)

    def before(self, operation: str, region: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """Refuse the call, respond in place of moto, or leave it to moto (None)."""
        backend = sagemaker_backends[DEFAULT_ACCOUNT_ID][region]
        handler = getattr(self, f"_{operation}", None)
        answer: dict[str, Any] | None = handler(backend, request) if handler else None
        return answer

    def after(self, operation: str, region: str, request: dict[str, Any]) -> None:
        """Moto has made the endpoint: it is Creating."""
        if operation == "CreateEndpoint":
            endpoint = sagemaker_backends[DEFAULT_ACCOUNT_ID][region].endpoints[request["EndpointName"]]
            endpoint.endpoint_status = "Creating"
            self._begin(region, endpoint, endpoint.endpoint_config_name)

    def _begin(self, region: str, endpoint: FakeEndpoint, config: str | None) -> None:
        self._pending[region, endpoint.endpoint_name] = _Pending(self.looks, config)

    def _CreateModel(self, backend: SageMakerModelBackend, request: dict[str, Any]) -> None:  # noqa: N802
        if request["ModelName"] in backend._models:
            raise RefusedError(f"Cannot create already existing model {request['ModelName']!r}")

    def _CreateEndpointConfig(self, backend: SageMakerModelBackend, request: dict[str, Any]) -> None:  # noqa: N802
        if request["EndpointConfigName"] in backend.endpoint_configs:
            raise RefusedError(
                f"Cannot create already existing endpoint configuration {request['EndpointConfigName']!r}"
            )

    def _CreateEndpoint(self, backend: SageMakerModelBackend, request: dict[str, Any]) -> None:  # noqa: N802
        if request["EndpointName"] in backend.endpoints:
            raise RefusedError(f"Cannot create already existing endpoint {request['EndpointName']!r}")

    def _UpdateEndpoint(self, backend: SageMakerModelBackend, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        endpoint = self._at_rest(backend, request["EndpointName"])
        if endpoint.endpoint_status == "Failed":
            raise RefusedError(f"Cannot update failed endpoint {request['EndpointName']!r}")
        if request["EndpointConfigName"] not in backend.endpoint_configs:
            raise RefusedError(f"Could not find endpoint configuration {request['EndpointConfigName']!r}")
        endpoint.endpoint_status = "Updating"
        self._begin(backend.region_name, endpoint, request["EndpointConfigName"])
        if request.get("RetainAllVariantProperties"):
            retained = {variant["VariantName"]: variant for variant in endpoint.production_variants}
            self._pending[backend.region_name, endpoint.endpoint_name].retained = retained
        return {"EndpointArn": endpoint.arn}

    def _DeleteEndpoint(self, backend: SageMakerModelBackend, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        endpoint = self._at_rest(backend, request["EndpointName"])
        endpoint.endpoint_status = "Deleting"
        self._begin(backend.region_name, endpoint, None)
        return {}

    def _DeleteEndpointConfig(self, backend: SageMakerModelBackend, request: dict[str, Any]) -> None:  # noqa: N802
        name = request["EndpointConfigName"]
        pending = {one.config for one in self._pending.values()}
        if name in pending or any(one.endpoint_config_name == name for one in backend.endpoints.values()):
            raise RefusedError(f"Cannot delete endpoint configuration {name!r}: it is in use")

    def _DescribeEndpoint(self, backend: SageMakerModelBackend, request: dict[str, Any]) -> None:  # noqa: N802
        name = request["EndpointName"]
        pending = self._pending.get((backend.region_name, name))
        if pending is None or name not in backend.endpoints:
            return
        pending.looks -= 1
        if pending.looks < 0:
            del self._pending[backend.region_name, name]
            self._end(backend, backend.endpoints[name], pending)

    def _at_rest(self, backend: SageMakerModelBackend, name: str) -> FakeEndpoint:
        if name not in backend.endpoints:
            raise RefusedError(f'Could not find endpoint "{name}".')
        if (backend.region_name, name) in self._pending:
            raise RefusedError(f'Cannot update in-progress endpoint "{backend.endpoints[name].arn}".')
        endpoint: FakeEndpoint = backend.endpoints[name]
        return endpoint

    def _end(self, backend: SageMakerModelBackend, endpoint: FakeEndpoint, pending: _Pending) -> None:
        """What was in progress has ended."""
        if pending.config is None:
            del backend.endpoints[endpoint.endpoint_name]
            return
        failure = self.failures.pop(0) if self.failures else None
        created = endpoint.endpoint_status == "Creating"
        endpoint.failure_reason = failure  # type: ignore[assignment]  # moto's endpoints never fail
        endpoint.endpoint_status = "Failed" if failure and created else "InService"
        if failure is None and not created:
            endpoint.endpoint_config_name = pending.config
            variants = backend.endpoint_configs[pending.config].production_variants
            endpoint.production_variants = endpoint._process_production_variants(variants)
            _retain(endpoint, pending.retained)


def _retain(endpoint: FakeEndpoint, retained: dict[str, dict[str, Any]]) -> None:
    """Give the variants the instance counts that the update was asked to retain."""
    for variant in endpoint.production_variants:
        before = retained.get(variant["VariantName"])
        if before:
            variant["DesiredInstanceCount"] = variant["CurrentInstanceCount"] = before["DesiredInstanceCount"]
