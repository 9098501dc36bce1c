"""Plain text for people: safe file names, columns, durations."""

from __future__ import annotations

import os
import shlex
import unicodedata
from collections.abc import Callable, Iterable, Sequence

# These characters reorder the text around them, and can make one name look like another:
# https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
BIDIRECTIONAL = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)

# Control characters, halves of surrogate pairs (bytes of a name that are not UTF-8), and
# separators of lines and paragraphs.
UNPRINTABLE_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


def printable(text: str | os.PathLike[str]) -> str:
    r"""Return text as one line with control characters spelled out: a newline becomes ``\n``.

    Spaces and the letters of every script stay. The result is for people; programs get names from
    ``--json``.
    """
    return "".join(_shown(character) for character in os.fspath(text))


def _shown(character: str) -> str:
    hidden = unicodedata.category(character) in UNPRINTABLE_CATEGORIES
    if hidden or character in BIDIRECTIONAL:
        return character.encode("unicode_escape").decode("ascii")
    return character


def shell(words: Iterable[str]) -> str:
    """Return one line that a shell reads as exactly these words.

    Characters that :func:`printable` spells out are written as bytes in ``$'...'``, which bash and
    zsh know, and POSIX since 2024.
    """
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    if printable(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(map(_spelled_for_shells, word)) + "'"


def _spelled_for_shells(character: str) -> str:
    if character in "\\'":
        return "\\" + character
    if _shown(character) == character:
        return character
    # Octal, since after \x some shells read as many digits as follow.
    is_byte = "\udc80" <= character <= "\udcff"  # of a name that is not UTF-8
    encoded = character.encode("utf-8", "surrogateescape" if is_byte else "surrogatepass")
    return "".join(f"\\{byte:03o}" for byte in encoded)


def columns(rows: Sequence[Sequence[str]], gap: str = "  ") -> list[str]:
    """Return rows as lines with aligned columns, for terminals and pipes."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return [
        gap.join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def duration(seconds: float) -> str:
    """Return ``12.3 s``, ``4 min 05 s`` or ``2 h 03 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def gigabytes(number_of_bytes: float, rounded: Callable[[float], int] = round) -> str:
    """Return ``2.3 GB``, in powers of ten.

    Args:
        number_of_bytes: The number.
        rounded: ``math.ceil`` for bytes that must be there, ``math.floor`` for those that are.
    """
    return f"{rounded(number_of_bytes / 1e8) / 10:.1f} GB"


def count(number: int, noun: str) -> str:
    """Return ``1 photo``, ``2 photos``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
