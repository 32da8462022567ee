"""Tables that grow while a run goes on: a folder of Parquet parts, each written whole, that can be read at any time."""

import logging
from pathlib import Path

import pyarrow as pa

from es_randomized.runs.checked import parquet_of, read_parquet
from es_randomized.runs.storage import write_atomically

log = logging.getLogger(__name__)


def write_part(path: Path, rows: list[dict[str, object]], schema: pa.Schema) -> None:
    """Write rows as a new part.

    Raises:
        StorageError: the disk did not take it.
    """
    write_atomically(path, parquet_of(pa.Table.from_pylist(rows, schema)))


def read_parts(parts: list[Path], schema: pa.Schema) -> pa.Table:
    """The rows of all parts, in their order; a damaged part is passed over with a line. What older ones lack is null."""
    tables = (_read(part) for part in parts)
    found = [schema.empty_table(), *(table for table in tables if table is not None)]
    return pa.concat_tables(found, promote_options="default")


def _read(part: Path) -> pa.Table | None:
    try:
        return read_parquet(part)
    except FileNotFoundError:  # taken up by another part in this moment
        return None
    except (OSError, ValueError) as error:
        log.warning("%s is damaged and passed over: %s", part, error)
        return None
