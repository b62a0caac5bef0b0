"""The table of base images."""

from __future__ import annotations

import pytest

from byoc.errors import RegionError
from byoc.image.base_images import base_image, tags


def test_newest_image_of_a_region() -> None:
    image = base_image("eu-west-1")
    assert image.tag == tags()[0] == max(tags())
    assert image.uri == f"763104351884.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-tritonserver:{image.tag}"


def test_china_has_a_domain_of_its_own_and_older_images() -> None:
    image = base_image("cn-north-1")
    assert ".dkr.ecr.cn-north-1.amazonaws.com.cn/" in image.uri
    assert image.tag != tags()[0]


def test_wanted_tag() -> None:
    assert base_image("us-east-1", "24.09-py3").uri.endswith(":24.09-py3")


@pytest.mark.parametrize(
    ("region", "tag", "message"),
    [
        (
            "mars-north-1",
            None,
            "no sagemaker-tritonserver image is known for 'mars-north-1'. Known regions: af-south-1",
        ),
        ("us-east-1", "1.0", "us-east-1 has no sagemaker-tritonserver image '1.0'. It has: "),
        ("cn-north-1", "26.05-py3", "It has: 25.04-py3"),
    ],
)
def test_what_there_is_not(region: str, tag: str | None, message: str) -> None:
    with pytest.raises(RegionError) as caught:
        base_image(region, tag)
    assert message in str(caught.value)
