"""Search for a class by its common name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from nstbatch.runtime.errors import UsageError

SHOWN = 8  # most names in a message; a guess


def find_class(name: str | int, classes: Sequence[str]) -> int:
    """Return the index of a class.

    Args:
        name: Its index, its name, or a part of its name that no other class shares. A whole name
            has precedence over parts, and whole words over other parts. Case matters only between
            names that are the same without it.
        classes: The names, by index; two classes may share a name.

    Raises:
        UsageError: No class matches, or several; lists close ones.
    """
    wanted = str(name).strip().casefold()
    if re.fullmatch(r"-?[0-9]+", wanted):
        return _by_index(int(wanted), classes)
    names = [known.casefold() for known in classes]
    word = re.compile(rf"\b{re.escape(wanted)}\b")
    for found in (
        [index for index, known in enumerate(classes) if known == name],
        [index for index, known in enumerate(names) if known == wanted],
        [index for index, known in enumerate(names) if wanted and word.search(known)],
        [index for index, known in enumerate(names) if wanted and wanted in known],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"The class {name!r} could be {_listed(found, classes)}. "
                "Give the whole name or the number."
            )
    close = difflib.get_close_matches(wanted, names, n=SHOWN)
    meant = [index for index, known in enumerate(names) if known in close]
    hint = f" Did you mean {_listed(meant, classes)}?" if meant else ""
    raise UsageError(f"There is no class {name!r} among the {len(classes)}.{hint}")


def _by_index(index: int, classes: Sequence[str]) -> int:
    if 0 <= index < len(classes):
        return index
    raise UsageError(f"The classes are numbered from 0 to {len(classes) - 1}; not {index}.")


def _listed(found: Sequence[int], classes: Sequence[str]) -> str:
    """List classes as ``'crane' (134), 'crane' (517)``, since names may repeat."""
    shown = [f"{classes[index]!r} ({index})" for index in found[:SHOWN]]
    more = [f"{len(found) - SHOWN} more"] if len(found) > SHOWN else []
    *first, last = shown + more
    return f"{', '.join(first)} or {last}" if first else last


def file_stem(index: int, classes: Sequence[str]) -> str:
    """Return the file name of a class's picture: its name, safe on every system.

    Its index follows if another class would have the same file name; some systems ignore case.
    """
    stems = [re.sub(r"[^\w'-]+", "_", name).strip("_") or "class" for name in classes]
    alike = [stem for stem in stems if stem.casefold() == stems[index].casefold()]
    return stems[index] if len(alike) == 1 else f"{stems[index]}-{index}"
