"""An object store made of a folder, with a switch: objects appear whole, folders need no making, and it can go away."""

import io
import os
import uuid
from pathlib import Path

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystemHandler, FileType, LocalFileSystem, PyFileSystem, SubTreeFileSystem

from es_randomized.runs.remote.store import Remote


class Upload(io.BytesIO):
    """An object that appears when it is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def close(self) -> None:
        if not self.closed:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self.path.with_name(f".{uuid.uuid4().hex}")
            unfinished.write_bytes(self.getvalue())
            os.replace(unfinished, self.path)
        super().close()


class FaultyStore(FileSystemHandler):
    """Does what it is asked until `left` operations were done; then every one fails. None: it never fails."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.files = SubTreeFileSystem(str(folder), LocalFileSystem())
        self.left: int | None = None
        self.written: list[str] = []

    def remote(self) -> Remote:
        return Remote(PyFileSystem(self), "run", "faulty://run")

    def _work(self) -> None:
        if self.left == 0:
            raise OSError("the store is away")
        if self.left is not None:
            self.left -= 1

    def get_file_info_selector(self, selector: FileSelector):
        self._work()
        return self.files.get_file_info(selector)

    def get_file_info(self, paths):
        self._work()
        return self.files.get_file_info(paths)

    def open_input_file(self, path):
        self._work()
        if self.files.get_file_info(path).type == FileType.NotFound:
            raise FileNotFoundError(path)
        return self.files.open_input_file(path)

    def open_output_stream(self, path, metadata):
        self._work()
        self.written.append(path)
        return pa.PythonFile(Upload(self.folder / path), mode="w")

    def delete_file(self, path):
        self._work()
        self.files.delete_file(path)

    def get_type_name(self):
        return "faulty"

    def normalize_path(self, path):
        return path

    def _unused(self, *_):
        raise AssertionError("object stores cannot do that, or not at once")

    copy_file = create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = move = _unused
    open_append_stream = open_input_stream = _unused
