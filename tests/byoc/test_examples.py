"""The examples and the commands in the pages work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from byoc.aws import Aws
from tests.byoc.conftest import Byoc, deploy, snapshot, write_endpoint
from tests.byoc.runtime_shim import hosting
from tests.triton import ROOT

EXAMPLES = ROOT / "examples"


PAGES = ["docs/deploy.md", "examples/classifier/README.md", "examples/picture_tenants/README.md"]


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_commands_and_options_that_exist(byoc: Byoc, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").replace("&&", "\n").splitlines()
    commands = [line.split("#")[0].split() for line in map(str.strip, lines) if line.startswith("byoc ")]
    assert {"deploy", "invoke"} <= {command[1] for command in commands}
    for _, command, *arguments in commands:
        shown = byoc.ok(command, "--help").out
        for option in (argument for argument in arguments if argument.startswith("-")):
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", shown), f"byoc {command} {option}"


@pytest.mark.usefixtures("model")
def test_deploying_from_python(
    account: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example of docs/deploy.md, with a shorter polling interval."""
    write_endpoint(tmp_path)
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/deploy.md").read_text("utf-8"), flags=re.DOTALL)
    exec(code.replace("WaitPolicy()", "WaitPolicy(interval=0.01)"), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "upload",
        "create",
        "create",
        "create",
    ]
    assert len(snapshot(account)["endpoints"]) == 1


@pytest.mark.parametrize("example", ["classifier", "picture_tenants"])
def test_examples_say_what_they_cost(example: str) -> None:
    text = (EXAMPLES / example / "README.md").read_text("utf-8")
    assert re.search(r"## What it costs\n(.|\n)*USD an hour", text)


def test_classifier_plan(account: Aws, byoc: Byoc) -> None:
    steps = byoc.ok("deploy", EXAMPLES / "classifier" / "endpoint.yaml", "--plan", "--json").json["steps"]
    assert [step["what"] for step in steps] == ["archive", "model", "endpoint configuration", "endpoint"]


def test_picture_tenants(account: Aws, byoc: Byoc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tenants of the real classifier return their own categories for the same photograph."""
    make = EXAMPLES / "picture_tenants" / "make_tenants.py"
    subprocess.run([sys.executable, make, tmp_path / "tenants"], check=True)
    keys = yaml.safe_load((EXAMPLES / "picture_tenants" / "endpoint.yaml").read_text("utf-8"))
    assert deploy(byoc, write_endpoint(tmp_path, model=None, **keys)).status == 0
    assert len(snapshot(account)["objects"]) == 2
    shared = {"SAGEMAKER_TRITON_SHARED_MODELS_DIR": str(ROOT / "model_repository")}
    with hosting(account, "picture-tenants", tmp_path / "opt-ml", shared) as hosted:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", hosted.url)
        ask = ["invoke", "picture-tenants", EXAMPLES / "photographs" / "chelsea.jpg", "--kserve", "binary",
               "--input", "image", "--target-model"]  # fmt: skip
        assert "category object[1, 1]: cat\n" in byoc.ok(*ask, "animal-shelter.tar.gz").out
        assert "category object[1, 1]: other\n" in byoc.ok(*ask, "restaurant.tar.gz").out
