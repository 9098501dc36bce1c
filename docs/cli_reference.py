"""Writes docs/cli.md from the command line's own help, so that the two cannot differ.

python docs/cli_reference.py
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from typer.main import get_command

from nstbatch.cli.main import app

PAGE = Path(__file__).with_name("cli.md")
COMMAND = "python docs/cli_reference.py"


def reference() -> str:
    """The page, as it should be."""
    program: Any = get_command(app)
    verbs = commands(program)
    parts = [
        "# Command line",
        f"This page is written by `{COMMAND}`. Run it after a change to `cli/`; a test compares.\n"
        "[usage.md](usage.md) explains the same options by what they are for.",
        program.help,
        _usage("VERB ..."),
        "\n".join(f"- [`{n}`](#{_anchor(n)}): {_summary(verb)}" for n, verb in verbs.items()),
        *_options(program.params),
    ]
    for name, verb in verbs.items():
        arguments = [parameter for parameter in verb.params if not _is_option(parameter)]
        further = ["[VERB ...]"] if hasattr(verb, "commands") else []
        words = " ".join([name, "[OPTIONS]", *map(_placeholder, arguments), *further])
        parts += [f"## {name}", verb.help, _usage(words)]
        parts += [_list("Arguments", map(_argument_line, arguments))] if arguments else []
        parts += _options(parameter for parameter in verb.params if _is_option(parameter))
    return "\n\n".join(parts) + "\n"


def commands(group: Any, prefix: str = "") -> dict[str, Any]:
    """Every verb by its words, ``bench`` and then ``bench compare``, in the order of the help."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        found[prefix + name] = command
        if hasattr(command, "commands"):
            found |= commands(command, f"{prefix}{name} ")
    return found


def _anchor(heading: str) -> str:
    return heading.replace(" ", "-")


def _usage(words: str) -> str:
    return f"```console\nnstbatch {words}\n```"


def _summary(verb: Any) -> str:
    return " ".join(str(verb.help).split("\n\n")[0].split())


def _is_option(parameter: Any) -> bool:
    return bool(parameter.opts[0].startswith("-"))


def _placeholder(argument: Any) -> str:
    word = argument.metavar or argument.name.upper()
    return f"{word}..." if argument.nargs == -1 else str(word)


def _options(parameters: Iterable[Any]) -> Iterator[str]:
    """A list for each group of options that the help shows; those without a group come first."""

    def group(parameter: Any) -> str:
        return parameter.rich_help_panel or ""

    shown = [parameter for parameter in parameters if not parameter.hidden]
    order = list(dict.fromkeys(["", *map(group, shown)]))
    for heading, members in groupby(sorted(shown, key=lambda p: order.index(group(p))), group):
        yield _list(heading or "Options", map(_option_line, members))


def _list(heading: str, lines: Iterable[str]) -> str:
    return "\n".join([f"**{heading}**\n", *lines])


def _argument_line(argument: Any) -> str:
    return f"- `{_placeholder(argument)}`: {argument.help}"


def _option_line(option: Any) -> str:
    value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    names = ", ".join(f"`{name}{value}`" for name in [*option.opts, *option.secondary_opts])
    line = f"- {names}: {option.help}"
    if option.required:
        return f"{line} Required."
    has_default = option.show_default and not option.is_flag and option.default is not None
    return f"{line} Default: `{option.default}`." if has_default else line


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8", newline="\n")
