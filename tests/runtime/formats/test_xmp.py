from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nstbatch.runtime.formats import xmp
from nstbatch.runtime.formats.xmp import PacketError

TITLE = (
    '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Café &lt;img&gt;</rdf:li></rdf:Alt></dc:title>'
)


def packet(attributes: str = "", elements: str = "") -> bytes:
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"
  xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
  xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:xmp="http://ns.adobe.com/xap/1.0/"
  xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
  xmlns:exif="http://ns.adobe.com/exif/1.0/"
  xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/">
 <rdf:RDF><rdf:Description rdf:about="" {attributes}>{elements}</rdf:Description></rdf:RDF>
</x:xmpmeta>
{" " * 100}<?xpacket end="w"?>{chr(0) * 8}""".encode()


FULL = packet(
    'exif:GPSLatitude="48,51.5N" tiff:Orientation="6" xmp:Rating="4" crs:Exposure2012="+1.00"',
    TITLE + "<xmp:Thumbnails>AAAA</xmp:Thumbnails>",
)


def test_what_is_telling_stays_and_what_gives_away_goes() -> None:
    kept = xmp.telling(FULL).decode()
    assert "Café &lt;img&gt;" in kept
    assert 'xmp:Rating="4"' in kept
    for gone in ("GPSLatitude", "Orientation", "Exposure2012", "Thumbnails"):
        assert gone not in kept


def test_everything_is_all_that_is_true_of_the_picture_too() -> None:
    kept = xmp.everything(FULL).decode()
    assert "48,51.5N" in kept
    assert "Exposure2012" in kept
    for gone in ("Orientation", "Thumbnails"):
        assert gone not in kept


def test_a_struct_within_a_property_is_no_property() -> None:
    inner = '<crs:Look><rdf:Description xmp:Rating="5"/></crs:Look>'
    assert xmp.telling(packet("", inner)) == b""
    assert b"Look" in xmp.everything(packet("", inner))


def test_nothing_telling_is_no_packet() -> None:
    assert xmp.telling(packet('exif:GPSLatitude="48,51.5N"')) == b""


# The characters of recipes, which are JSON: see nstbatch.cli.verbs.recipe.
@given(recipe=st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_recipe_goes_in_and_comes_out(recipe: str) -> None:
    for before in (b"", xmp.telling(FULL), xmp.with_recipe(b"", "another one")):
        after = xmp.with_recipe(before, recipe)
        assert (xmp.recipe_in(after) or "") == recipe
        assert after.count(b":recipe") == (2 if recipe else 1)
    assert b"Caf" in xmp.with_recipe(xmp.telling(FULL), recipe)


def test_a_photo_that_is_one_of_our_pictures_does_not_pass_on_its_recipe() -> None:
    assert xmp.recipe_in(xmp.everything(xmp.with_recipe(FULL, "old")) or packet()) is None


def test_no_recipe() -> None:
    assert xmp.recipe_in(FULL) is None


ENTITIES = "".join(f"<!ENTITY {name} '{f'&{inner};' * 10}'>" for inner, name in ("ab", "bc", "cd"))
BOMB = f"<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>{ENTITIES}]><x>&d;</x>"


@pytest.mark.parametrize(
    "data",
    [
        b"no packet",
        b"<x:xmpmeta",
        FULL[: len(FULL) // 2],
        BOMB.encode(),
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        b'<?xml version="1.0" encoding="klingon"?><x/>',
        b"\xff\xfe<\0",
    ],
)
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    for function in (xmp.telling, xmp.everything, xmp.recipe_in):
        with pytest.raises(PacketError):
            function(data)


def test_a_deep_nest_is_refused() -> None:
    deep = packet("", "<dc:title>" + "<rdf:li>" * 5000 + "</rdf:li>" * 5000 + "</dc:title>")
    with pytest.raises(PacketError, match="deeply"):
        xmp.telling(deep)
