"""What the locks in requirements/ pin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.markers import Marker


@dataclass(frozen=True)
class Pin:
    """One version of a package. A marker says where it is installed; without one, everywhere."""

    name: str
    version: str
    marker: Marker | None

    @property
    def is_for_here(self) -> bool:
        """Whether it is installed on this system and Python."""
        return self.marker is None or self.marker.evaluate()


def read_pins(lock: Path) -> list[Pin]:
    """Return the pins of a lock, in its order."""
    lines = [line.removesuffix("\\") for line in lock.read_text().splitlines() if "==" in line]
    return [_parse_pin(line) for line in lines if not line.startswith((" ", "#"))]


def _parse_pin(line: str) -> Pin:
    requirement = Requirement(line)
    version = str(requirement.specifier).removeprefix("==")
    return Pin(canonicalize_name(requirement.name), version, requirement.marker)
