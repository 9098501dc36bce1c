"""Groups of options that several verbs share: a frozen dataclass, each field one option.

A verb takes a group as one parameter, whose default holds the verb's own defaults::

    @with_groups
    def stylize(inputs: Inputs, selection: Selection = Selection(Path("stylized"))) -> None: ...

Typer sees the fields in its place, and the verb gets the group back, filled in.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints


def with_groups(verb: Callable[..., None]) -> Callable[..., None]:
    """Return the verb with the fields of its groups as parameters, for Typer."""
    signature = inspect.signature(verb, eval_str=True)
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if dataclasses.is_dataclass(parameter.default):
            groups[parameter.name] = parameter.default
            parameters += _fields(parameter.default)
        else:
            parameters.append(parameter)

    def expanded(**values: Any) -> None:
        for name, group in groups.items():
            members = {each.name: values.pop(each.name) for each in dataclasses.fields(group)}
            values[name] = dataclasses.replace(group, **members)
        verb(**values)

    functools.update_wrapper(expanded, verb)
    expanded.__annotations__ = {}  # Typer is to read the signature instead
    expanded.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return expanded


@functools.cache
def _hints(group: type) -> dict[str, Any]:
    """Return the annotations of a group; several verbs have the same ones."""
    return get_type_hints(group, include_extras=True)


def _fields(group: Any) -> Iterator[inspect.Parameter]:
    hints = _hints(type(group))  # type: ignore[arg-type]  # mypy: a class is not Hashable
    for field in dataclasses.fields(group):
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=getattr(group, field.name),
            annotation=hints[field.name],
        )
