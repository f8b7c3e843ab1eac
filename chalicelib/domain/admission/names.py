"""The syntax of Kubernetes names, label keys and paths, and where a member with a name is.

The rules are those of k8s.io/apimachinery/pkg/util/validation.
"""

import re
from typing import Final

from chalicelib.domain.admission.report import Patch, child, remove
from chalicelib.domain.errors import LONGEST_ECHO

LONGEST_LABEL: Final = 63
LONGEST_SUBDOMAIN: Final = 253

_DNS_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
SERVICE_LABEL: Final = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(
    r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
)
_QUALIFIED_PART: Final = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
# RFC 6335: at most 15 characters, one letter at least, no two hyphens side by side.
_PORT_NAME: Final = re.compile(r"(?=.{1,15}\Z)(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*")
_DATA_KEY: Final = re.compile(r"(?!\.\.)[-._a-zA-Z0-9]{1,253}")

DNS_LABEL_RULE: Final = (
    "1 to 63 lower-case letters, digits and hyphens, and start and end with a letter or digit"
)
PORT_NAME_RULE: Final = "1 to 15 lower-case letters, digits and single hyphens, with a letter"


def is_dns_label(text: str) -> bool:
    """Whether this may be a DNS label (RFC 1123)."""
    return len(text) <= LONGEST_LABEL and _DNS_LABEL.fullmatch(text) is not None


def is_service_label(text: str) -> bool:
    """Whether this may be a DNS label that starts with a letter (RFC 1035)."""
    return len(text) <= LONGEST_LABEL and SERVICE_LABEL.fullmatch(text) is not None


def is_subdomain(text: str, longest: int = LONGEST_SUBDOMAIN) -> bool:
    """Whether this may be a DNS subdomain: labels, joined by dots."""
    return len(text) <= longest and _SUBDOMAIN.fullmatch(text) is not None


def is_label_key(text: str) -> bool:
    """Whether this may be the key of a label or annotation, with or without a prefix."""
    prefix, slash, name = text.rpartition("/")
    if slash and not is_subdomain(prefix):
        return False
    return len(name) <= LONGEST_LABEL and _QUALIFIED_PART.fullmatch(name) is not None


def is_label_value(text: str) -> bool:
    """Whether this may be the value of a label."""
    if len(text) > LONGEST_LABEL:
        return False
    return not text or _QUALIFIED_PART.fullmatch(text) is not None


def is_port_name(text: str) -> bool:
    """Whether this may be the name of a container's port."""
    return _PORT_NAME.fullmatch(text) is not None


def is_data_key(text: str) -> bool:
    """Whether this may be a key of a ConfigMap or Secret."""
    return _DATA_KEY.fullmatch(text) is not None


def is_inside(path: str) -> bool:
    """Whether a path stays inside the directory that it starts from."""
    return not path.startswith(("/", "..")) and ".." not in path.split("/")


def member(pointer: str, key: str) -> str:
    """Return the pointer of a member; where its key is too long to show, of what holds it."""
    return child(pointer, key) if len(key) <= LONGEST_ECHO else pointer


def removal(pointer: str, key: str) -> Patch | None:
    """Return the patch that removes a member, unless its key is too long to show."""
    return remove(child(pointer, key)) if len(key) <= LONGEST_ECHO else None
