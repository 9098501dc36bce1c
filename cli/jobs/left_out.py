"""The files and folders that a search for photos leaves alone, and what would read them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nstbatch.cli.text import count, printable, shell

FOLDERS_OF_SYSTEMS = frozenset(
    {
        "@eadir",  # Synology: thumbnails
        "thumbs",  # thumbnails of several programs
        "#recycle",  # Synology: deleted files
        "@recycle",  # QNAP: deleted files
        "$recycle.bin",  # Windows: deleted files
        "#snapshot",  # Synology: earlier versions
        "@recently-snapshot",  # QNAP: earlier versions
        "__macosx",  # macOS: what its archives add to the files
    }
)
"""Folders of copies that a NAS or a system makes by itself, in lower case; hidden ones aside."""

_OTHERS = (
    ".apng .cin .cur .dds .dib .dpx .eps .exr .hdr .icns .ico .j2k .jp2 .jpf .jpx .jxr .pbm .pcx "
    ".pfm .pgm .pnm .ppm .psb .psd .qoi .svg .tga .wdp .xcf"
)
_READERS = {
    ".avci": "heif-convert of libheif turns them into JPEG or PNG",
    _OTHERS: "ImageMagick or GIMP turns them into PNG",
}
READERS = {suffix: reader for group, reader in _READERS.items() for suffix in group.split()}
"""Suffixes of pictures that this tool does not read, in lower case -> what would read them."""


@dataclass
class LeftOut:
    """A count of what a search leaves alone."""

    pictures: Counter[str] = field(default_factory=Counter)
    """The number of picture files that cannot be read, by suffix in lower case."""
    links: list[Path] = field(default_factory=list)
    """Links to folders, which are not followed."""
    folders: list[Path] = field(default_factory=list)
    """Folders that a NAS or a system keeps copies in."""
    results: list[Path] = field(default_factory=list)
    """Pictures that an earlier run has made."""
    excluded: int = 0
    """The number of pictures left out by ``--include`` and ``--exclude``."""
    excluded_folders: int = 0
    """The number of folders left out by ``--exclude``, which are not searched."""

    def lines(self) -> list[str]:
        """Return a sentence for each kind; none if nothing was left out."""
        lines = []
        for reader in dict.fromkeys(READERS.values()):
            found = {
                suffix: number
                for suffix, number in sorted(self.pictures.items())
                if READERS[suffix] == reader
            }
            if found:
                files = ", ".join(f"{number} {suffix}" for suffix, number in found.items())
                noun = "file" if sum(found.values()) == 1 else "files"
                lines.append(f"Left alone, as nstbatch cannot read them: {files} {noun}; {reader}.")
        if self.links:
            what = _first(self.links, "link")
            lines.append(f"Not followed: {what} to folders. Give such a folder as an input.")
        if self.folders:
            what = _first(self.folders, "folder")
            lines.append(f"Left out: {what} of thumbnails or deleted files.")
        if self.results:
            what = _first(self.results, "picture")
            example = self.results[0]
            names = shell([os.fspath(example.with_name(f"*{example.suffix}"))])
            lines.append(
                f"Left out: {what} made by nstbatch. To take such pictures, name them: {names}."
            )
        if self.excluded or self.excluded_folders:
            numbers = {"picture": self.excluded, "folder": self.excluded_folders}
            what = " and ".join(count(number, noun) for noun, number in numbers.items() if number)
            lines.append(f"Left out by --include and --exclude: {what}.")
        return lines


def is_of_a_system(name: str) -> bool:
    """True for the name of a folder in which a NAS or a system keeps its copies of photos."""
    return name.lower() in FOLDERS_OF_SYSTEMS


def _first(paths: Sequence[Path], noun: str) -> str:
    example = printable(paths[0])
    return f"{count(len(paths), noun)} ({example}{', ...' if len(paths) > 1 else ''})"
