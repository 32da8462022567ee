"""JSON and tables with a hash of what they hold: what is read back is what was written. Files of before have none."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SHA256 = "sha256"
DAMAGED = "its checksum does not fit"


def json_of(tree: Mapping[str, Any]) -> bytes:
    """The text of a JSON file that holds `tree` and its hash."""
    return (json.dumps({**tree, SHA256: _hash(tree)}, indent=2) + "\n").encode()


def read_json(path: Path) -> dict[str, Any]:
    """What a file of `json_of` holds.

    Raises:
        OSError: it is missing or cannot be read.
        ValueError: it is damaged.
    """
    tree = dict(json.loads(path.read_bytes()))
    if tree.pop(SHA256, None) not in (None, _hash(tree)):
        raise ValueError(DAMAGED)
    return tree


def _hash(tree: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def parquet_of(table: pa.Table, compression: str = "snappy") -> bytes:
    """The content of a Parquet file that holds `table` and its hash."""
    buffer = io.BytesIO()
    metadata = {**(table.schema.metadata or {}), SHA256: _hash_of_table(table)}
    pq.write_table(table.replace_schema_metadata(metadata), buffer, compression=compression, write_page_checksum=True)
    return buffer.getvalue()


def read_parquet(path: Path) -> pa.Table:
    """What a file of `parquet_of` holds.

    Raises:
        OSError: it is missing or cannot be read.
        ValueError: it is damaged.
    """
    content = pa.BufferReader(path.read_bytes())
    try:
        table = pq.read_table(content, page_checksum_verification=True)
        metadata = dict(table.schema.metadata or {})
        same = metadata.pop(SHA256.encode(), None) in (None, _hash_of_table(table).encode())
    except (pa.ArrowException, OSError) as error:
        raise ValueError(str(error).partition("\n")[0]) from None
    if not same:
        raise ValueError(DAMAGED)
    return table.replace_schema_metadata(metadata or None)


def _hash_of_table(table: pa.Table) -> str:
    """Of its columns' names, types and values."""
    columns = [(field.name, str(field.type)) for field in table.schema]
    return hashlib.sha256(repr((columns, table.to_pydict())).encode()).hexdigest()
