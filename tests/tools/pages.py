"""Tutorials as tests read them: fenced blocks, of which some are files, some are run and some show what is printed."""

import re
from pathlib import Path
from typing import NamedTuple

PAGES = Path(__file__).parents[2] / "docs" / "tutorials"


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The file it is, if it begins with a comment that is a name."""
        name = re.match(r"# ([\w.]+\.(?:py|yaml))\n", self.text)
        return name[1] if name else None


def blocks(page: str, smaller: dict[str, str] | None = None) -> list[Block]:
    """The blocks of a page, with some of its words replaced by others that mean less work."""
    text = (PAGES / f"{page}.md").read_text()
    for shown, here in (smaller or {}).items():
        assert shown in text, f"{page} no longer says {shown!r}"
        text = text.replace(shown, here)
    return [Block(*parts) for parts in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]


def write_files(page: str, folder: Path) -> None:
    """Save the files of a page."""
    for block in blocks(page):
        if block.file:
            (folder / block.file).write_text(block.text)


def shows(printed: str, expected: str) -> None:
    """What a page shows is printed, in that order; ... is anything, and tables may have other widths."""
    pieces = [" ".join(piece.split()) for piece in expected.split("...")]
    pattern = ".*?".join(re.escape(piece) for piece in pieces)
    plain = " ".join(re.sub(r"[─-╿]+", " ", printed).split())  # box-drawing characters
    assert re.search(pattern, plain, re.DOTALL), f"expected\n{expected}\nbut it printed\n{printed}"
