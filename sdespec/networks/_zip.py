"""Checks of zip archives that are made before a byte of them is expanded."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sdespec.core.errors import FormatError, UnsafeFileError

__all__ = ["checked_members", "open_zip"]

_MAX_RATIO = 200
_MAX_EXPANDED = 64 * 1024**2


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; damage of any kind becomes a FormatError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zipfile.LargeZipFile) as error:
        raise FormatError(f"truncated or damaged zip archive ({error})", file=str(path)) from error
    except RuntimeError as error:  # zipfile raises it for encrypted members
        raise FormatError(f"the zip archive cannot be read ({error})", file=str(path)) from error


def checked_members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Members of an archive, none of them duplicate or a bomb."""
    members = archive.infolist()
    seen: set[str] = set()
    available = path.stat().st_size
    for member in members:
        if member.filename in seen:
            raise FormatError("the archive holds this name twice", file=str(path), tensor=member.filename)
        seen.add(member.filename)
        if member.header_offset + member.compress_size > available:
            raise FormatError(
                f"the archive claims {member.compress_size} bytes at {member.header_offset}, but ends at {available}",
                file=str(path),
                tensor=member.filename,
            )
        expands = member.file_size > _MAX_RATIO * max(1, member.compress_size)
        if expands and member.file_size > _MAX_EXPANDED:
            raise UnsafeFileError(
                f"a member of {member.compress_size} bytes claims to expand to {member.file_size}; more than "
                f"{_MAX_RATIO}-fold and {_MAX_EXPANDED // 1024**2} MB is refused. Save it uncompressed if it is meant",
                file=str(path),
                tensor=member.filename.removesuffix(".npy"),
            )
    return members
