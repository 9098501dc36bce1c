"""XMP packets: filters a photo's packet for its picture, and stores the recipe in it.

XMP is RDF in XML: https://developer.adobe.com/xmp/docs/ and ISO 16684-1. A packet comes from a
stranger, so document types are refused, and a packet that cannot be parsed is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from xml.etree import ElementTree as ET

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_META = "adobe:ns:meta/"
_DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_NSTBATCH = "urn:nstbatch:1.0/"

# ElementTree calls unknown namespaces ns0, ns1 and so on, which is valid but hard to read.
for _prefix, _namespace in {
    "rdf": _RDF,
    "x": _META,
    "dc": _DUBLIN_CORE,
    "xmp": _XMP,
    "xmpRights": _RIGHTS,
    "tiff": _TIFF,
    "exif": _EXIF,
    "photoshop": _PHOTOSHOP,
    "nstbatch": _NSTBATCH,
}.items():
    ET.register_namespace(_prefix, _namespace)

_RECIPE = f"{{{_NSTBATCH}}}recipe"
_RATING = f"{{{_XMP}}}Rating"
_DESCRIPTION = f"{{{_RDF}}}Description"
_ABOUT = f"{{{_RDF}}}about"

# Marks by which programs find a packet even if they do not know the file's format.
_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_END = '<?xpacket end="w"?>'

# Kept: a photo's texts, its maker and dates. Dropped: places, edit histories, marked faces, and the
# settings of raw converters, which would apply them to the picture again.
_TELLING_NAMESPACES = {_DUBLIN_CORE, _RIGHTS}
_TELLING = {f"{{{_XMP}}}{name}" for name in ("CreateDate", "Rating", "Label")}
_TELLING |= {f"{{{_PHOTOSHOP}}}DateCreated", f"{{{_EXIF}}}DateTimeOriginal"}

# Always dropped, since it is no longer true: the picture stands upright and has another size.
_OUTDATED = {f"{{{_TIFF}}}{name}" for name in ("Orientation", "ImageWidth", "ImageLength")}
_OUTDATED |= {f"{{{_EXIF}}}{name}" for name in ("PixelXDimension", "PixelYDimension", "ColorSpace")}
_OUTDATED |= {f"{{{_XMP}}}Thumbnails", _RECIPE}


class PacketError(ValueError):
    """The bytes are no XMP packet."""


class _NoDocumentType(ET.TreeBuilder):
    """Refuses document types, which declare entities and so could expand without limit."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise PacketError("A document type is no part of XMP.")


def telling(packet: bytes) -> bytes:
    """A packet that keeps the description of the photo and its maker, but not places and edits.

    Raises:
        PacketError: ``packet`` is no XMP packet.
    """
    return _packet(_description(packet, _is_telling))


def everything(packet: bytes) -> bytes:
    """A packet that keeps everything that is still true of the picture.

    Raises:
        PacketError: ``packet`` is no XMP packet.
    """
    return _packet(_description(packet))


def with_recipe(packet: bytes, recipe: str) -> bytes:
    """A packet, which may be empty, with a recipe added: any text that XML can hold.

    Raises:
        PacketError: ``packet`` is no XMP packet.
    """
    description = _description(packet)
    ET.SubElement(description, _RECIPE).text = recipe
    return _packet(description)


def with_rating(packet: bytes, rating: int) -> bytes:
    """A packet, which may be empty, with a number of stars, unless it has one.

    Raises:
        PacketError: ``packet`` is no XMP packet.
    """
    description = _description(packet)
    if _RATING not in description.attrib and description.find(_RATING) is None:
        description.set(_RATING, str(rating))
    return _packet(description)


def _is_telling(name: str) -> bool:
    return name in _TELLING or name[1:].partition("}")[0] in _TELLING_NAMESPACES


def _description(packet: bytes, wanted: Callable[[str], bool] = lambda _: True) -> ET.Element:
    """The wanted properties of a packet, without those that are no longer true."""
    description = ET.Element(_DESCRIPTION, {_ABOUT: ""})
    for name, value in _properties(packet) if packet else ():
        if name in _OUTDATED or not wanted(name):
            continue
        if isinstance(value, str):
            description.set(name, value)
        else:
            description.append(value)
    return description


def recipe_in(packet: bytes) -> str | None:
    """The recipe in a packet; None if there is none.

    Raises:
        PacketError: ``packet`` is no XMP packet.
    """
    for name, value in _properties(packet):
        if name == _RECIPE:
            return value if isinstance(value, str) else value.text
    return None


def _properties(packet: bytes) -> Iterator[tuple[str, str | ET.Element]]:
    """Yield every property's qualified name and its value: an attribute's text, or an element."""
    for rdf in _parsed(packet).iter(f"{{{_RDF}}}RDF"):
        for description in rdf.findall(_DESCRIPTION):  # a more deeply nested one is a value
            for name, text in description.attrib.items():
                if name != _ABOUT:
                    yield name, text
            for element in description:
                yield element.tag, element


def _parsed(packet: bytes) -> ET.Element:
    parser = ET.XMLParser(target=_NoDocumentType())
    try:
        # Programs pad packets with spaces or zeros, so that others can edit them in place.
        parser.feed(packet.strip(b"\0 \r\n\t"))
        root: ET.Element = parser.close()
    except PacketError:
        raise
    except Exception as error:  # ParseError, or a LookupError for an unknown encoding
        raise PacketError(f"No XML: {error}.") from error
    return root


def _packet(description: ET.Element) -> bytes:
    """A packet of these properties; empty if there are none."""
    if not len(description) and set(description.attrib) == {_ABOUT}:
        return b""
    meta = ET.Element(f"{{{_META}}}xmpmeta")
    ET.SubElement(meta, f"{{{_RDF}}}RDF").append(description)
    try:
        body = ET.tostring(meta, encoding="unicode")
    except (RecursionError, ValueError) as error:
        raise PacketError("It nests too deeply.") from error
    return "\n".join((_BEGIN, body, _END)).encode()
