"""`byoc init`, and what `byoc deploy` makes of a file that is not filled in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from byoc.aws import Aws
from byoc.endpoint.endpoint_file import load
from byoc.endpoint.specification import Specification
from byoc.endpoint.template import MARKER, marked, template, template_keys
from byoc.errors import ConfigurationError
from tests.byoc.aws_server import AwsServer
from tests.byoc.conftest import IMAGE, ROLE, Byoc, deploy

VALUES = {"endpoint": "classifier", "role": ROLE, "image": IMAGE, "model": "repository"}


@pytest.fixture
def file(byoc: Byoc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `byoc init` writes."""
    monkeypatch.chdir(tmp_path)
    byoc.ok("init")
    return tmp_path / "endpoint.yaml"


def fill_in(file: Path, *keys: str) -> None:
    text = file.read_text("utf-8")
    for key in keys:
        text = text.replace(f"\n{key}: {MARKER}\n", f"\n{key}: {VALUES[key]}\n")
    file.write_text(text, "utf-8")


def test_lists_what_it_marked(byoc: Byoc, tmp_path: Path) -> None:
    shown = byoc.ok("init", tmp_path / "other.yaml").out
    keys = re.findall(rf"^(\w+): {MARKER}$", (tmp_path / "other.yaml").read_text("utf-8"), flags=re.MULTILINE)
    assert keys == list(template_keys()) == list(VALUES)
    assert f"Replace {MARKER} in: endpoint, role, image, model. Then: byoc deploy {tmp_path}/other.yaml" in shown


def test_keeps_a_file_that_exists(file: Path, byoc: Byoc) -> None:
    file.write_text("mine")
    refused = byoc("init")
    assert (refused.status, "endpoint.yaml exists. Edit it" in refused.err) == (1, True)
    assert file.read_text() == "mine"


def test_filled_in_it_can_be_deployed(account: Aws, byoc: Byoc, model: Path, file: Path) -> None:
    fill_in(file, *VALUES)
    result = deploy(byoc, file, "--instance-type", "ml.m5.large")  # the emulator does not know ml.g5.xlarge
    assert "classifier is InService" in result.out, result.err


@pytest.mark.parametrize("key", VALUES)
def test_each_marked_key_must_be_filled_in(
    account: Aws, server: AwsServer, byoc: Byoc, model: Path, file: Path, key: str
) -> None:
    """Before any call of AWS, with the key and the remedy in one line."""
    fill_in(file, *(VALUES.keys() - {key}))
    for arguments in ([], ["--plan"]):
        result = byoc("deploy", file, *arguments)
        assert (result.status, len(result.err.splitlines())) == (1, 1)
        meaning = Specification.model_fields[key].description
        assert meaning
        assert re.search(rf"endpoint\.yaml:\d+: {key}: replace {MARKER}. {re.escape(meaning)}", result.err), result.err
    assert server.calls == []
    byoc.ok("deploy", file, "--plan", f"--{key}", model if key == "model" else VALUES[key])


def test_every_other_key_has_a_value_that_works_or_is_optional() -> None:
    """So the marked keys are exactly those that must be changed."""
    keys = set(yaml.safe_load(template()))
    required = {name for name, field in Specification.model_fields.items() if field.is_required()}
    assert required <= set(template_keys())
    assert keys - set(template_keys()) == {"instance_type", "instance_count"}


def test_all_marked_keys_are_reported_at_once(file: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(file)
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == list(VALUES)


def test_a_marker_anywhere_is_found(file: Path) -> None:
    document = {"variants": [{"name": "a", "model": f"./{MARKER}"}], "tags": {"team": MARKER}, "role": "x"}
    assert list(marked(document)) == [("variants", 0, "model"), ("tags", "team")]
    with pytest.raises(ConfigurationError, match=rf"^--role: replace {MARKER}"):
        load(None, {"role": MARKER})


def test_comments_are_keys(file: Path) -> None:
    """Uncommented, the file is still valid."""
    fill_in(file, *VALUES)
    commented = re.sub(r"^# (?=( *- )?[a-z_]+:|  )", "", file.read_text("utf-8"), flags=re.MULTILINE)
    without_many = re.sub(r"^model(s|_cache): .*\n", "", commented, flags=re.MULTILINE)
    file.write_text(without_many, "utf-8")
    everything = load(file)
    keys = set(yaml.safe_load(without_many))
    assert {"variants", "async_inference", "data_capture", "vpc", "tags", "upload_to", "environment"} <= keys
    assert [variant.weight for variant in everything.resolved()] == [9, 1]
