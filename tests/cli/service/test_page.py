"""The page of the service in a browser: a photo goes in, and a picture comes out."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from many_uploads import STYLE, jpeg
from PIL import Image

from .conftest import Start

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_a_photo_is_painted_and_removed(
    start: Start, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    photo = tmp_path / "<b>photo.jpg"
    photo.write_bytes(jpeg(0))
    with start(listens=True) as parts:
        page = open_page(f"http://127.0.0.1:{parts.port}/")
        page.get_by_label("Style").select_option(STYLE)
        page.get_by_label("Photo").set_input_files(photo)
        page.get_by_label("Size").fill("32")
        page.get_by_label("Iterations").fill("1")
        # Looked at as it arrives: the page forbids the scripts of a test, too.
        with page.expect_response(lambda response: response.url.endswith("/picture")) as shown:
            page.get_by_role("button", name="Paint").click()
        assert Image.open(BytesIO(shown.value.body())).width == 32
        picture = page.get_by_role("img", name=photo.name)
        picture.wait_for()
        assert page.locator("#jobs b").count() == 0  # names are text
        page.get_by_role("button", name="Remove").click()
        picture.wait_for(state="detached")
        assert parts.queue.latest(9, None) == []
        page.get_by_label("Style").select_option("a picture of your own")
        page.locator("#own input").set_input_files(tmp_path / "styles" / f"{STYLE}.jpg")
        page.get_by_label("Size").fill("9999")
        assert page.complaints == []
        with page.expect_console_message(lambda message: "422" in message.text):
            page.get_by_role("button", name="Paint").click()
        page.get_by_text("The size is 9999; this service allows 64.").wait_for()
        assert all("422" in complaint for complaint in page.complaints)  # the browser's own
        page.complaints.clear()
