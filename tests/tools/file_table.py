"""What every file of the package is, from its docstring: writes docs/files.md."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "files.md"


def page() -> str:
    """The page as it should be."""
    package = ROOT / "es_randomized"
    rows = {
        str(path.relative_to(package)): (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
        for path in package.rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py")
    }
    table = [f"| `{name}` | {summary} |" for name, summary in sorted(rows.items())]
    return "\n".join(
        ["# What every file is", "", "Written by `make files`.", "", "| file | what it is |", "|---|---|", *table, ""]
    )


if __name__ == "__main__":
    PAGE.write_text(page())
