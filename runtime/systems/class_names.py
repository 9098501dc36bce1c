"""Finding a class by what people call it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from nstbatch.runtime.errors import UsageError

SHOWN = 8  # a guess at how many names a message may list


def find_class(name: str | int, classes: Sequence[str]) -> int:
    """The index of a class.

    Args:
        name: Its index, its name, or a part of its name that no other one has. A whole name comes
            before parts, and whole words before other parts. Case matters only between names that
            are the same without it.
        classes: The names, by index; two classes may have the same.

    Raises:
        UsageError: No class, or more than one; says which ones are close.
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
            raise UsageError(f"The class {name!r} could be {_listed(found, classes)}.")
    close = difflib.get_close_matches(wanted, names, n=SHOWN)
    meant = [index for index, known in enumerate(names) if known in close]
    hint = f" Did you mean {_listed(meant, classes)}?" if meant else ""
    raise UsageError(f"There is no class {name!r} among the {len(classes)}.{hint}")


def _by_index(index: int, classes: Sequence[str]) -> int:
    if 0 <= index < len(classes):
        return index
    raise UsageError(f"The classes are numbered from 0 to {len(classes) - 1}; not {index}.")


def _listed(found: Sequence[int], classes: Sequence[str]) -> str:
    """``'crane' (134), 'crane' (517)``: the index tells apart what is called the same."""
    shown = [f"{classes[index]!r} ({index})" for index in found[:SHOWN]]
    more = [f"{len(found) - SHOWN} more"] if len(found) > SHOWN else []
    *first, last = shown + more
    return f"{', '.join(first)} or {last}" if first else last


def file_stem(index: int, classes: Sequence[str]) -> str:
    """What to call the picture of a class: its name, safe as a file's on every system.

    Where that would be the name of another class's picture too, its index is behind it; not all
    systems tell upper case from lower.
    """
    stems = [re.sub(r"[^\w'-]+", "_", name).strip("_") or "class" for name in classes]
    alike = [stem for stem in stems if stem.casefold() == stems[index].casefold()]
    return stems[index] if len(alike) == 1 else f"{stems[index]}-{index}"
