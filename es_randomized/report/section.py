"""A part of a page: paragraphs, tables and figures under one title."""

from dataclasses import dataclass, field

from es_randomized.report.figures import PageFigure
from es_randomized.report.tables import Table


@dataclass(frozen=True)
class Section:
    """A part of the page; a section without any content is left out.

    Attributes:
        name: its address on the page.
        text: paragraphs.
        listings: long texts by their titles, closed until somebody wants to see them.
    """

    name: str
    title: str
    text: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[PageFigure] = field(default_factory=list)
    listings: dict[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.text or self.tables or self.figures or self.listings)
