"""Invalid archives: each gets a status and a helpful error, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from tests.serve.multi_model.archives import Model, ensemble, word, write_archive
from tests.serve.multi_model.conftest import WriteArchive
from tests.serve.multi_model.endpoint import Endpoint


@dataclass(frozen=True)
class Mistake:
    """An archive and words that the error must have."""

    words: tuple[str, ...]
    models: Mapping[str, Model] | Model


def other_input(model: Model) -> Model:
    """Take a text of another shape."""
    return replace(model, config=str(model.config).replace("dims: [ 1 ]", "dims: [ 2 ]", 1))


def swapped(model: Model) -> Model:
    """Give an ensemble a tensor of the wrong type."""
    return replace(model, config=str(model.config).replace("TYPE_STRING", "TYPE_FP32", 1))


SAME_TENSOR = ensemble("probe", "probe")
SAME_TENSOR = replace(SAME_TENSOR, config=str(SAME_TENSOR.config).replace("after_1", "text"))
WAITING = ensemble("probe", "probe")
WAITING = replace(WAITING, config=str(WAITING.config).replace('value: "text"', 'value: "after_1"', 1))

MISTAKES = {
    "empty": Mistake(("holds no model", "(empty)"), {}),
    "files only": Mistake(("holds no model", "model.onnx"), Model(None, {"model.onnx": ""})),
    "a model below two directories": Mistake(("holds no model", "deep"), {"deep/er": word()}),
    "two models": Mistake(("2 of its models", "blue, red", "sagemaker.depends_on"), {"red": word(), "blue": word()}),
    "two ensembles": Mistake(
        ("2 of its models", "one, two"), {"one": ensemble("a"), "two": ensemble("a"), "a": word()}
    ),
    "a model that nothing calls": Mistake(
        ("2 of its models", "left, pipeline"), {"pipeline": ensemble("a"), "a": word(), "left": word()}
    ),
    "a step that there is not": Mistake(("pipeline calls the model 'typo'", "probe"), {"pipeline": ensemble("typo")}),
    "a step of another tenant": Mistake(("calls the model 'neighbour'",), {"pipeline": ensemble("neighbour")}),
    "a sub-model of another tenant": Mistake(
        ("calls the model 'neighbour--part'",), {"pipeline": ensemble("neighbour--part")}
    ),
    "a dependency that there is not": Mistake(
        ("the model at the root of the archive calls the model 'typo'",), word(sagemaker__depends_on="typo")
    ),
    "an ensemble of itself": Mistake(("in a circle",), {"pipeline": ensemble("pipeline")}),
    "two ensembles of each other": Mistake(("in a circle: a, b",), {"a": ensemble("b"), "b": ensemble("a")}),
    "a circle below an ensemble": Mistake(
        ("in a circle",), {"top": ensemble("a"), "a": ensemble("b"), "b": ensemble("a")}
    ),
    "broken configuration": Mistake(("config.pbtxt:2: ",), Model('backend: "python"\n}', word().files)),
    "unknown field": Mistake(("config.pbtxt", "colour"), word(more='colour: "red"')),
    "not UTF-8": Mistake(("config.pbtxt",), Model('name: "\\xff"', word().files)),
    "memory that is no number": Mistake(
        ("config.pbtxt", "sagemaker.required_memory_mb", "'2 GB'"), word(sagemaker__required_memory_mb="2 GB")
    ),
    "memory that is a strange number": Mistake(("'²'",), word(sagemaker__required_memory_mb="²")),
    "negative memory": Mistake(("'-1'",), word(sagemaker__required_memory_mb="-1")),
    "a tensor that is written twice": Mistake(("writes the tensor 'text'",), {"pipeline": SAME_TENSOR}),
    "a step that waits for itself": Mistake(("after_1",), {"pipeline": WAITING}),
    "a model file of another tenant": Mistake(
        (
            "default_model_filename of the model at the root",
            "'../../../neighbour/model/part/1/model.py'",
            "without '..'",
        ),
        word(more='default_model_filename: "../../../neighbour/model/part/1/model.py"'),
    ),
    "an absolute model file": Mistake(
        ("default_model_filename of onnx is '/etc/passwd'",),
        {"onnx": Model('backend: "onnxruntime"\ndefault_model_filename: "/etc/passwd"', {"1/model.onnx": ""})},
    ),
    "a model file for a GPU that lies elsewhere": Mistake(
        ("cc_model_filenames[7.5] of the model at the root", "'../../x.plan'"),
        word(more='cc_model_filenames { key: "7.5" value: "../../x.plan" }'),
    ),
    "no version": Mistake(("version",), Model(word().config)),
    "no model file": Mistake(("model.py",), Model(word().config, {"1/readme": ""})),
    "unknown backend": Mistake(("fortran",), Model('backend: "fortran"', {"1/model.f": ""})),
    "a model that does not start": Mistake(
        ("ValueError: the weights are missing",), word(raises="ValueError: the weights are missing")
    ),
    "a model that exits": Mistake(("SystemExit: 3",), word(raises="SystemExit: 3")),
    "a syntax error": Mistake(("SyntaxError",), Model(word().config, {"1/model.py": "def f(:"})),
    "a sub-model that does not start": Mistake(
        ("the dictionary is missing",),
        {"pipeline": ensemble("good", "bad"), "good": word(), "bad": word(raises="OSError: the dictionary is missing")},
    ),
    "a called model that does not start": Mistake(
        ("nothing there",),
        {
            "main": word(calls="bad", sagemaker__depends_on="good, bad"),
            "good": word(),
            "bad": word(raises="OSError: nothing there"),
        },
    ),
    "a shared model that does not start": Mistake(
        ("the dictionary of broken is missing",), {"pipeline": ensemble("broken")}
    ),
    "tensors of different types": Mistake(("FP32", "STRING"), {"pipeline": swapped(ensemble("a")), "a": word()}),
    "tensors of different shapes": Mistake(("shape",), {"pipeline": ensemble("a"), "a": other_input(word())}),
}


@pytest.fixture
def neighbour(gateway: Endpoint) -> None:
    models = {"pipeline": ensemble("probe", "part"), "part": word("next door")}
    assert gateway.load("neighbour", write_archive(gateway.models_dir / "neighbour" / "model", models)).status == 200


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake(gateway: Endpoint, archive: WriteArchive, kind: str, neighbour: None) -> None:
    mistake = MISTAKES[kind]
    before = gateway.left()
    answer = gateway.load("wrong", archive("wrong", mistake.models))
    assert answer.status == 400, answer
    for words in mistake.words:
        assert words in answer.error()
    assert gateway.left() == before
    assert gateway.get("wrong").status == 404
    assert gateway.invoke("wrong").status == 404
    assert gateway.said("neighbour") == "hello next door"


@pytest.mark.parametrize("target", ["/etc", "../../../../..", "../../../../other/model"])
def test_a_link_out_of_the_archive(gateway: Endpoint, archive: WriteArchive, target: str) -> None:
    archive("other", word("secret"))
    url = archive("wrong", {"model": word()})
    (url / "model" / "1" / "weights").symlink_to(target)
    answer = gateway.load("wrong", url)
    assert answer.status == 400
    assert "model/1/weights: this is a symlink" in answer.error()
    assert target in answer.error()
    assert gateway.left() == {}


def test_a_model_directory_that_is_a_link_out_of_the_archive(gateway: Endpoint, archive: WriteArchive) -> None:
    other, url = archive("other", word("secret")), archive("wrong", {})
    (url / "model").symlink_to(other)
    assert "model: this is a symlink" in gateway.load("wrong", url).error()


def test_a_link_to_itself(gateway: Endpoint, archive: WriteArchive) -> None:
    url = archive("wrong", {"model": word()})
    (url / "model" / "loop").symlink_to("loop")
    answer = gateway.load("wrong", url)
    assert answer.status == 400
    assert "model/loop" in answer.error()


def test_the_mended_archive_loads(gateway: Endpoint, archive: WriteArchive) -> None:
    assert gateway.load("mended", archive("mended", word(raises="ValueError: not yet"))).status == 400
    assert gateway.load("mended", archive("mended", word("now"))).status == 200
    assert gateway.said("mended") == "hello now"
