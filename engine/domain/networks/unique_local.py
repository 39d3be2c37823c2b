"""IPv6 subnets that are nobody else's (RFC 4193)."""

import secrets
from ipaddress import IPv6Network


def new_subnet() -> IPv6Network:
    """Return a /64 of a unique local prefix: fd, 40 random bits, subnet 0."""
    return IPv6Network((b"\xfd" + secrets.token_bytes(5) + bytes(10), 64))
