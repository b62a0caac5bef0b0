"""`byoc scale`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from byoc.aws import Aws
from byoc.endpoint import scaling
from byoc.endpoint.scaling import Scaling
from byoc.errors import ConfigurationError
from tests.byoc.conftest import Byoc, deploy, snapshot, write_endpoint


def test_scale_and_back(endpoint: Aws, byoc: Byoc) -> None:
    scaled = ["scale", "classifier", "--min", "2", "--max", "5", "--invocations", "600"]
    assert byoc.ok(*scaled).out == "AllTraffic: 2 to 5 instances, target 600 requests per instance per minute\n"
    assert "scaled 2 to 5 instances, target 600" in byoc.ok("status", "classifier").out
    policies = endpoint.autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    tracking: Any = policies[0]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    }
    changed = byoc.ok(*scaled[:-1], "50", "--scale-in-cooldown", "60", "--json").json
    assert (changed[0]["invocations_per_instance"], changed[0]["scale_in_cooldown"]) == (50, 60)
    assert byoc.ok("scale", "classifier", "--off").out == "AllTraffic: not scaled\n"
    assert snapshot(endpoint)["policies"] == []
    assert byoc.ok("scale", "classifier", "--off").out == "AllTraffic: not scaled\n"


def test_scale_one_variant(account: Aws, byoc: Byoc, model: Path, tmp_path: Path) -> None:
    deploy(byoc, write_endpoint(tmp_path, variants=[{"name": "one"}, {"name": "two"}]))
    byoc.ok("scale", "classifier", "--variant", "two", "--max", "3", "--invocations", "9")
    assert list(snapshot(account)["scaling"]) == ["endpoint/classifier/variant/two"]
    wrong = byoc("scale", "classifier", "--variant", "three", "--max", "3", "--invocations", "9")
    assert (wrong.status, "has no variant 'three'. It has: one, two" in wrong.err) == (1, True)
    assert deploy(byoc, write_endpoint(tmp_path, variants=[{"name": "one"}])).status == 0
    assert snapshot(account)["scaling"] == {}


def test_scaling_without_a_target(endpoint: Aws) -> None:
    with pytest.raises(ConfigurationError, match="AllTraffic: scaling has no target"):
        scaling.scale(endpoint, "classifier", Scaling("AllTraffic", 1, 2))
    assert snapshot(endpoint)["scaling"] == {}
