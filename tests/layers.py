"""The layers of the code, and a checker that names every import that points up.

`LAYERS` lists the rooms of a package from the top down: a room imports only rooms below its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

__all__ = ["LAYERS", "Import", "Rules", "circles", "imports", "long_files", "modules", "violations"]

LAYERS: Mapping[str, tuple[str, ...]] = {
    "": ("tests", "bench", "docs", "examples", "byoc", "serve", "python_backend_models", "model_repository", "docker"),
    "serve": (
        "__main__",
        "supervisor",
        "plan",
        "app",
        "tenants",
        "front_door",
        "machine",
        "triton",
        "codecs",
        "handlers",
        "repository",
        "settings",
        "sagemaker",
    ),
    "byoc": (
        "__main__",
        "commands",
        "local",
        "check",
        "deployment",
        "endpoint",
        "load",
        "container",
        "image",
        "archive",
        "aws",
        "progress",
        "errors",
    ),
}


@dataclass(frozen=True)
class Rules:
    """What imports have to keep to.

    Attributes:
        layers: package → its rooms from the top down; "" has the packages themselves.
        only: (package, other package) → the rooms of the other that the first may import.
        lines: how long a file may be.
    """

    layers: Mapping[str, tuple[str, ...]]
    only: Mapping[tuple[str, str], tuple[str, ...]]
    lines: int = 400


RULES = Rules(LAYERS, {("byoc", "serve"): ("sagemaker", "settings", "repository", "codecs", "handlers")})


@dataclass(frozen=True)
class Import:
    """One import of our own code.

    Attributes:
        file: where it is, from the root.
        line: in that file.
        module: the module that imports.
        target: the module that is imported.
    """

    file: Path
    line: int
    module: str
    target: str

    def breaks(self, rule: str) -> str:
        """Say so, as an editor finds it."""
        return f"{self.file}:{self.line}: {self.module} imports {self.target}: {rule}"


def modules(root: Path, rules: Rules) -> dict[str, Path]:
    """Return every module of the packages with its file, from the root."""
    found = {}
    for file in sorted(file for package in rules.layers[""] for file in (root / package).rglob("*.py")):
        *parents, name = file.relative_to(root).with_suffix("").parts
        found[".".join(parents if name == "__init__" else [*parents, name])] = file.relative_to(root)
    return found


def imports(root: Path, rules: Rules) -> list[Import]:
    """Return every import of our own modules, those within functions too."""
    files = modules(root, rules)
    return [
        Import(file, line, module, target)
        for module, file in files.items()
        for line, target in _targets(ast.parse((root / file).read_text(encoding="utf-8")), files)
    ]


def _targets(tree: ast.Module, files: Mapping[str, Path]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parent = name.rpartition(".")[0]
            if target := next((each for each in (name, parent) if each in files), None):
                yield node.lineno, target


def violations(root: Path, rules: Rules = RULES) -> list[str]:
    """Return a line for every import that points up, and for every room that has no layer."""
    broken = [each.breaks(rule) for each in imports(root, rules) for rule in _broken_by(each, rules)]
    rooms = {(module.split(".")[0], module.split(".")[1]) for module in modules(root, rules) if "." in module}
    homeless = sorted(
        f"{package}.{room}: no layer: list it in tests/layers.py"
        for package, room in rooms
        if package in rules.layers and room not in rules.layers[package]
    )
    return broken + homeless


def _broken_by(each: Import, rules: Rules) -> Iterator[str]:
    package, _, rest = each.module.partition(".")
    other, _, other_rest = each.target.partition(".")
    room, other_room = rest.partition(".")[0], other_rest.partition(".")[0]
    only = rules.only.get((package, other))
    if only is not None and other_room not in only:
        yield f"{package} may import only {', '.join(only)} of {other}"
    key, upper, lower = ("", package, other) if package != other else (package, room, other_room)
    order = rules.layers.get(key, ())
    if upper != lower and upper in order and lower in order and order.index(upper) > order.index(lower):
        yield f"{lower} is above {upper}, and imports point down"


def circles(root: Path, rules: Rules = RULES) -> list[str]:
    """Return the circle that imports of modules make, if there is one."""
    graph: dict[str, set[str]] = {}
    for each in imports(root, rules):
        graph.setdefault(each.module, set()).add(each.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" → ".join(reversed(error.args[1]))]
    return []


def long_files(root: Path, rules: Rules = RULES) -> list[str]:
    """Return a line for every file that is too long."""
    counts = {
        file: len((root / file).read_text(encoding="utf-8").splitlines()) for file in modules(root, rules).values()
    }
    return [f"{file}: {count} lines: at most {rules.lines}" for file, count in counts.items() if count > rules.lines]
