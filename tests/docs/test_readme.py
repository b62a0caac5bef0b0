"""The examples of README.md run against the real `serve`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import boto3
import pytest
from botocore.awsrequest import AWSRequest

from tests.docs.examples import LOCAL, examples, page, printed_labels, promised_labels, section
from tests.serving import RunningServe
from tests.triton import ROOT

README = page("README.md")
CALLS = section(README, "Call it")


@pytest.fixture
def endpoint(classifier: RunningServe, monkeypatch: pytest.MonkeyPatch) -> RunningServe:
    """Redirect boto3's requests from SageMaker to the container."""

    def pass_on(request: AWSRequest, **_: object) -> None:
        request.url = f"{classifier.url}/invocations"

    session = boto3.Session("not-a-key", "not-a-secret", region_name="eu-central-1")
    session.events.register("before-sign.sagemaker-runtime.InvokeEndpoint", pass_on)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    return classifier


def test_there_is_an_example_in_each_language() -> None:
    assert list(examples(CALLS, "sh")) == ["KServe JSON"]
    assert list(examples(CALLS, "python")) == ["boto3"]


def test_shell_example(classifier: RunningServe) -> None:
    code = examples(CALLS, "sh")["KServe JSON"].replace(LOCAL, classifier.url)
    assert classifier.url in code
    done = subprocess.run(["bash", "-euc", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"Egyptian cat"' in done.stdout


@pytest.mark.usefixtures("endpoint")
def test_python_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    exec(examples(CALLS, "python")["boto3"], {})
    assert printed_labels(capsys.readouterr().out) == promised_labels()[:1]


@pytest.mark.parametrize(
    "file",
    [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*/*.md"))],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_links_between_pages_lead_somewhere(file: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)", file.read_text(encoding="utf-8"))
    missing = [link for link in links if not leads_somewhere((file.parent / link[0]) if link[0] else file, link[1])]
    assert missing == []


def leads_somewhere(target: Path, anchor: str) -> bool:
    return target.exists() and (not anchor or anchor in anchors(target.read_text(encoding="utf-8")))


def anchors(text: str) -> set[str]:
    """Return what GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert named
    assert named <= targets
