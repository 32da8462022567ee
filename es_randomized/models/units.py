"""Units that may swap their places: the same function of the same inputs is then written as other weights."""

from collections.abc import Mapping
from dataclasses import dataclass

Path = tuple[str | int, ...]  # keys and places that lead to a leaf of the weights
Axes = Mapping[str, tuple[int, ...]]  # of the leaves of a part of the weights, by their names


@dataclass(frozen=True)
class Units:
    """Interchangeable units of a model: hidden ones of an MLP, heads, features of a token.

    Attributes:
        name: what they are, for people.
        count: how many there are.
        axes: which axes of which leaves they stand along; an axis of length count · k has k entries for each of them.
    """

    name: str
    count: int
    axes: Mapping[Path, tuple[int, ...]]

    def inside(self, *places: Path) -> "Units":
        """The same units where the weights are a part, or several alike, of larger ones."""
        return Units(
            self.name, self.count, {place + path: axes for place in places for path, axes in self.axes.items()}
        )


def inside(part: Path, axes: Axes) -> dict[Path, tuple[int, ...]]:
    """Axes of leaves of a part of the weights as axes of the whole."""
    return {(*part, name): of_leaf for name, of_leaf in axes.items()}
