"""XMP packets: what of a photo's goes into its picture, and the recipe in it.

XMP is RDF in XML: https://developer.adobe.com/xmp/docs/ and ISO 16684-1. A packet comes from a
stranger, so it is parsed without document types, and what cannot be parsed is left out.
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

# ElementTree names namespaces that it does not know ns0, ns1 and so on, which is right, and ugly.
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
_DESCRIPTION = f"{{{_RDF}}}Description"
_ABOUT = f"{{{_RDF}}}about"

# The marks that programs which know nothing of a file's format find a packet by.
_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_END = '<?xpacket end="w"?>'

# A photo's own words, its maker and dates. Not: places, edit histories, marked faces, and settings
# of raw converters, which these would apply to the picture again.
_TELLING_NAMESPACES = {_DUBLIN_CORE, _RIGHTS}
_TELLING = {f"{{{_XMP}}}{name}" for name in ("CreateDate", "Rating", "Label")}
_TELLING |= {f"{{{_PHOTOSHOP}}}DateCreated", f"{{{_EXIF}}}DateTimeOriginal"}

# What is not true of the picture any more, whoever asks: it stands upright and has another size.
_OUTDATED = {f"{{{_TIFF}}}{name}" for name in ("Orientation", "ImageWidth", "ImageLength")}
_OUTDATED |= {f"{{{_EXIF}}}{name}" for name in ("PixelXDimension", "PixelYDimension", "ColorSpace")}
_OUTDATED |= {f"{{{_XMP}}}Thumbnails", _RECIPE}


class PacketError(ValueError):
    """Bytes that are no XMP packet."""


class _NoDocumentType(ET.TreeBuilder):
    """Refuses what entities, and with them bombs of them, are declared in."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise PacketError("A document type is no part of XMP.")


def telling(packet: bytes) -> bytes:
    """What a photo says of itself and its maker, and nothing of where and how it was made.

    Raises:
        PacketError: This is no packet.
    """
    return _packet(_description(packet, _is_telling))


def everything(packet: bytes) -> bytes:
    """All of a packet that is true of the picture, too.

    Raises:
        PacketError: This is no packet.
    """
    return _packet(_description(packet))


def with_recipe(packet: bytes, recipe: str) -> bytes:
    """A packet, or nothing, with a recipe added: any text that XML can hold.

    Raises:
        PacketError: This is no packet.
    """
    description = _description(packet)
    ET.SubElement(description, _RECIPE).text = recipe
    return _packet(description)


def _is_telling(name: str) -> bool:
    return name in _TELLING or name[1:].partition("}")[0] in _TELLING_NAMESPACES


def _description(packet: bytes, wanted: Callable[[str], bool] = lambda _: True) -> ET.Element:
    """The wanted properties of a packet, without those that are not true any more."""
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
    """The recipe in a packet; None where there is none.

    Raises:
        PacketError: This is no packet.
    """
    for name, value in _properties(packet):
        if name == _RECIPE:
            return value if isinstance(value, str) else value.text
    return None


def _properties(packet: bytes) -> Iterator[tuple[str, str | ET.Element]]:
    """Every property by its qualified name: a text of an attribute, or an element."""
    for rdf in _parsed(packet).iter(f"{{{_RDF}}}RDF"):
        for description in rdf.findall(_DESCRIPTION):  # one further in is a value
            for name, text in description.attrib.items():
                if name != _ABOUT:
                    yield name, text
            for element in description:
                yield element.tag, element


def _parsed(packet: bytes) -> ET.Element:
    parser = ET.XMLParser(target=_NoDocumentType())
    try:
        # Writers pad packets with spaces or zeros, so that they can be changed in their place.
        parser.feed(packet.strip(b"\0 \r\n\t"))
        root: ET.Element = parser.close()
    except PacketError:
        raise
    except Exception as error:  # ParseError, and a LookupError for an encoding nobody knows
        raise PacketError(f"No XML: {error}.") from error
    return root


def _packet(description: ET.Element) -> bytes:
    """A packet of these properties; nothing if there are none."""
    if not len(description) and set(description.attrib) == {_ABOUT}:
        return b""
    meta = ET.Element(f"{{{_META}}}xmpmeta")
    ET.SubElement(meta, f"{{{_RDF}}}RDF").append(description)
    try:
        body = ET.tostring(meta, encoding="unicode")
    except (RecursionError, ValueError) as error:
        raise PacketError("It nests too deeply.") from error
    return "\n".join((_BEGIN, body, _END)).encode()
