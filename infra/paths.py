"""Where things are in this repository."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK: Final = ROOT / "requirements" / "runtime.txt"
DEVELOPMENT_LOCK: Final = ROOT / "requirements" / "dev.txt"
RESOURCES: Final = ROOT / "infra" / "resources.yaml"
