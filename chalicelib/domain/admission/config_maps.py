"""What a friend's ConfigMap may hold: what the cluster would take, and can take back."""

import math
import re
from typing import Final

from chalicelib.domain.admission.names import is_data_key, member
from chalicelib.domain.admission.report import Report, child, echo, remove
from chalicelib.domain.model import JsonObject

# etcd keeps every ConfigMap of every friend in memory, and holds 2 GiB by default.
LARGEST_DATA_BYTES: Final = 64 * 1024

# Standard base64, padded. Line ends in it do no harm: the API server skips them.
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_LINE_ENDS: Final = str.maketrans("", "", "\r\n")
_KIBI: Final = 1024
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
    size = sum(_bytes_of(key) for key in (*texts, *blobs)) + sum(map(_bytes_of, texts.values()))
    size += _check_blobs(blobs, child(at, "binaryData"), report)
    if size > LARGEST_DATA_BYTES:
        message = (
            f"A ConfigMap may hold {LARGEST_DATA_BYTES // _KIBI} KiB at most, and this one holds"
            f" {math.ceil(size / _KIBI)} KiB: the UTF-8 bytes of its keys and values, binaryData"
            " decoded. Split it, put the files into the image, or fetch them when the container"
            " starts."
        )
        report.refuse(at, message)
    if manifest.get("immutable"):
        pointer = child(at, "immutable")
        message = "immutable must be absent or false: nobody could change or mend the ConfigMap."
        report.refuse(pointer, message, remove(pointer))


def _bytes_of(text: str) -> int:
    return len(text.encode(errors="replace"))


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
        size += len(text) // _CHARS_PER_GROUP * _BYTES_PER_GROUP - text.count("=")
    return size
