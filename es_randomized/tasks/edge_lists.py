"""Graphs from files: a line for every edge, with the numbers of its two vertices; what follows a # is a comment."""

from pathlib import Path

from es_randomized.errors import ConfigError


def read_edges(path: str) -> list[list[int]]:
    """The edges in a file.

    Raises:
        ConfigError: it cannot be read, or a line is no edge.
    """
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, ValueError) as error:  # no text, or no name of a file
        raise ConfigError(f"task.edges: cannot read {path}: {error}") from None
    edges = []
    for number, line in enumerate(lines, 1):
        parts = line.partition("#")[0].replace(",", " ").split()
        if len(parts) == 2 and all(part.isdecimal() for part in parts):
            edges.append([int(part) for part in parts])
        elif parts:
            raise ConfigError(
                f"task.edges: line {number} of {path} should be two numbers of vertices, as in 0 3; it is {line!r}"
            )
    return edges
