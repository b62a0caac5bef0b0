"""Random model directories and tenants' archives: sound ones, with up to three changes, most of which break them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

__all__ = ["Directory", "directories"]

NAMES = ("a", "b", "net", "ä b")
SHARED = ("tokenizer", "net")
CALLABLE = (*NAMES, "tokenizer", "typo")
TENSORS = ("x", "y", "z")
VERSIONS = ("1", "2", "10", "0", "001", "1abc", " 3", "+4", "-1", "latest", "²", "9" * 20)
FILES = ("model.py", "model.onnx", "main.py", ".keep", "._model.py", "__pycache__/model.pyc", "config.pbtxt")
ODD_CONFIGS = (
    b"colour: 1",
    b"{",
    b"\xff\xfe",
    b'name: "\\xff"',
    b"max_batch_size: 99999999999",
    b"instance_group [{ kind: 99 }]",
    b"input [{ data_type: 99 }]",
    b"# nothing",
    b"",
    None,
)
LINES = (
    "version_policy { all { } }",
    "version_policy { latest { } }",
    "version_policy { latest { num_versions: 2 } }",
    "version_policy { specific { versions: [ 1, 7 ] } }",
    "version_policy { specific { versions: [ 7 ] } }",
    *(f'default_model_filename: "{file}"' for file in ("main.py", "../main.py", "../../a/1/model.py", "../../../x.py")),
    'default_model_filename: "/etc/passwd"',
    'cc_model_filenames { key: "7.5" value: "../x.plan" }',
    *(
        f'parameters {{ key: "sagemaker.required_memory_mb" value {{ string_value: "{memory}" }} }}'
        for memory in ("1500", "2 GB", "-1", "²")
    ),
    "instance_group [{ kind: KIND_GPU count: 2 }]",
)
JUNK = (
    ".DS_Store",
    "README.md",
    "__MACOSX/1/model.py",
    "._a",
    ".git/config",
    ".hidden/1/model.py",
    "code/inference.py",
    "config.pbtxt",
)


@dataclass(frozen=True)
class Directory:
    """What is packed, and what for.

    Attributes:
        files: path → content; None for a directory.
        links: path → what it is a symlink to.
        default_model: as on a single-model endpoint; so is `load_models`.
        shared: the models that the image of a multi-model endpoint shares; None where they are not known.
    """

    files: Mapping[str, bytes | None]
    links: Mapping[str, str]
    default_model: str | None
    load_models: tuple[str, ...]
    shared: frozenset[str] | None

    def write(self, directory: Path) -> Path:
        """Write it as a new directory, and return that."""
        directory.mkdir()
        for path, content in self.files.items():
            target = directory / path
            (target if content is None else target.parent).mkdir(parents=True, exist_ok=True)
            if content is not None:
                target.write_bytes(content)
        for path, goal in self.links.items():
            (directory / path).symlink_to(goal)
        return directory


@dataclass
class Draft:
    """A directory that is still being changed.

    Attributes:
        lines: the configuration of each model, in lines; the first model calls the next one, and so on.
        contents: the configuration of a model in their place.
        files: path → content.
    """

    lines: dict[str, list[str]]
    files: dict[str, bytes | None]
    default_model: str | None
    contents: dict[str, bytes | None] = field(default_factory=dict)
    load_models: tuple[str, ...] = ()
    shared: frozenset[str] | None = frozenset(SHARED)
    links: dict[str, str] = field(default_factory=dict)

    def finished(self) -> Directory:
        """Return it as it is."""
        configs = {name: "\n".join(lines).encode() for name, lines in self.lines.items()} | self.contents
        files = {f"{name}/config.pbtxt": config for name, config in configs.items() if config is not None}
        return Directory({**self.files, **files}, self.links, self.default_model, self.load_models, self.shared)


Change = Callable[[Draft, st.DataObject], None]


def ensemble(*steps: tuple[str, str, str]) -> str:
    """An ensemble with the input `x`: a model, what it takes, what it gives, for each step."""
    entries = (
        f'{{ model_name: "{model}" input_map {{ key: "in" value: "{taken}" }} '
        f'output_map {{ key: "out" value: "{given}" }} }}'
        for model, taken, given in steps
    )
    return f'platform: "ensemble" input [{{ name: "x" }}] ensemble_scheduling {{ step [ {", ".join(entries)} ] }}'


def depends_on(*models: str) -> str:
    return f'parameters {{ key: "sagemaker.depends_on" value {{ string_value: "{", ".join(models)}" }} }}'


@st.composite
def sound(draw: st.DrawFn) -> Draft:
    """Models of which each calls the next one, and perhaps a shared one."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    draft = Draft({}, {}, names[0])
    for name, called in zip(names, [*names[1:], draw(st.sampled_from((None, "tokenizer")))], strict=True):
        kind = draw(st.sampled_from(("python", "ensemble", "onnxruntime")))
        if kind == "ensemble" and called:
            draft.lines[name] = [ensemble((called, "x", "y"))]
            draft.files[f"{name}/1"] = None
        else:
            draft.lines[name] = [f'backend: "{kind}"' if kind != "ensemble" else ""]
            draft.lines[name] += [depends_on(called)] if called else []
            draft.files[f"{name}/1/{'model.onnx' if kind == 'onnxruntime' else 'model.py'}"] = b"x"
    return draft


def _model(draft: Draft, data: st.DataObject) -> str:
    return data.draw(st.sampled_from(sorted(draft.lines)))


def add_a_line(draft: Draft, data: st.DataObject) -> None:
    draft.lines[_model(draft, data)].append(data.draw(st.sampled_from(LINES)))


def replace_a_configuration(draft: Draft, data: st.DataObject) -> None:
    draft.contents[_model(draft, data)] = data.draw(st.sampled_from(ODD_CONFIGS))


def replace_the_versions(draft: Draft, data: st.DataObject) -> None:
    name = _model(draft, data)
    draft.files = {path: content for path, content in draft.files.items() if not path.startswith(f"{name}/")}
    draft.files[name] = None
    add_a_version(draft, data)


def add_a_version(draft: Draft, data: st.DataObject) -> None:
    version = f"{_model(draft, data)}/{data.draw(st.sampled_from(VERSIONS))}"
    draft.files.setdefault(version, None)
    for file in data.draw(st.lists(st.sampled_from(FILES), max_size=2)):
        draft.files[f"{version}/{file}"] = b"x"


def call_a_model(draft: Draft, data: st.DataObject) -> None:
    draft.lines[_model(draft, data)][1:] = [depends_on(data.draw(st.sampled_from(CALLABLE)))]


def make_an_ensemble(draft: Draft, data: st.DataObject) -> None:
    tensors = st.sampled_from(TENSORS)
    steps = data.draw(st.lists(st.tuples(st.sampled_from(CALLABLE), tensors, tensors), max_size=3))
    draft.lines[_model(draft, data)] = [ensemble(*steps)]


def add_a_model(draft: Draft, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from((*NAMES, "1", ".hidden", "deep/er")))
    draft.lines[name] = ['backend: "python"']
    draft.files[f"{name}/1/model.py"] = b"x"


def add_a_file(draft: Draft, data: st.DataObject) -> None:
    draft.files[data.draw(st.sampled_from((*JUNK, f"{_model(draft, data)}/main.py")))] = b"x"


def follow_a_link(draft: Draft, data: st.DataObject) -> None:
    draft.links["linked"] = "../../outside"


def ask_for_another_default(draft: Draft, data: st.DataObject) -> None:
    draft.default_model = data.draw(st.sampled_from((*NAMES, None, "typo")))


def ask_for_a_model(draft: Draft, data: st.DataObject) -> None:
    draft.load_models = (data.draw(st.sampled_from((*NAMES, "typo"))),)


def share_other_models(draft: Draft, data: st.DataObject) -> None:
    draft.shared = data.draw(st.sampled_from((None, frozenset[str](), frozenset({"typo"}))))


def move_a_model_to_the_root(draft: Draft, data: st.DataObject) -> None:
    name = _model(draft, data)
    finished = draft.finished().files
    draft.files = {path.removeprefix(f"{name}/"): finished[path] for path in finished if path.startswith(f"{name}/")}
    draft.lines, draft.contents = {"moved": []}, {"moved": None}


CHANGES: tuple[Change, ...] = (
    add_a_line,
    add_a_line,
    replace_a_configuration,
    replace_the_versions,
    add_a_version,
    call_a_model,
    make_an_ensemble,
    make_an_ensemble,
    add_a_model,
    add_a_file,
    follow_a_link,
    ask_for_another_default,
    ask_for_a_model,
    share_other_models,
    move_a_model_to_the_root,
)


@st.composite
def directories(draw: st.DrawFn) -> Directory:
    """A directory with models, or a model itself."""
    draft, data = draw(sound()), draw(st.data())
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=3)):
        change(draft, data)
    return draft.finished()
