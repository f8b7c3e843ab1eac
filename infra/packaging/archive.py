"""The zip: of the same tree always the same bytes, and small."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Final

from infra.packaging.commands import PackageError

if TYPE_CHECKING:
    from pathlib import Path

# What a function downloads and unpacks before it can start.
LARGEST_BYTES: Final = 10_000_000
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_READABLE_FILE: Final = 0o100644 << 16
_UNIX: Final = 3
_BEST: Final = 9


def write_archive(tree: Path, archive: Path) -> None:
    """Pack the tree: sorted, with one time and one mode for all. Raises PackageError."""
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(path for path in tree.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(tree).as_posix(), _TIME)
            entry.create_system, entry.external_attr = _UNIX, _READABLE_FILE
            packed.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, _BEST)
    size = archive.stat().st_size
    if size > LARGEST_BYTES:
        raise PackageError(
            f"The bundle has {size / 1e6:.1f} MB, more than {LARGEST_BYTES / 1e6:.0f}: see what "
            "infra/packaging/vendor.py can leave out of a new dependency."
        )
