"""The keys of `endpoint.yaml`, and the resources that they describe."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byoc.deployment.inputs import ModelData
from byoc.deployment.resources import Desired, desired, is_resource_name
from byoc.endpoint.endpoint_file import load
from byoc.endpoint.specification import Specification
from byoc.errors import ConfigurationError
from tests.byoc.conftest import IMAGE, write_endpoint

BASE = {"endpoint": "e", "role": "r", "image": IMAGE, "model": "m", "instance_type": "ml.m5.large"}


def resources(keys: dict[str, object], image: str = "image@1", **data: str) -> Desired:
    spec = Specification.model_validate(BASE | keys)
    names = [variant.name for variant in spec.resolved()]
    model_data = ModelData("s3://b/k/model.tar.gz", fingerprint=data.get("fingerprint", ""))
    return desired(spec, "arn:role", dict.fromkeys(names, image), dict.fromkeys(names, model_data), "b/k/")


def test_a_variant_takes_what_it_does_not_say_from_the_top() -> None:
    spec = Specification.model_validate(
        BASE
        | {
            "environment": {"A": "1", "B": "1"},
            "instance_count": 2,
            "variants": [
                {"name": "plain"},
                {"name": "own", "models": "tenants", "environment": {"B": "2"}, "instance_count": 1},
            ],
        }
    )
    plain, own = spec.resolved()
    assert (plain.model, plain.models, plain.instance_count, plain.environment) == ("m", None, 2, {"A": "1", "B": "1"})
    assert (own.model, own.models, own.instance_count, own.environment) == (None, "tenants", 1, {"A": "1", "B": "2"})


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    file = write_endpoint(tmp_path / "sub", variants=[{"name": "a", "model": "../other"}])
    monkeypatch.chdir(tmp_path)
    spec = load(Path("sub") / file.name)
    assert (spec.model, spec.resolved()[0].model) == (f"{tmp_path}/sub/repository", f"{tmp_path}/other")
    assert load(file, {"model": "here"}).model == f"{tmp_path}/here"


def test_an_option_for_one_model_takes_the_place_of_many(tmp_path: Path) -> None:
    spec = load(write_endpoint(tmp_path, model=None, models="tenants"), {"model": "s3://bucket/model.tar.gz"})
    assert (spec.model, spec.models) == ("s3://bucket/model.tar.gz", None)


@pytest.mark.parametrize(
    "change",
    [
        {"environment": {"A": "1"}},
        {"enable_network_isolation": True},
        {"vpc": {"security_group_ids": ["sg-1"], "subnets": ["subnet-1"]}},
    ],
)
def test_what_a_model_consists_of_is_in_its_name(change: dict[str, object]) -> None:
    before, after = resources({}), resources(change)
    assert before.model_names != after.model_names
    assert before.config_name != after.config_name


@pytest.mark.parametrize(
    "change",
    [
        {"instance_type": "ml.m5.xlarge"},
        {"instance_count": 2},
        {"volume_size_in_gb": 20},
        {"kms_key_id": "k"},
        {"async_inference": {"output": "s3://bucket/out"}},
        {"data_capture": {"destination": "s3://bucket/record"}},
        {"container_startup_health_check_timeout_in_seconds": 100},
    ],
)
def test_what_an_endpoint_consists_of_is_in_its_configurations_name(change: dict[str, object]) -> None:
    before, after = resources({}), resources(change)
    assert before.model_names == after.model_names
    assert before.config_name != after.config_name


def test_other_content_is_another_name() -> None:
    made = [resources({}), resources({}, image="image@2"), resources({}, fingerprint="2")]
    names = {one.model_names for one in made}
    assert len(names) == 3
    assert resources({"tags": {"a": "b"}}).model_names in names


def test_variants_of_one_content_share_a_model() -> None:
    both = resources({"variants": [{"name": "a"}, {"name": "b", "instance_type": "ml.m5.xlarge"}]})
    assert len(both.models) == 1
    assert len(both.config["ProductionVariants"]) == 2


@given(st.from_regex(r"[a-zA-Z0-9](-?[a-zA-Z0-9]){0,24}", fullmatch=True))
def test_names_fit_sagemaker_and_are_known_again(endpoint: str) -> None:
    made = resources({"endpoint": endpoint})
    for name in (made.config_name, *made.model_names):
        assert len(name) <= 63
        assert is_resource_name(endpoint, name)
        assert not is_resource_name(f"{endpoint}-x", name)
        assert not is_resource_name(endpoint[:-1] or "other", name)


@settings(deadline=None)  # other tests keep the machine busy
@given(
    st.text(max_size=80)
    | st.sampled_from(
        [
            "a: 2001-99-99",
            "{[a]: b}",
            "a: !!python/object:x {}",
            "\x07",
            "? a",
            "a: &x [*x]",
            "&v {variants: [*v]}",
        ]
    )
)
def test_any_file_is_an_endpoint_or_a_complaint(text: str) -> None:
    """`load` raises only ConfigurationError, whatever the content."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "endpoint.yaml"
        file.write_bytes(text.encode("utf-8", "replace"))
        with pytest.raises(ConfigurationError):
            load(file)


def test_nested_too_deeply(tmp_path: Path) -> None:
    file = tmp_path / "endpoint.yaml"
    for text, expected in ((f"a: {'[' * 2000}", "not valid YAML: maximum recursion"), ("a: &x [*x]", "levels deep")):
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=expected):
            load(file)
