"""Writes docs/decisions/README.md, the list of decisions, from their headings.

python docs/decision_list.py
"""

from __future__ import annotations

from pathlib import Path

DECISIONS = Path(__file__).with_name("decisions")
PAGE = DECISIONS / "README.md"
COMMAND = "python docs/decision_list.py"


def decision_list() -> str:
    """The page, as it should be."""
    lines = [
        "# Decisions\n",
        "Each page says what was chosen, what else was tried, and the numbers.",
        f"`{COMMAND}` writes this list; a test compares.\n",
    ]
    for path in sorted(DECISIONS.glob("[0-9]*.md")):
        heading = path.read_text(encoding="utf-8").splitlines()[0]
        number, _, title = heading.removeprefix("# ").partition(": ")
        lines.append(f"- [{number}]({path.name}): {title}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(decision_list(), encoding="utf-8", newline="\n")
