"""Writes docs/cli.md from the commands of `byoc`: `make docs`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from typer.core import TyperArgument, TyperGroup, TyperOption
from typer.main import get_command

from byoc.commands.app import COMMANDS, Command, assemble

__all__ = ["PAGE", "options_of", "render"]

PAGE = Path(__file__).with_suffix(".md")

HEAD = """\
# Commands of `byoc`

<!-- Written by `make docs` from byoc/commands/. Change the commands there. -->

`byoc` builds and pushes the container image, and deploys and operates SageMaker endpoints. `pip install
'.[byoc]'` installs it from a checkout; `byoc COMMAND --help` prints what is on this page. [deploy.md](deploy.md) goes
through the commands step by step, [endpoint.md](endpoint.md) describes `endpoint.yaml`, and [iam.md](iam.md) lists the
permissions that each command needs.

Results go to stdout, everything else to stderr. With `--json`, the result is a JSON document.

| Exit status | Meaning |
|---|---|
| 0 | Success. |
| 1 | Failure. A line on stderr says what is wrong and what to do. Commands that call AWS also fail if there are no \
credentials, no region, or no permission. |
| 2 | Invalid options or arguments. |
| 130 | Interrupted with Ctrl-C. |

"""


def render() -> str:
    """Return the page."""
    group = get_command(assemble())
    assert isinstance(group, TyperGroup)
    summary = [f"- [`byoc {_name(one)}`](#byoc-{_name(one)}): {_first_sentence(one)}" for one in COMMANDS]
    sections = [_section(command, group) for command in COMMANDS]
    general = _options(options_of(group))
    return HEAD + "\n".join(summary) + "\n\n## `byoc`\n\n" + general + "".join(sections)


def _section(command: Command, group: TyperGroup) -> str:
    parameters = group.commands[_name(command)].params
    arguments = [one for one in parameters if isinstance(one, TyperArgument)]
    usage = " ".join(["byoc", _name(command), "[OPTIONS]", *map(_usage, arguments)])
    parts = [
        f"\n## `byoc {_name(command)}`\n\n{_help(command)}\n",
        f"```sh\n{command.example}\n```\n",
        f"Usage: `{usage}`\n",
        _arguments(arguments),
        _options(options_of(group.commands[_name(command)])),
        f"Exit status 1: {command.failure}\n",
    ]
    return "\n".join(part for part in parts if part)


def options_of(command: object) -> list[TyperOption]:
    """The options of one of Typer's commands."""
    parameters: Iterable[object] = getattr(command, "params", ())
    return [one for one in parameters if isinstance(one, TyperOption)]


def _name(command: Command) -> str:
    return command.run.__name__


def _help(command: Command) -> str:
    """The docstring, each paragraph on one line."""
    paragraphs = inspect.getdoc(command.run) or ""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", paragraphs)


def _first_sentence(command: Command) -> str:
    return _help(command).split("\n")[0]


def _usage(argument: TyperArgument) -> str:
    name = _metavar(argument)
    return name if argument.required else f"[{name}]"


def _metavar(argument: TyperArgument) -> str:
    return argument.metavar or str(argument.name).upper()


def _arguments(arguments: list[TyperArgument]) -> str:
    rows = [(f"`{_metavar(one)}`", _default(one), str(one.help)) for one in arguments]
    return _table(("Argument", "Default", "Meaning"), rows)


def _options(options: list[TyperOption]) -> str:
    rows = [(_names(one), _value(one), _default(one), str(one.help)) for one in options]
    return _table(("Option", "Value", "Default", "Meaning"), rows)


def _names(option: TyperOption) -> str:
    return ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))


def _value(option: TyperOption) -> str:
    if option.is_flag:
        return ""
    return f"`{option.metavar}`"


def _default(parameter: TyperArgument | TyperOption) -> str:
    """The default; nothing for a flag that is off."""
    if parameter.required:
        return "required"
    default = parameter.default
    if default is None or default is False:
        return ""
    if default is True:
        return f"`{parameter.opts[0]}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [head, ("---",) * len(head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |").replace("|  |", "| |") for line in lines)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
