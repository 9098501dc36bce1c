import io
from dataclasses import replace

import pytest
from rich.console import Console

from nstbatch.benchmarks.reports.table import (
    Grid,
    headline,
    milliseconds,
    notes,
    plus_minus,
    speed_grid,
    stage_grid,
    to_markdown,
)


def columns(grid: Grid, *titles: str) -> list[tuple[str, ...]]:
    places = [grid.titles.index(title) for title in titles]
    return [tuple(row[place] for place in places) for row in grid.rows]


def shown(grid: Grid, width: int) -> str:
    screen = io.StringIO()
    Console(width=width, file=screen).print(grid.to_rich())
    return screen.getvalue()


def test_every_row_is_there_and_an_empty_one_says_what_it_is(report):
    found = columns(speed_grid(report), "provider", "size", "ms/step", "x torch", "of peak")
    assert found[4:] == [
        ("cpu", "512", "51.2", "2.00 ± 0.05", "2%"),
        ("torch", "512", "102.4", "-", "1%"),
        ("cuda", "512", "absent", "-", "-"),
        ("torch-compile", "512", "failed", "-", "-"),
    ]
    assert columns(speed_grid(report), "peak MB", "start s", "loss")[0] == ("2000", "1.5", "-")


def test_cost_is_also_shown_by_the_megapixels_of_the_whole_batch(make_row, report):
    row = replace(make_row("cpu", [[200, 200]], size=500, batch=4), activation_bytes=3 * 10**8)
    grid = speed_grid(replace(report, rows=(row, report.rows[2])))
    assert columns(grid, "ms/Mpx", "MB/Mpx", "counted MB") == [
        ("200", "2000", "300"),
        ("-", "-", "-"),
    ]


def test_baselines_that_did_not_run_have_no_column(report):
    assert "x torch-compile" not in speed_grid(report).titles
    alone = replace(report, rows=(replace(report.rows[0], ratio={}),))
    assert not [title for title in speed_grid(alone).titles if title.startswith("x ")]


def test_notes_say_why_each_reason_once(report):
    assert notes(report) == [
        "cuda is absent: no | driver",
        "torch-compile failed at 256 pixels, batch 1: no [b]compiler[/b]",
        "torch-compile failed at 512 pixels, batch 1: no [b]compiler[/b]",
        "Warning: It rained.",
    ]


def test_markdown_is_a_table_whatever_is_in_it(report):
    text = to_markdown(report)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    speed, stages = lines[: 2 + 8], lines[2 + 8 :]
    for table in (speed, stages):
        assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert speed[1].startswith("| --- | --- | --: |")
    assert stages[-1] == "| cpu | fp32 | 512 | 20 | 0.250 | 2.000 | 0.500 | 2.750 |"
    assert "- cuda is absent: no | driver\n" in text
    assert text.startswith(f"{headline(report)}.\n")
    escaped = Grid(("a",), (("1 | 2\n3",),), 1, 1).to_markdown()
    assert escaped == "| a |\n| --- |\n| 1 \\| 2 3 |\n"


def test_the_headline_says_what_was_measured_and_where(report):
    line = headline(report)
    for part in ("stylize", "vgg16", "threads: 2", "3 rounds of 2 steps", "Abacus 2, 2 cores"):
        assert part in line
    with_gpu = replace(report, machine={**report.machine, "gpu": "A GPU"})
    assert headline(with_gpu).endswith(", A GPU")


@pytest.mark.parametrize("width", [80, 100, 120, 400])
def test_a_table_is_split_where_the_screen_is_narrow(report, width):
    grid = speed_grid(report)
    parts = grid.split(width)
    assert [title for part in parts for title in part.titles[grid.key :]] == list(
        grid.titles[grid.key :]
    )
    for part in parts:
        assert part.titles[: grid.key] == grid.titles[: grid.key]
        rows = [line for line in shown(part, width).splitlines() if line.strip(" ─")]
        assert len(rows) == 1 + len(part.rows)  # nothing was folded
    assert (len(parts) == 1) == (width == 400)


def test_a_column_wider_than_the_screen_is_shown_all_the_same(report):
    parts = speed_grid(report).split(10)
    assert len(parts) == len(speed_grid(report).titles) - speed_grid(report).key


def test_text_is_no_markup():
    text = shown(Grid(("[b]t[/b]",), (("[red]x[/red]",),), 1, 1), width=40)
    assert "[b]t[/b]" in text
    assert "[red]x[/red]" in text


def test_stages_end_with_their_sum(report):
    grid = stage_grid(report.stages)
    assert grid.titles == ("provider", "precision", "size", "steps", "read", "steps", "rest", "all")
    assert grid.rows[0][-1] == "2.750"


def test_an_uncertainty_is_half_the_interval():
    assert plus_minus(2, 1.5, 2.1) == "2.00 ± 0.30"


@pytest.mark.parametrize(
    ("value", "text"), [(0.04567, "0.04567"), (51.2, "51.2"), (999.96, "1000"), (10363.4, "10363")]
)
def test_milliseconds_have_no_exponent(value, text):
    assert milliseconds(value) == text
