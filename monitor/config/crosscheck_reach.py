"""Cross checks of how a receiver is reached: its secrets and addresses."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from monitor.config.base import Group
from monitor.config.finding import Problem, Steps
from monitor.config.outward import PRIVATE, Alertmanager, Reached


def twins(group: Group, field: str, steps: Steps, *, needed: bool = False) -> Iterator[Problem]:
    given, file = getattr(group, field), getattr(group, f"{field}_file")
    if given and file:
        yield Problem(
            "conflict",
            (*steps, f"{field}_file"),
            f"{field} and {field}_file exclude each other",
            at_key=True,
            help="keep the file: it is read anew when it changes",
        )
    if needed and not given and not file:
        yield Problem(
            "missing-key",
            (*steps, field),
            f"{'.'.join(map(str, steps))}: {field} or {field}_file is missing",
            at_key=True,
        )


def allowed_networks(plan: Reached) -> tuple[str, ...]:
    """Private networks that a receiver may be reached in."""
    if plan.allow_private is not None:
        return plan.allow_private
    return PRIVATE if isinstance(plan, Alertmanager) else ()


def check_address(plan: Reached, url: str, steps: Steps) -> Iterator[Problem]:
    """A literal address in a network that is not allowed; names are resolved when they are used."""
    host = urlsplit(url).hostname or ""
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host.split("%")[0])
    except ValueError:
        return
    inside = any(address in ip_network(network) for network in allowed_networks(plan))
    if not inside and not address.is_global:
        yield Problem(
            "private-address",
            steps,
            f"{host} is a private address",
            at_key=False,
            help=f"allow its network: allow_private: [{address}/{address.max_prefixlen}]",
        )
