"""The page in Chromium, used with mouse and keyboard."""

import re
import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from nstbatch.cli.report.page import write_page

EVIL = "<img src=x onerror=alert(1)>.jpg"


@pytest.fixture
def page(batch, open_page):
    """Four pictures of known order in every respect, and two failures."""
    batch.run()
    batch.image("the style.png")  # the run names it as the style
    for name, seconds, loss in (("b.png", 30, 1.0), ("a10.png", 10, 3.0), ("a9.png", 20, 2.0)):
        batch.image(name, seconds=seconds, losses={"total": loss})
    batch.failure("cut.jpg", "The picture cannot be decoded: image file is truncated.")
    batch.failure("zero.jpg", "The file is empty (0 bytes).", pictures=False)
    return open_page(write_page(batch.out).as_uri())


def names(page) -> list[str]:
    return page.locator(".card .name").all_inner_texts()


def comparison(page, name: str):
    return page.locator(".card", has_text=name).locator(".comparison")


def split(comparison) -> float:
    """Return the place where the picture is cut, as a share of its width."""
    clip = comparison.locator(".before").evaluate("each => getComputedStyle(each).clipPath")
    return 1 - float(re.fullmatch(r"inset\(0px ([\d.]+)% 0px 0px\)", clip)[1]) / 100


# ---- the gallery ------------------------------------------------------------------------------


def test_the_slider_follows_the_mouse(page):
    slider = comparison(page, "b.png")
    box = slider.bounding_box()
    assert split(slider) == 0.5
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, middle, steps=4)
    assert split(slider) == pytest.approx(0.8, abs=0.01)
    page.mouse.up()
    page.mouse.click(box["x"] + box["width"] * 0.1, middle)
    assert split(slider) == pytest.approx(0.1, abs=0.01)


def test_the_slider_follows_the_arrow_keys(page):
    slider = comparison(page, "b.png")
    slider.locator("input").focus()
    page.keyboard.press("ArrowRight")
    after_one = split(slider)
    assert 0.5 < after_one < 0.6
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert split(slider) < 0.5
    page.keyboard.press("Home")
    assert split(slider) == 0
    assert slider.locator("input").get_attribute("aria-valuetext") == "0 % photo"


def test_before_and_after_are_the_photo_and_the_picture(page):
    sources = (
        comparison(page, "b.png")
        .locator("img")
        .evaluate_all("all => all.map(each => [each.className, each.src, each.naturalWidth])")
    )
    (after, made, width), (before, photo, _) = sources
    assert (after, before, width) == ("after", "before", 48)
    assert made != photo


def test_the_filter_and_the_search(page):
    assert len(names(page)) == 6
    page.locator("label", has_text="Failed").click()
    assert names(page) == ["cut.jpg", "zero.jpg"]
    page.locator("label", has_text="Done").click()
    assert names(page) == ["the style.png", "b.png", "a10.png", "a9.png"]
    page.get_by_role("searchbox").fill("A1")
    assert names(page) == ["a10.png"]
    expect(page.locator("#shown")).to_have_text("1 of 6 pictures")
    page.get_by_role("searchbox").fill("no such thing")
    expect(page.get_by_text("No picture matches.")).to_be_visible()
    page.keyboard.press("Escape")
    assert len(names(page)) == 4


def test_failures_are_found_by_their_reason(page):
    page.get_by_role("searchbox").fill("empty bytes")
    assert names(page) == ["zero.jpg"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("name", ["a9.png", "a10.png", "b.png", "cut.jpg", "the style.png", "zero.jpg"]),
        ("newest", ["zero.jpg", "cut.jpg", "a9.png", "a10.png", "b.png", "the style.png"]),
        ("failed", ["cut.jpg", "zero.jpg", "the style.png", "b.png", "a10.png", "a9.png"]),
        ("loss", ["a10.png", "the style.png", "a9.png", "b.png", "cut.jpg", "zero.jpg"]),
    ],
)
def test_it_sorts(page, order, expected):
    page.get_by_label("Sort by").select_option(order)
    assert names(page) == expected


def test_failures_show_with_their_reasons(page):
    cut = page.locator(".card", has_text="cut.jpg")
    expect(cut.locator(".notice .reason")).to_have_text(
        "The picture cannot be decoded: image file is truncated."
    )
    expect(cut.locator("img")).to_have_count(1)  # the photo can be read here
    zero = page.locator(".card", has_text="zero.jpg")
    expect(zero.locator(".notice")).to_contain_text("The file is empty (0 bytes).")
    expect(page.locator("#summary")).to_contain_text("4 pictures done · 2 failed")


def test_keys_move_from_name_to_name(page):
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    first = page.locator(".name").first
    first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".name").nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.closest('.card').offsetTop") > 300
    page.keyboard.press("Home")
    expect(first).to_be_focused()


def test_the_theme_toggles_and_starts_as_the_system_has_it(batch, open_page):
    batch.image("a.png")
    address = write_page(batch.out).as_uri()

    def paper(page) -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = open_page(address, color_scheme="light")
    dark = open_page(address, color_scheme="dark")
    day, night = paper(light), paper(dark)
    assert day != night
    light.get_by_role("button", name="Change to the dark theme").click()
    assert paper(light) == night
    light.get_by_role("button", name="Change to the light theme").click()
    assert paper(light) == day
    dark.get_by_role("button", name="Change to the light theme").click()
    assert paper(dark) == day


# ---- one picture ------------------------------------------------------------------------------


def test_the_details_of_a_picture(page, batch):
    page.get_by_role("button", name="b.png").click()
    details = page.get_by_role("dialog")
    expect(details.get_by_role("heading", name="b.png")).to_be_visible()
    expect(details.get_by_role("img", name="Loss from 20 to 2 in 40 steps")).to_be_visible()
    expect(details).to_contain_text("cpu fp32")
    expect(details).to_contain_text("style weight")
    slider = details.locator(".comparison")
    slider.locator("input").focus()
    page.keyboard.press("End")
    assert split(slider) == 1
    with page.context.expect_page() as opened:
        details.get_by_role("link", name="Open the picture").click()
    opened.value.wait_for_load_state()
    assert opened.value.url == (batch.out / "b.png").as_uri()


def test_the_details_of_a_sheet_name_no_photo(batch, open_page):
    batch.run(verb="deconv", style=None)
    batch.sheet("relu2, filter 3", "sheet.png")
    page = open_page(write_page(batch.out).as_uri())
    expect(page.get_by_role("img", name="sheet.png", exact=True)).to_be_visible()
    page.get_by_role("button", name="sheet.png").click()
    details = page.get_by_role("dialog")
    expect(details.get_by_role("term").first).to_have_text("Shows")
    expect(details.get_by_role("definition").first).to_have_text("relu2, filter 3")
    expect(details.get_by_role("link")).to_have_text(["Open the picture"])
    expect(details).not_to_contain_text("is missing")


def test_keys_leaf_through_the_details(page):
    page.locator(".name").nth(1).focus()
    page.keyboard.press("Enter")
    heading = page.get_by_role("dialog").get_by_role("heading").first
    expect(heading).to_have_text("b.png")
    page.keyboard.press("n")
    expect(heading).to_have_text("a10.png")
    page.keyboard.press("p")
    page.keyboard.press("p")
    expect(heading).to_have_text("the style.png")
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".name").first).to_be_focused()


# ---- names that are not harmless --------------------------------------------------------------


def test_hostile_names_are_text(batch, open_page):
    """An alert, or a script that was refused, would fail the test: see ``open_page``."""
    batch.run(settings={EVIL: EVIL}, command=["nstbatch", EVIL])
    batch.image(EVIL, losses={EVIL: 1.0, "total": 1.0})
    batch.image("two\nlines.png")
    batch.image(r"two\nlines.png")
    batch.failure("‮gpj.txt", f"Not {EVIL}", pictures=False)
    batch.failure("\udcff.png", "</script><script>alert(2)</script>", pictures=False)
    page = open_page(write_page(batch.out).as_uri())
    assert names(page) == [EVIL, *[r"two\nlines.png"] * 2, r"\u202egpj.txt", r"\udcff.png"]
    expect(page.locator(".reason").last).to_have_text("</script><script>alert(2)</script>")
    for index in range(5):
        page.locator(".name").nth(index).click()
        page.keyboard.press("Escape")
    assert page.locator("img[src='x'], [onerror]").count() == 0
    assert page.evaluate("document.scripts.length") == 2


def test_a_script_that_got_in_would_not_run(page):
    page.evaluate(
        """() => {
            const intruder = document.createElement("script");
            intruder.textContent = "window.intruded = true";
            document.body.append(intruder);
        }"""
    )
    assert page.evaluate("window.intruded") is None
    page.complaints.clear()


# ---- accessibility ----------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_has_no_complaint(batch, open_page, scheme, width):
    batch.run()
    batch.image("the style.png")
    batch.image("a.png")
    batch.failure("cut.jpg", "The picture cannot be decoded.")
    viewport = {"width": width, "height": 800}
    page = open_page(write_page(batch.out).as_uri(), color_scheme=scheme, viewport=viewport)
    gallery = Axe().run(page)
    assert gallery.violations_count == 0, gallery.generate_report()
    page.get_by_role("button", name="a.png").click()
    details = Axe().run(page)
    assert details.violations_count == 0, details.generate_report()
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width


def test_an_empty_ledger_makes_a_page_that_says_so(batch, open_page):
    batch.append('{"kind": "ima')
    page = open_page(write_page(batch.out).as_uri())
    expect(page.get_by_text("Nothing has been painted yet.")).to_be_visible()
    assert Axe().run(page).violations_count == 0


# ---- many -------------------------------------------------------------------------------------


def test_a_thousand_pictures_stay_small_and_quick(batch, open_page):
    batch.run()
    noisy(batch.photos / "noise.jpg", 1)
    noisy(batch.out / "noise.jpg", 2)
    curve = [[step, 100 / (step + 1)] for step in range(64)]
    for number in range(1000):
        name = f"holiday {number:04}.jpg"
        for folder in (batch.photos, batch.out):
            Path(folder, name).hardlink_to(folder / "noise.jpg")
        batch.image(name, pictures=False, curve=curve, width=160, height=120)
    path = write_page(batch.out)
    assert 10e6 < path.stat().st_size < 30e6
    start = time.perf_counter()
    page = open_page(path.as_uri())
    expect(page.locator(".comparison .after").first).to_be_visible()
    assert page.locator(".card").count() == 1000
    assert page.locator(".comparison").count() < 100  # the others wait
    page.get_by_role("searchbox").fill("0999")
    assert names(page) == ["holiday 0999.jpg"]
    assert time.perf_counter() - start < 10
    page.get_by_role("searchbox").fill("")
    page.locator(".name").last.focus()
    expect(page.locator(".card").last.locator(".after")).to_be_visible()


def noisy(path: Path, seed: int) -> None:
    """Make a picture whose thumbnail stays large."""
    import numpy as np
    from PIL import Image

    samples = np.random.default_rng(seed).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    Image.fromarray(samples).save(path, quality=90)
