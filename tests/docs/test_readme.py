"""What README.md tells to run works: each example is taken out of it and run against the real `serve`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.awsrequest import AWSRequest

from tests.serving import RunningServe, running_serve
from tests.triton import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
LOCAL = "http://localhost:8080"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServe]:
    base_dir = tmp_path_factory.mktemp("ml")
    (base_dir / "model").symlink_to(ROOT / "model_repository", target_is_directory=True)
    with running_serve(base_dir, {"SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "image_classification"}) as serve:
        yield serve


@pytest.fixture
def endpoint(classifier: RunningServe, monkeypatch: pytest.MonkeyPatch) -> RunningServe:
    """Let boto3 send what it would send to SageMaker to the container instead, as SageMaker does."""

    def pass_on(request: AWSRequest, **_: object) -> None:
        request.url = f"{classifier.url}/invocations"

    session = boto3.Session("not-a-key", "not-a-secret", region_name="eu-central-1")
    session.events.register("before-sign.sagemaker-runtime.InvokeEndpoint", pass_on)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    return classifier


def examples(language: str) -> dict[str, str]:
    """Return the code blocks of “Call it”: what the paragraph before each starts with in bold → code."""
    section = README.split("## Call it")[1].split("\n## ")[0]
    found = re.findall(r"\*\*(.*?)\*\*(?:(?!```).)*?```(\w+)\n(.*?)```", section, flags=re.DOTALL)
    return {title.strip("`. "): code for title, tongue, code in found if tongue == language}


def test_there_is_an_example_of_every_form() -> None:
    assert list(examples("sh")) == ["KServe JSON", "The bare image", "Binary+json"]
    assert list(examples("python")) == ["tritonclient", "boto3"]


@pytest.mark.parametrize(
    ("title", "label"),
    [("KServe JSON", '"Egyptian cat"'), ("The bare image", "espresso\n"), ("Binary+json", '"missile"')],
)
def test_shell_example(classifier: RunningServe, title: str, label: str) -> None:
    code = examples("sh")[title].replace(LOCAL, classifier.url)
    assert classifier.url in code
    done = subprocess.run(["bash", "-euc", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert label in done.stdout


def printed_labels(output: str) -> list[str]:
    return [line.rpartition("  ")[2] for line in output.splitlines()]


@pytest.mark.parametrize(("title", "count"), [("tritonclient", 5), ("boto3", 1)])
def test_python_example(
    endpoint: RunningServe,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    title: str,
    count: int,
) -> None:
    """Each prints the labels that `make run` is said to print. Probabilities may differ a little among processors."""
    monkeypatch.chdir(ROOT)
    exec(examples("python")[title].replace(LOCAL, endpoint.url), {})
    promised = README.split("chelsea.jpg:\n")[1].split("\n```")[0]
    assert printed_labels(capsys.readouterr().out) == printed_labels(promised)[:count]


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert named
    assert named <= targets
