"""A folder at an address, such as s3://bucket/folder: objects that are whole or absent, through pyarrow's file systems."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

from es_randomized.errors import ConfigError, StorageError

CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or the machine's role",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS or the machine's service account",
}
GOOGLE_RETRIES = "retry_limit_seconds"  # 15 minutes unless said otherwise, long after a person has lost patience


class Remote:
    """Objects by name, where `/` stands for folders. Nothing is read or written before a method says so.

    Every method raises StorageError where the store cannot be reached or refuses.
    """

    def __init__(self, files: FileSystem, root: str, address: str) -> None:
        self._files, self._root, self.address = files, root, address

    @staticmethod
    def at(address: str) -> "Remote":
        """The folder at an address.

        Raises:
            ConfigError: it is no address, of no kind there is, or holds a password.
            StorageError: the bucket cannot be found.
        """
        parts = urlsplit(address)
        if parts.password:
            raise ConfigError(
                f"an address is kept with the run, so {parts.scheme}://...@{parts.hostname}{parts.path} must not hold a "
                f"password; use {CREDENTIALS.get(parts.scheme, 'what the store reads from the environment')}"
            )
        if parts.scheme in ("gs", "gcs") and GOOGLE_RETRIES not in parts.query:
            parts = parts._replace(query=f"{parts.query}&{GOOGLE_RETRIES}=15".strip("&"))
        try:
            with _saying_what_failed("open", address):
                files, root = FileSystem.from_uri(parts.geturl())
        except pa.ArrowInvalid as error:
            raise ConfigError(
                f"{address}: {error}; addresses look like s3://bucket/folder, gs://bucket/folder or file:///folder"
            ) from None
        return Remote(files, root.rstrip("/"), address)

    def names(self, folder: str = "") -> dict[str, int]:
        """Every object here, or below a folder of it: name -> bytes."""
        below = FileSelector(f"{self._root}/{folder}".rstrip("/"), recursive=True, allow_not_found=True)
        with self._reaching("read"):
            entries = self._files.get_file_info(below)
        files = [info for info in entries if info.type == FileType.File and not info.base_name.startswith(".")]
        return {info.path[len(self._root) + 1 :]: info.size for info in files}

    def read(self, name: str) -> bytes | None:
        """The content of an object, or None where there is none (any more)."""
        with self._reaching("read"):
            try:
                with self._files.open_input_file(self._path(name)) as file:
                    return file.read()
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes) -> None:
        """Write an object. Readers meet the old one or the new one and nothing between."""
        path = self._path(name)
        with self._reaching("write"):
            if not isinstance(self._files, LocalFileSystem):
                self._write(path, data)
                return
            folder, _, base = path.rpartition("/")
            unfinished = f"{folder}/.{base}.{uuid.uuid4().hex}"
            self._files.create_dir(folder, recursive=True)
            self._write(unfinished, data)
            self._files.move(unfinished, path)

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        with self._reaching("delete in"), suppress(FileNotFoundError):
            self._files.delete_file(self._path(name))

    def _write(self, path: str, data: bytes) -> None:
        with self._files.open_output_stream(path) as file:
            file.write(data)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _reaching(self, what: str) -> Iterator[None]:
        try:
            with _saying_what_failed(what, self.address):
                yield
        except pa.ArrowException as error:
            raise StorageError(f"cannot {what} {self.address}: {error}") from error


@contextmanager
def _saying_what_failed(what: str, address: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot {what} {address}: {error}. Check the address, {_permission(address)} and the network"
        ) from error


def _permission(address: str) -> str:
    names = CREDENTIALS.get(urlsplit(address).scheme)
    return f"the credentials ({names})" if names else "the permission to use it"
