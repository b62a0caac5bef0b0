"""`/metrics`: one page in Prometheus format."""

from __future__ import annotations

import re
from collections import Counter

from tests.serve.client import send, text_request
from tests.serving import RunningServe

LABEL = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*"'
SAMPLE = re.compile(rf"([a-zA-Z_:][\w:]*)(\{{(?:{LABEL}(?:,{LABEL})*,?)?\}})? (\S+)(?: -?\d+)?")
COMMENT = re.compile(r"# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)")
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}


def page(serve: RunningServe) -> str:
    answer = send(serve.port, "GET", "/metrics")
    assert (answer.status, answer.content_type.startswith("text/plain; version=0.0.4")) == (200, True)
    return answer.body.decode()


def samples(text: str) -> dict[str, float]:
    """Parse the text format; every line must be a comment or a sample, and nothing may be there twice."""
    assert text.endswith("\n")
    found: dict[str, float] = {}
    comments: Counter[tuple[str, str]] = Counter()
    for line in text.splitlines():
        if line.startswith("#"):
            comment = COMMENT.fullmatch(line)
            assert comment, line
            assert comment[1] == "HELP" or comment[3] in TYPES, line
            comments[comment[1], comment[2]] += 1
        elif line:
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            series = sample[1] + (sample[2] or "")
            assert series not in found, line
            found[series] = float(sample[3])
    assert set(comments.values()) == {1}
    return found


def test_both_servers_on_one_page(classifier_gateway: RunningServe) -> None:
    found = samples(page(classifier_gateway))
    assert any(name.startswith('nv_inference_request_success{model="image_classification",') for name in found)
    assert any(name.startswith("haproxy_frontend_http_requests_total{") for name in found)


def test_without_haproxy_triton_s_alone(classifier_app: RunningServe) -> None:
    assert {name.partition("_")[0] for name in samples(page(classifier_app))} == {"nv"}


def test_requests_are_counted(probe: RunningServe) -> None:
    before = successes(probe)
    for _ in range(3):
        assert send(probe.port, body=text_request()).status == 200
    assert successes(probe) == before + 3


def successes(serve: RunningServe) -> float:
    return sum(
        value for name, value in samples(page(serve)).items() if name.startswith("nv_inference_request_success{")
    )
