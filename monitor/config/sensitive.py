"""Which parts of a configuration file must never be shown."""

from __future__ import annotations

import difflib
import re
from typing import Any

from monitor.config.finding import Steps
from monitor.config.tree import Leaf

MASK = "<secret>"
_WORDS = re.compile(
    r"passw|passphrase|secret|token|routing.?key|bearer|credential|jaas|cookie|auth|api.?key|(^|[._-])key($|[._-])|\.pem$",
    re.IGNORECASE,
)
_NAMED = {"sources", "models", "targets", "entities", "features", "windows", "rules", "tolerance"}
_SECRETS = ("password", "secret", "old_secret", "token", "bearer_token", "routing_key")
_PLAIN = {
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "ssl.key.location",
    "enable.sasl.oauthbearer.unsecure.jwt",
}
_KEYED = re.compile(r"""(?P<key>[\w.-]+)["']?\s*:\s*(?=\S)""")
IN_URL = re.compile(r"""(?<=://)[^/\s@]+(?=@)|(?<=\?)(?=[^\s?"']*=)[^\s?"']+""")
"""User and password of a URL, and its query, where many a service takes its token."""


def is_sensitive_key(key: str) -> bool:
    """True for names of secrets, and for misspelt ones; names of files and of settings that
    merely mention one are not."""
    if key in _PLAIN or key.endswith(("_file", ".location", ".url", ".mechanism")) or key == "file":
        return False
    if key == "secret_properties":
        return False
    close = difflib.get_close_matches(key.lower(), _SECRETS, n=1, cutoff=0.75)
    return bool(_WORDS.search(key)) or bool(close)


def is_sensitive(steps: Steps) -> bool:
    """True when the value at `steps` is, or lies in, a secret."""
    if steps and str(steps[-1]).endswith("file") and not isinstance(steps[-1], int):
        return False
    before: str | int = ""
    for step in steps:
        if before == "secret_properties":
            return True
        if isinstance(step, str) and before not in _NAMED and is_sensitive_key(step):
            return True
        before = step
    return False


def may_show(leaf: Leaf) -> bool:
    """True for a placeholder without a default: it names a secret, it does not hold one."""
    text = leaf.raw or leaf.text
    return bool(re.fullmatch(r"\$\{[^}]*\}", text)) and ":-" not in text


def mask_urls(value: Any) -> Any:
    """A value of the configuration without what URLs in it may hide."""
    return IN_URL.sub(MASK, value) if isinstance(value, str) and "://" in value else value


def mask_loose(line: str) -> str:
    """A line of a file that could not be composed, everything after a name of a secret masked;
    "" when it may be the inside of one."""
    for match in _KEYED.finditer(line):
        if is_sensitive_key(match["key"]):
            return line[: match.end()] + MASK
    return IN_URL.sub(MASK, line) if ":" in line and len(line) < 300 else ""
