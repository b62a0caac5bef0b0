"""Multi-model endpoints, one behind HAProxy and one behind the app alone, for the whole session."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serve.multi_model.archives import Model, write_archive
from tests.serve.multi_model.endpoint import Endpoint
from tests.serve.multi_model.kills import kept_apart
from tests.serving import running_serve

SHARED = Path(__file__).parents[1] / "models"

WriteArchive = Callable[..., Path]


def write_shared_models(directory: Path) -> Path:
    """Write the models that the image shares: `probe`, and `broken`, which does not load."""
    for name in ("probe", "broken"):
        config, code = ((SHARED / f"{name}.{ending}").read_text() for ending in ("pbtxt", "py"))
        Model(config, {"1/model.py": code}).write(directory / name)
    return directory


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the log of the endpoint that a failed test has used."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        endpoints = [value for value in item.funcargs.values() if isinstance(value, Endpoint)]
        report.sections += [(f"log of serve on port {each.serve.port}", each.serve.last_output()) for each in endpoints]
    return report


@pytest.fixture(autouse=True)
def _no_kill_of_another_test(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """A test whose processes the kernel kills runs alone among all workers of pytest-xdist."""
    with kept_apart(tmp_path_factory.getbasetemp().parent, alone="confined" in request.fixturenames):
        yield


@contextmanager
def running_endpoint(
    directory: Path, environment: Mapping[str, str] | None = None, *, haproxy: bool = True
) -> Iterator[Endpoint]:
    """Run a multi-model endpoint of its own below a directory."""
    models_dir = directory / "models"
    models_dir.mkdir()
    settings = {
        "SAGEMAKER_MULTI_MODEL": "true",
        "SAGEMAKER_TRITON_SHARED_MODELS_DIR": str(write_shared_models(directory / "shared")),
        **(environment or {}),
    }
    with running_serve(directory, settings, haproxy=haproxy) as serve:
        yield Endpoint(serve, models_dir)


@pytest.fixture(scope="session")
def endpoint_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running_endpoint(tmp_path_factory.mktemp("multi")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def endpoint_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with running_endpoint(tmp_path_factory.mktemp("multi"), haproxy=False) as endpoint:
        yield endpoint


@pytest.fixture
def gateway(endpoint_gateway: Endpoint) -> Iterator[Endpoint]:
    """The endpoint behind HAProxy."""
    yield from without_tenants(endpoint_gateway)


@pytest.fixture(params=["gateway", "app"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    """The endpoint behind HAProxy, and the one behind the app alone."""
    running: Endpoint = request.getfixturevalue(f"endpoint_{request.param}")
    yield from without_tenants(running)


def without_tenants(endpoint: Endpoint) -> Iterator[Endpoint]:
    """Give an endpoint to a test, and then unload its tenants: nothing may be left."""
    try:
        yield endpoint
    finally:
        statuses = [endpoint.unload(name).status for name in endpoint.names()]
        assert set(statuses) <= {200}
        shutil.rmtree(endpoint.models_dir)
        endpoint.models_dir.mkdir()
    assert endpoint.left() == {}


@pytest.fixture
def archive(request: pytest.FixtureRequest) -> WriteArchive:
    """Returns a function: name of a directory, models → the archive of the endpoint in use."""
    fixture = "endpoint" if "endpoint" in request.fixturenames else "gateway"
    running: Endpoint = request.getfixturevalue(fixture)
    return lambda name, models: write_archive(running.models_dir / name / "model", models)
