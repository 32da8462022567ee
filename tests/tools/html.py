"""A page as a list of elements, by the standard library's parser."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass
class Element:
    """An element with the tags it lies in, outermost first, and all text inside it."""

    tag: str
    attributes: dict[str, str | None]
    within: list[str]
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def all(self, *tags: str) -> list["Element"]:
        """Elements inside it, in the order of the page."""
        found = []
        for child in self.children:
            found += [child] * (child.tag in tags) + child.all(*tags)
        return found

    def cells(self) -> list[list[str]]:
        """The texts of a table."""
        return [[cell.text for cell in row.all("th", "td")] for row in self.all("tr")]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Element("", {}, [])
        self.open = [self.page]

    def handle_starttag(self, tag, attributes):
        element = Element(tag, dict(attributes), [each.tag for each in self.open])
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open[-1].tag == tag, f"{tag} is closed inside {self.open[-1].tag}"
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element.text += data


def read_html(text: str) -> Element:
    """The whole page; asserts that every element is closed where it should be."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == [reader.page]
    return reader.page
