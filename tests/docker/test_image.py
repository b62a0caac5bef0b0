"""The built image: labels, layers, what is in it and what is not; and how it is built."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from docker import DockerClient

from byoc.errors import ConfigurationError, ImageError
from byoc.image import build_context, builder, engine
from byoc.image.built_image import BuiltImage
from tests.docker.conftest import Byoc
from tests.docker.container import run_to_end
from tests.triton import ROOT

# The first test that runs has the image built.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

MEGABYTE = 1_000_000


def test_labels(client: DockerClient, built: BuiltImage, cpu_base: str) -> None:
    labels = client.images.get(built.tag).labels
    assert labels["com.amazonaws.sagemaker.capabilities.multi-models"] == "true"
    assert labels["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"
    assert labels["org.opencontainers.image.title"] == "triton-byoc"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.base.name"] == cpu_base
    assert labels["org.opencontainers.image.version"]


def test_configuration(client: DockerClient, built: BuiltImage) -> None:
    config = client.images.get(built.tag).attrs["Config"]
    assert config["Cmd"] == ["serve"]
    assert len(config["Entrypoint"]) == 1, "exec form: a shell form would be /bin/sh -c"
    assert list(config["ExposedPorts"]) == ["8080/tcp"]
    assert config["Healthcheck"]["Test"][0] == "CMD"


def test_size_on_top_of_the_base(client: DockerClient, built: BuiltImage, cpu_base: str) -> None:
    """Under 150 MB, without DALI, the base and model weights, measured from Docker's layers."""
    assert built.models_size > 10 * MEGABYTE
    assert built.added_size - built.models_size < 150 * MEGABYTE
    sizes = [client.images.get(name).attrs["Size"] for name in (built.tag, cpu_base)]
    assert built.added_size == pytest.approx(sizes[0] - sizes[1], rel=0.01)
    assert "haproxy" in built.added[0].instruction


def test_packages_of_the_base_are_left_alone(client: DockerClient, built: BuiltImage, cpu_base: str) -> None:
    """The CPU base has the packages of the shared models: none is added or replaced."""
    find = ["find", "/", "-xdev", "-name", "tokenizers*", "-printf", "%p %T@\n"]
    found = run_to_end(client, built.tag, *find)
    assert "dist-packages/tokenizers " in found.output
    assert found == run_to_end(client, cpu_base, *find)


def test_no_leftovers(client: DockerClient, built: BuiltImage) -> None:
    """No package lists, no installers, no tests, and no bytecode but that of `serve`'s virtual environment."""
    find = (
        "find / -xdev ( -path /var/lib/apt/lists/*_Packages* -o -path /var/cache/apt/*.bin -o -name *.whl "
        "-o -path /opt/serve/*/tests -o -path /opt/serve/*/pip -o -path /opt/m*/__pycache__ "
        "-o -path /opt/python*/__pycache__ -o -path /opt/t*/__pycache__ -o -name .mypy_cache )"
    )
    assert run_to_end(client, built.tag, *find.split()).output == ""


def test_pipeline_is_serialised_in_the_image(client: DockerClient, built: BuiltImage) -> None:
    assert not (ROOT / "build" / "image" / "model_repository" / "image_decode" / "1" / "model.dali").exists()
    listing = run_to_end(client, built.tag, "stat", "--format=%s", "/opt/model_repository/image_decode/1/model.dali")
    assert listing.status == 0
    assert int(listing.output) > 0


def test_build_again(client: DockerClient, built: BuiltImage, cpu_base: str, tmp_path: Path) -> None:
    """The same code gives the same image. A change of the code rebuilds only the last layer.

    That is why it takes seconds: packages, system and models come out of the cache. A layer's digest has the times of
    its files in it, so that one that was made again has another.
    """
    source, tag = checkout_copy(tmp_path), "triton-byoc:test-again"
    first = builder.build(source, cpu_base, tag)
    layers = digests(client, tag)
    assert builder.build(source, cpu_base, tag).id == first.id
    (source / "serve" / "changed.py").write_text(f"CHANGE = {time.time()}\n")
    assert builder.build(source, cpu_base, tag).id != first.id
    assert digests(client, tag)[:-1] == layers[:-1]
    assert digests(client, tag)[-1] != layers[-1]


def digests(client: DockerClient, tag: str) -> list[str]:
    """The digests of an image's layers, the oldest first."""
    return list(client.images.get(tag).attrs["RootFS"]["Layers"])


@pytest.fixture(scope="module")
def buildkit_cli() -> str:
    """A `docker` that builds with BuildKit: one with buildx, or of the releases that had it built in."""
    for directory in os.get_exec_path():
        cli = shutil.which("docker", path=directory)
        if cli and (
            succeeds(cli, "buildx", "version") or b"version 20." in subprocess.check_output([cli, "--version"])
        ):
            return cli
    pytest.skip("no docker command on PATH builds with BuildKit (.ci/engine installs one)")


def succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_builds_with_buildkit(client: DockerClient, built: BuiltImage, cpu_base: str, buildkit_cli: str) -> None:
    context, tag = builder.stage(ROOT, cpu_base), "triton-byoc:test-buildkit"
    command = [buildkit_cli, "build", "--quiet", "--build-arg", f"BASE_IMAGE={cpu_base}", "--tag", tag, str(context)]
    subprocess.run(command, check=True, env={**os.environ, "DOCKER_BUILDKIT": "1"})
    classic, buildkit = (client.images.get(name).attrs["Config"] for name in (built.tag, tag))
    for key in ("Cmd", "Entrypoint", "Env", "ExposedPorts", "WorkingDir", "Healthcheck"):
        assert buildkit[key] == classic[key], key
    assert run_to_end(client, tag, "serve").status == 2  # it runs, and misses a model


def test_base_image_without_triton(client: DockerClient, cpu_base: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {cpu_base}\nRUN rm -r /opt/tritonserver/bin\n")
    client.images.build(path=str(tmp_path), tag="triton-byoc:test-no-triton", rm=True)
    with pytest.raises(
        ImageError, match=r"has no /opt/tritonserver/bin/tritonserver. Use a sagemaker-tritonserver image"
    ):
        builder.build(ROOT, "triton-byoc:test-no-triton", "triton-byoc:test-never")


def test_base_image_without_python(client: DockerClient) -> None:
    before = {container.id for container in client.containers.list(all=True)}
    with pytest.raises(ImageError, match=r"debian:bookworm-slim cannot run python3"):
        builder.build(ROOT, builder.DEBIAN, "triton-byoc:test-never")
    assert {container.id for container in client.containers.list(all=True)} == before


def test_base_image_that_cannot_be_pulled(client: DockerClient) -> None:
    with pytest.raises(ImageError, match=r"pulling 127\.0\.0\.1:9/nothing:1: .*refused"):
        builder.build(ROOT, "127.0.0.1:9/nothing:1", "triton-byoc:test-never")


def test_failing_step_is_shown(client: DockerClient, cpu_base: str, tmp_path: Path) -> None:
    source = checkout_copy(tmp_path)
    with (source / "docker" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write("RUN echo the reason >&2; exit 3\n")
    with pytest.raises(ImageError, match=r"(?s)failed at Step \d+/\d+ : RUN echo the reason.*the reason.*code: 3"):
        builder.build(source, cpu_base, "triton-byoc:test-never")


def test_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no docker/Dockerfile"):
        build_context.checkout(tmp_path)


def test_model_that_is_not_built(cpu_base: str, tmp_path: Path) -> None:
    source = checkout_copy(tmp_path)
    shutil.rmtree(source / "model_repository" / "image_decode" / "1")
    with pytest.raises(ImageError, match=r"image_decode: the model is not built. Run `make models`"):
        builder.build(source, cpu_base, "triton-byoc:test-never")


def test_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with (
        pytest.raises(ImageError, match=r"The Docker engine cannot be reached: .* Start Docker, or set DOCKER_HOST"),
        engine.connected(),
    ):
        pass


def test_command_prints_both_sizes(cpu_base: str, byoc: Byoc) -> None:
    """With the models and without: the sums of the layers, in MB."""
    ended = byoc("build", "--source", str(ROOT), "--base", cpu_base, "--tag", "triton-byoc:test-command")
    found = re.search(
        r"adds ([\d.]+) MB to \S+: models ([\d.]+) MB, the rest ([\d.]+) MB \(limit: 150 MB\)", ended.stdout
    )
    assert found, ended.stdout
    total, models, rest = map(float, found.groups())
    assert total == pytest.approx(models + rest, abs=0.2)
    layers = re.findall(r"^ *([\d.]+) MB  (.*)", ended.stderr, re.MULTILINE)
    assert total == pytest.approx(sum(float(size) for size, _ in layers), abs=0.1 * len(layers))
    assert [float(size) for size, instruction in layers if "/opt/model_repository/" in instruction] == [models]
    assert re.search(r"^Staged and built in [\d.]+ s$", ended.stderr, re.MULTILINE)


def test_command_prints_what_is_added(cpu_base: str, byoc: Byoc) -> None:
    ended = byoc("build", "--source", str(ROOT), "--base", cpu_base, "--tag", "triton-byoc:test-command", "--json")
    assert ended.status == 0, ended.stderr
    printed = json.loads(ended.stdout)
    assert printed["tag"] == "triton-byoc:test-command"
    assert printed["added_size"] == sum(layer["size"] for layer in printed["added"]) > 0


def test_command_stages_a_context(cpu_base: str, byoc: Byoc, tmp_path: Path) -> None:
    """`--stage` prints the command that builds the staged context."""
    context = tmp_path / "context"
    shutil.copytree(ROOT / "build" / "image", context)  # the wheels that were downloaded already
    ended = byoc("build", "--source", str(ROOT), "--base", cpu_base, "--stage", str(context), "--tag", "x:y")
    assert ended.stdout == f"docker build --build-arg BASE_IMAGE={cpu_base} --tag x:y {context}\n"
    assert (context / "Dockerfile").read_bytes() == (ROOT / "docker" / "Dockerfile").read_bytes()
    assert len(list((context / "dist").glob("*.whl"))) == 1


def test_command_takes_one_base(byoc: Byoc) -> None:
    ended = byoc("build", "--base", "some:image", "--cpu")
    assert (ended.status, ended.stdout) == (1, "")
    assert "--base some:image: --cpu names a base image too. Pass one of the two." in ended.stderr


def checkout_copy(directory: Path) -> Path:
    """A copy of what images are built from, with the wheels that were downloaded already."""
    source = directory / "checkout"
    source.mkdir()
    for name in ("byoc", "docker", "model_repository", "python_backend_models", "requirements", "serve", "build/image"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, source)
    return source
