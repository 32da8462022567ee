"""Tables that grow while a run goes on: a folder of Parquet parts, each written whole, that can be read at any time."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from es_randomized.runs.storage import write_atomically


def write_part(path: Path, rows: list[dict[str, object]], schema: pa.Schema) -> None:
    """Write rows as a new part.

    Raises:
        StorageError: the disk did not take it.
    """
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), buffer)
    write_atomically(path, buffer.getvalue())


def read_parts(parts: list[Path], schema: pa.Schema) -> pa.Table:
    """The rows of all parts, in their order."""
    return pa.concat_tables([pq.read_table(part) for part in parts]) if parts else schema.empty_table()
