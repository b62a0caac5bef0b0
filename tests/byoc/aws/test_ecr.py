"""Names of images in Amazon ECR."""

from __future__ import annotations

import pytest

from byoc.aws.ecr import EcrImage, Login, parse_image, registry_host

REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("image", "region"),
    [
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/sagemaker-tritonserver:26.05-py3", "us-east-1"),
        ("727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-tritonserver:26.05-py3", "cn-north-1"),
        ("763104351884.dkr.ecr-fips.us-west-2.amazonaws.com/x@sha256:00", "us-west-2"),
        ("docker.io/library/debian:bookworm-slim", None),
        ("evil.example/763104351884.dkr.ecr.us-east-1.amazonaws.com/x", None),
    ],
)
def test_region_of_an_image(image: str, region: str | None) -> None:
    found = parse_image(image)
    assert (found.region if found else None) == region


@pytest.mark.parametrize(
    ("name", "tag", "digest"),
    [
        ("team/x", None, None),
        ("team/x:v1", "v1", None),
        (f"team/x@{DIGEST}", None, DIGEST),
        (f"team/x:v1@{DIGEST}", "v1", DIGEST),
    ],
)
def test_parts_of_an_image(name: str, tag: str | None, digest: str | None) -> None:
    assert parse_image(f"{REGISTRY}/{name}") == EcrImage("123456789012", "eu-west-1", "team/x", tag, digest)


def test_registries_in_china_have_their_own_domain() -> None:
    assert registry_host("1", "cn-north-1") == "1.dkr.ecr.cn-north-1.amazonaws.com.cn"
    assert registry_host("1", "eu-west-1") == "1.dkr.ecr.eu-west-1.amazonaws.com"


def test_password_is_never_shown() -> None:
    assert "secret" not in repr(Login("AWS", "secret"))
