"""What is the platform's own: a host name or an id that starts so would be taken for it.

A friend's page under admin-login-… is trusted with what people type into the platform's. Words are
what hyphens part, and count with a plural's s and digits behind: admin2, accounts.
"""

import re
from typing import Final

_WORDS: Final = frozenset(
    {
        *("account", "admin", "administrator", "api", "auth", "billing", "console", "dashboard"),
        *("friends-api", "help", "idp", "imap", "log-in", "log-on", "login", "logon", "logout"),
        *("mail", "oauth", "oidc", "password", "payment", "root", "secure", "security", "sign-in"),
        *("sign-up", "signin", "signup", "smtp", "sso", "status", "support", "system", "verify"),
        *("webmail", "www"),
    }
)
RESERVED_START: Final = re.compile(rf"^(?:{'|'.join(sorted(_WORDS))})s?[0-9]*(?:-|$)")


def is_reserved(label: str) -> bool:
    """Tell whether a label, or an id, starts with words of the platform's own."""
    return RESERVED_START.match(label) is not None
