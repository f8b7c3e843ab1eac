"""What a friend's ConfigMap may hold: what the cluster would take, and can take back."""

import re
from typing import Final

from chalicelib.domain.admission.names import is_data_key, member
from chalicelib.domain.admission.report import Report, child, echo, remove
from chalicelib.domain.model import JsonObject

LARGEST_DATA_BYTES: Final = 1024 * 1024

# Standard base64, padded. Line ends in it do no harm: the API server skips them.
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_LINE_ENDS: Final = str.maketrans("", "", "\r\n")
_CHARS_PER_GROUP: Final = 4
_BYTES_PER_GROUP: Final = 3


def check_config_map(manifest: JsonObject, at: str, report: Report) -> None:
    """Refuse keys and values that the cluster would refuse, and a ConfigMap set in stone."""
    texts, blobs = manifest.get("data", {}), manifest.get("binaryData", {})
    _check_keys(texts, child(at, "data"), report)
    _check_keys(blobs, child(at, "binaryData"), report)
    for key in sorted(texts.keys() & blobs.keys()):
        pointer = member(child(at, "binaryData"), key)
        report.refuse(pointer, f"The key {echo(key)} is in data too; it must be in one of them.")
    size = sum(len(text.encode(errors="replace")) for text in texts.values())
    size += _check_blobs(blobs, child(at, "binaryData"), report)
    if size > LARGEST_DATA_BYTES:
        report.refuse(at, "A ConfigMap may hold 1 MiB at most.")
    if manifest.get("immutable"):
        pointer = child(at, "immutable")
        message = "immutable must be absent or false: nobody could change or mend the ConfigMap."
        report.refuse(pointer, message, remove(pointer))


def _check_keys(values: JsonObject, at: str, report: Report) -> None:
    for key in values:
        if key == "." or not is_data_key(key):
            message = (
                f"The key {echo(key)} must be 1 to 253 letters, digits, '-', '_' and '.', and"
                " neither be '.' nor start with '..'."
            )
            report.refuse(member(at, key), message)


def _check_blobs(blobs: JsonObject, at: str, report: Report) -> int:
    size = 0
    for key, value in blobs.items():
        text = value.translate(_LINE_ENDS)
        if len(text) % _CHARS_PER_GROUP or not _BASE64.fullmatch(text):
            report.refuse(member(at, key), f"The value of {echo(key)} must be base64, padded.")
        size += len(text) // _CHARS_PER_GROUP * _BYTES_PER_GROUP
    return size
