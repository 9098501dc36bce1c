"""The page that shows a batch: one HTML file that needs no other file.

File names and other outside data are text only: Jinja2 escapes them in the page, and the script
reads them from JSON that cannot end its element. A content security policy allows only the page's
own script and style, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nstbatch.cli.text import printable
from nstbatch.runtime.errors import NstbatchError
from nstbatch.runtime.files import write_atomically

from .data import Report, read_report
from .thumbnails import Thumbnail, budget, thumbnail

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

    from nstbatch.cli.output.ledger_lines import PictureLine, RunLine

PAGE = "report.html"

HERE = Path(__file__).parent
TEMPLATE = "report.html.jinja"
STYLE = "report.css"
SCRIPTS = ("report_elements.js", "report_card.js", "report_details.js", "report.js")
LIVE_SCRIPT = "report_live.js"

# Styles shown at the top, and characters for each: a folder may hold pictures of many styles.
SHOWN_STYLES, STYLE_BUDGET = 4, 12_000

# Fields of a run by which the search finds its pictures.
SEARCHED = ("verb", "style", "bundle")

Records = Iterable[dict[str, Any]]


def write_page(folder: Path, tracked: Callable[[Records, int], Records] | None = None) -> Path:
    """Make the page of an output folder, from its ledger and the pictures named there.

    Args:
        folder: The output folder.
        tracked: Passes the records on, and may show progress; gets the records and their number.

    Returns:
        The path of the page.

    Raises:
        UsageError: The folder has no ledger.
        NstbatchError: The page cannot be written; an older page stays as it was.
    """
    report = read_report(folder)
    entries: Records = records(report)
    if tracked is not None:
        entries = tracked(entries, len(report.entries))
    path = folder / PAGE
    page = render(report, entries).encode("utf-8")
    try:
        write_atomically(path, page)
    except OSError as error:
        where = printable(path)
        raise NstbatchError(f"The page {where} cannot be written: {error.strerror}.") from error
    return path


def render(report: Report, entries: Records, *, live: bool = False) -> str:
    """Return the page as HTML.

    Args:
        report: The data of the batch.
        entries: The pictures, from :func:`records`.
        live: True for a page that is served while the batch runs and asks for news.
    """
    runs = _runs(report)
    styles = dict.fromkeys(run["style_uri"] for run in runs if run["style_uri"])
    script = _source(*SCRIPTS, *([LIVE_SCRIPT] if live else []))
    style = _source(STYLE)
    policy = [
        "default-src 'none'",
        "img-src data:",
        f"script-src {_hash(script)}",
        f"style-src {_hash(style)}",
        "base-uri 'none'",
        "form-action 'none'",
        *(["connect-src 'self'"] if live else []),
    ]
    return _template().render(
        policy="; ".join(policy),
        style=style,
        script=script,
        title=printable(report.folder.resolve().name) or "Pictures",
        runs=runs,
        styles=list(styles)[:SHOWN_STYLES],
        entries=list(entries),
        runs_index={run["id"]: {key: run[key] for key in SEARCHED} for run in runs},
        live=live,
    )


def records(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the record of each picture, made by one thread per CPU core."""
    from nstbatch.runtime.devices.processor import available_cores

    size = budget(len(report.entries))
    with ThreadPoolExecutor(available_cores()) as pool:
        yield from pool.map(lambda entry: record(report, entry, size), report.entries)


def record(report: Report, entry: PictureLine, size: int) -> dict[str, Any]:
    """Return the data of one picture for the page's script; ``report_card.js`` shows it.

    Args:
        report: The report of the picture.
        entry: The picture.
        size: Largest number of characters for each of its two thumbnails.
    """
    photo, picture = report.input_path(entry), report.output_path(entry)
    before = thumbnail(photo, size) if photo else None
    after = thumbnail(picture, size) if picture else None
    shown = after or before
    return {
        "line": entry.line,
        "run": printable(entry.run),
        "key": entry.key,
        "name": entry.name,
        "input": printable(entry.input),
        "has_photo": photo is not None,
        "status": entry.status,
        "reason": printable(entry.reason),
        "time": printable(entry.time),
        "seconds": entry.seconds,
        "steps": entry.steps,
        "losses": {printable(name): _rounded(loss) for name, loss in entry.losses.items()},
        "curve": [(step, _rounded(loss)) for step, loss in entry.curve],
        "device": " ".join(filter(None, (printable(entry.provider), printable(entry.precision)))),
        "size": (entry.width, entry.height) if entry.width and entry.height else None,
        "aspect": round(shown.width / shown.height, 3) if shown else None,
        "before": _uri(before),
        "after": _uri(after),
        "links": {
            "photo": _link(photo, report.folder) if photo else None,
            "picture": _link(picture, report.folder) if picture else None,
        },
    }


def _uri(small: Thumbnail | None) -> str | None:
    return small.uri if small else None


def _link(path: Path, folder: Path) -> str | None:
    """Return the link to a file from a page in the folder; None if the file is missing.

    The link begins with ``./`` and has no colon, so that no name is taken for a scheme.
    """
    if not is_file(path):
        return None
    try:
        relative = os.path.relpath(path.absolute(), folder.absolute())
    except ValueError:  # on another drive of Windows
        return path.absolute().as_uri()
    return "./" + quote(os.fsencode(Path(relative).as_posix()), safe="/")


def is_file(path: Path) -> bool:
    """Return True if the file exists; a ledger may hold names that no file system allows."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _runs(report: Report) -> list[dict[str, Any]]:
    """Return the runs that have pictures, and the newest run; other runs found all done."""
    pictures = Counter(entry.run for entry in report.entries)
    newest = list(report.runs)[-1:]
    shown = [run for run in report.runs.values() if run.id in pictures or run.id in newest]
    paths = {run.path(run.style) for run in shown if run.style}
    styles = {path: _uri(thumbnail(path, STYLE_BUDGET)) for path in paths}
    return [
        _run(run, pictures[run.id], styles[run.path(run.style)] if run.style else None)
        for run in shown
    ]


def _run(run: RunLine, pictures: int, style_uri: str | None) -> dict[str, Any]:
    return {
        "id": printable(run.id),
        "pictures": pictures,
        "time": printable(run.time),
        "verb": printable(run.verb),
        "command": printable(shlex.join(run.command)),
        "folder": printable(Path(run.folder)),
        "style": printable(run.style) if run.style else None,
        "style_uri": style_uri,
        "bundle": printable(run.bundle) if run.bundle else None,
        "settings": {
            printable(name): _shown(value)
            for name, value in run.settings.items()
            if value is not False  # a switch that was not given
        },
        "versions": {printable(name): _shown(value) for name, value in run.versions.items()},
    }


def _shown(value: object) -> str:
    """Return a setting as people would write it."""
    match value:
        case None | []:
            return "default"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(map(_shown, value))
        case dict():
            return ", ".join(f"{printable(name)}={_shown(each)}" for name, each in value.items())
    return printable(str(value))


def _rounded(loss: float) -> float:
    """Round to four digits, which is more than a curve shows."""
    return float(f"{loss:.4g}")


def _source(*names: str) -> Markup:
    """Return files of the page unescaped, to be put between its tags."""
    from markupsafe import Markup

    return Markup("\n".join((HERE / name).read_text(encoding="utf-8") for name in names))


def _hash(source: str) -> str:
    digest = hashlib.sha256(source.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment.get_template(TEMPLATE)
