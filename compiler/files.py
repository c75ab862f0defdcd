"""Output files that exist complete or not at all: write beside the destination, then rename over
it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import LpcError


def check_writable(destination: Path) -> None:
    """LpcError now rather than after minutes of work."""
    with replacing(destination) as beside:
        beside.unlink()


@contextmanager
def replacing(destination: Path) -> Iterator[Path]:
    """A temporary path in the destination's folder; it takes the destination's name when the block
    succeeds.

    A block that fails, or that removes the temporary file, leaves the destination as it was."""
    try:
        if destination.is_dir():
            raise IsADirectoryError(21, "is a folder")
        handle, name = tempfile.mkstemp(prefix=f".{destination.name}.", dir=destination.parent)
        os.close(handle)
    except OSError as error:
        raise LpcError(f"{destination}: cannot write: {error.strerror}") from error
    beside = Path(name)
    try:
        yield beside
        if beside.exists():
            beside.chmod(0o666 & ~_umask())
            beside.replace(destination)
    except OSError as error:
        raise LpcError(f"{destination}: cannot write: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


def write(destination: Path, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    with replacing(destination) as beside:
        beside.write_bytes(data)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
