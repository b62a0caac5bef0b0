"""Each rule: what it finds in a model directory and in a tenant's archive, and what it lets pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from serve.repository.findings import Finding
from serve.repository.rules import RULES, check, look
from serve.repository.rules.context import Origin
from tests.serve.repository.configurations import DEPENDS_ON, MEMORY, PYTHON, ensemble

Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Returns a function: path of a file (or, with a slash at the end, of a directory) → content; → the directory."""

    def make(files: dict[str, str]) -> Path:
        root = tmp_path / "model"
        for path, content in files.items():
            target = root / path
            (target if path.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
            if not path.endswith("/"):
                target.write_text(content)
        return root

    return make


def found(findings: tuple[Finding, ...]) -> list[str]:
    """Codes, with the paths of the findings that have one; in brackets where they are warnings."""
    shown = (f"{finding.code} {finding.path}" if finding.path else finding.code for finding in findings)
    return [text if finding.severity == "error" else f"({text})" for text, finding in zip(shown, findings, strict=True)]


MAIN = {"main/config.pbtxt": PYTHON, "main/1/model.py": ""}
NET = {"net/config.pbtxt": PYTHON, "net/1/model.py": ""}

# What is in the directory, what is wrong with it on a single-model endpoint, and in a tenant's archive.
CASES: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    "one model": (MAIN, [], []),
    "nothing": ({".hidden/1/model.py": "", "README.md": ""}, ["no-model"], ["no-model"]),
    "a model at the root": ({"config.pbtxt": PYTHON, "1/model.py": ""}, ["config-at-root"], []),
    "an ensemble with its model": ({**NET, "main/config.pbtxt": ensemble("net"), "main/1/": ""}, [], []),
    "an ensemble without a version": (
        {**NET, "main/config.pbtxt": ensemble("net")},
        ["no-version main/config.pbtxt"],
        ["no-version main/config.pbtxt"],
    ),
    "an ensemble of which only a hidden file makes the version": (
        {**NET, "main/config.pbtxt": ensemble("net"), "main/1/.keep": ""},
        [],
        [],
    ),
    "an absent model": (
        {"main/config.pbtxt": ensemble("typo"), "main/1/": ""},
        ["absent-model main/config.pbtxt"],
        ["absent-model main/config.pbtxt"],
    ),
    "an absent model that is depended on": (
        {"main/config.pbtxt": DEPENDS_ON % "typo", "main/1/model.py": ""},
        ["absent-model main/config.pbtxt"],
        ["absent-model main/config.pbtxt"],
    ),
    "a shared model": (
        {"main/config.pbtxt": ensemble("shared"), "main/1/": ""},
        ["absent-model main/config.pbtxt"],
        [],
    ),
    "two models of which none calls the other": ({**MAIN, **NET}, [], ["no-entry"]),
    "Python models that call each other": (
        {**MAIN, "main/config.pbtxt": DEPENDS_ON % "net", **NET, "net/config.pbtxt": DEPENDS_ON % "main"},
        [],
        ["circle main/config.pbtxt"],
    ),
    "ensembles that call each other": (
        {"main/config.pbtxt": ensemble("net"), "net/config.pbtxt": ensemble("main"), "main/1/": "", "net/1/": ""},
        ["circle main/config.pbtxt"],
        ["circle main/config.pbtxt"],
    ),
    "an ensemble of itself": (
        {"main/config.pbtxt": ensemble("main"), "main/1/": ""},
        ["circle main/config.pbtxt"],
        ["circle main/config.pbtxt"],
    ),
    "a configuration that can't be read": (
        {**MAIN, "main/config.pbtxt": "colour: 1"},
        ["invalid-config main/config.pbtxt"],
        ["invalid-config main/config.pbtxt"],
    ),
    "a Python model without code": (
        {"main/config.pbtxt": PYTHON, "main/1/main.py": ""},
        ["python-without-code main/config.pbtxt"],
        ["python-without-code main/config.pbtxt"],
    ),
    "a Python model by its file, whose latest version lacks it": (
        {"main/config.pbtxt": "max_batch_size: 1", "main/1/model.py": "", "main/2/": ""},
        ["python-without-code main/config.pbtxt"],
        ["python-without-code main/config.pbtxt"],
    ),
    "the directory of another version that Triton reads as 1": (
        {"main/config.pbtxt": PYTHON, "main/1abc/model.py": ""},
        ["python-without-code main/config.pbtxt"],
        ["python-without-code main/config.pbtxt"],
    ),
    "a version with a leading zero": (
        {"main/config.pbtxt": PYTHON, "main/001/model.py": ""},
        ["no-version main/config.pbtxt"],
        ["no-version main/config.pbtxt"],
    ),
    "no version by the policy": (
        {"main/config.pbtxt": PYTHON + "version_policy { specific { versions: [ 2 ] } }", "main/1/model.py": ""},
        ["no-version main/config.pbtxt"],
        ["no-version main/config.pbtxt"],
    ),
    "none of the latest versions": (
        {"main/config.pbtxt": PYTHON + "version_policy { latest { } }", "main/1/model.py": ""},
        ["no-version main/config.pbtxt"],
        ["no-version main/config.pbtxt"],
    ),
    "a version that is too large": (
        {**MAIN, "main/99999999999999999999/model.py": ""},
        ["version-out-of-range main/config.pbtxt"],
        ["version-out-of-range main/config.pbtxt"],
    ),
    "a negative version": (
        {**MAIN, "main/-1/model.py": ""},
        ["version-out-of-range main/config.pbtxt"],
        ["version-out-of-range main/config.pbtxt"],
    ),
    "a file beside the versions": (
        {"main/config.pbtxt": PYTHON + 'default_model_filename: "../main.py"', "main/1/": "", "main/main.py": ""},
        [],
        ["file-outside main/config.pbtxt"],
    ),
    "a file of another model": (
        {**MAIN, "main/config.pbtxt": PYTHON + 'default_model_filename: "../../main/1/model.py"'},
        [],
        ["file-outside main/config.pbtxt"],
    ),
    "a file outside of the directory": (
        {**MAIN, "main/config.pbtxt": PYTHON + 'cc_model_filenames { key: "7.5" value: "../../../a.plan" }'},
        ["file-outside main/config.pbtxt"],
        ["file-outside main/config.pbtxt"],
    ),
    "an absolute file": (
        {**MAIN, "main/config.pbtxt": PYTHON + 'default_model_filename: "/etc/passwd"'},
        ["file-outside main/config.pbtxt"],
        ["file-outside main/config.pbtxt"],
    ),
    "a tensor that is written twice": (
        {**NET, "main/config.pbtxt": ensemble("net", "net", tensors=("a", "b", "b")), "main/1/": ""},
        ["tensor-written-twice main/config.pbtxt"],
        ["tensor-written-twice main/config.pbtxt"],
    ),
    "a step that never runs": (
        {**NET, "main/config.pbtxt": ensemble("net", tensors=("z", "b")), "main/1/": ""},
        ["step-never-runs main/config.pbtxt"],
        ["step-never-runs main/config.pbtxt"],
    ),
    "memory that is no number": (
        {**MAIN, "main/config.pbtxt": MEMORY % "2 GB"},
        ["(invalid-memory main/config.pbtxt)"],
        ["invalid-memory main/config.pbtxt"],
    ),
    "several mistakes": (
        {"main/config.pbtxt": ensemble("net", "typo"), "net/config.pbtxt": "colour: 1"},
        ["invalid-config net/config.pbtxt", "absent-model main/config.pbtxt", "no-version main/config.pbtxt"],
        ["invalid-config net/config.pbtxt", "absent-model main/config.pbtxt", "no-version main/config.pbtxt"],
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("origin", ["single", "tenant"])
def test_what_is_found(write: Write, case: str, origin: Origin) -> None:
    files, single, tenant = CASES[case]
    root = write(files)
    default = "main" if (root / "main").exists() else None
    context = look(origin, root, default, shared=frozenset({"shared"} if origin == "tenant" else ()))
    assert found(check(context)) == (single if origin == "single" else tenant)


def test_every_rule_is_tried() -> None:
    """But those of links, defaults and entries by name, which have tests of their own."""
    codes = {text.strip("()").split()[0] for _, *both in CASES.values() for texts in both for text in texts}
    assert len(codes) == len(RULES) - 1, "the rule default_model has three codes"


@pytest.mark.parametrize(
    ("default", "load_models", "expected"),
    [
        ("main", (), ["(python-without-code net/config.pbtxt)"]),
        ("main", ("net",), ["python-without-code net/config.pbtxt"]),
        ("net", (), ["python-without-code net/config.pbtxt"]),
        (None, (), ["no-default-model", "(python-without-code net/config.pbtxt)"]),
        ("typo", (), ["unknown-default-model", "(python-without-code net/config.pbtxt)"]),
        ("main", ("typo",), ["unknown-load-model", "(python-without-code net/config.pbtxt)"]),
    ],
)
def test_a_mistake_counts_in_a_model_that_is_loaded(
    write: Write, default: str | None, load_models: tuple[str, ...], expected: list[str]
) -> None:
    root = write({**MAIN, "net/config.pbtxt": PYTHON, "net/1/": ""})
    assert found(check(look("single", root, default, load_models))) == expected


def test_shared_models_that_are_not_known_are_a_warning_that_names_them(write: Write) -> None:
    root = write({"config.pbtxt": DEPENDS_ON % "tokenizer", "1/model.py": ""})
    [finding] = check(look("tenant", root, shared=None))
    assert (finding.code, finding.severity) == ("absent-model", "warning")
    assert finding.remedy == "the image must share a model 'tokenizer'"


def test_an_image_may_share_no_models(write: Write) -> None:
    assert check(look("shared", write({"README.md": ""}))) == ()
