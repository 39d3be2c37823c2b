"""Checks of single values, with dockerd's texts. Each returns the value as it is kept, or raises ValueError."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from engine.config.settings import split_mirror

_LETTER = re.compile(r"[a-zA-Z]")
_LABEL_PART = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL_PART}(?:\.{_LABEL_PART})*\.?\s*")
_TRUE = {"1", "t", "T", "TRUE", "true", "True"}
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}


def boolean(text: str) -> bool:
    """Parse as Go's strconv.ParseBool."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def integer(text: str, function: str = "ParseInt") -> int:
    """Parse as Go's strconv does, which takes 64 bits."""
    try:
        number = int(text, 0 if function == "ParseInt" else 10)
    except ValueError:
        raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax') from None
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f'strconv.{function}: parsing "{text}": value out of range')
    return number


def label(text: str) -> str:
    """Check KEY=VALUE."""
    if "=" not in text:
        raise ValueError(f"bad attribute format: {text}")
    return text


def dns_search(text: str) -> str:
    """Check a search domain; a single dot means none."""
    text = text.strip()
    if text == ".":
        return text
    if not _LETTER.search(text) or not _DOMAIN.fullmatch(text) or len(text) > 255:
        raise ValueError(f"{text} is not a valid domain")
    return text


def flag_address(text: str) -> str:
    """Check an address of a `--dns` flag."""
    return _address(text, f"invalid string being converted to IP address: {text}")


def single_address(text: str) -> str:
    """Check the address of a flag that takes one."""
    return _address(text, f'failed to parse IP: "{text}"')


def gateway_address(text: str) -> str:
    """Check an address of `--host-gateway-ip`."""
    return _address(text, f'ParseAddr("{text}"): unable to parse IP')


def file_address(text: str) -> str:
    """Check an address in `daemon.json`."""
    return _address(text, f"invalid IP address: {text}")


def _address(text: str, error: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(error) from None


def prefix(text: str) -> str:
    """Check a network in CIDR form and return it in its normal form."""
    if "/" not in text:
        raise ValueError(f"netip.ParsePrefix(\"{text}\"): no '/'")
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        address = text.partition("/")[0]
        raise ValueError(f'netip.ParsePrefix("{text}"): ParseAddr("{address}"): unable to parse IP') from None


def mirror(text: str) -> str:
    """Check a mirror: URL for docker.io, HOST=URL for any registry. A path ends with a slash, as in dockerd."""
    host, url = split_mirror(text)
    parts = _mirror_parts(url)
    if parts.query or parts.fragment:
        raise ValueError(f'invalid mirror: query or fragment at end of the URI "{url}"')
    if parts.username is not None:
        shown = url.replace(parts.netloc.rpartition("@")[0], f"{parts.username}:xxxxx", 1)
        raise ValueError(f'invalid mirror: username/password not allowed in URI "{shown}"')
    if not parts.netloc:
        raise ValueError(f'invalid mirror: no host in "{url}"')
    prefix = text.removesuffix(url) if host else ""
    return f"{prefix}{url.rstrip('/')}/"


def _mirror_parts(url: str) -> SplitResult:
    schemes = "must use either 'https://' or 'http://'"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f'invalid mirror: "{url}" is not a valid URI: {error}') from None
    if not parts.scheme:
        raise ValueError(f'invalid mirror: no scheme specified for "{url}": {schemes}')
    if parts.scheme not in ("http", "https"):
        raise ValueError(f'invalid mirror: unsupported scheme "{parts.scheme}" in "{url}": {schemes}')
    return parts


def insecure_registry(text: str) -> str:
    """Check a registry's host, host:port or network."""
    if text.startswith("-") or text.endswith("-"):
        raise ValueError(f"invalid index name ({text}). Cannot begin or end with a hyphen")
    for scheme in ("http://", "https://"):
        if text.lower().startswith(scheme):
            return text[len(scheme) :]
    return text


def text(value: str) -> str:
    """Take anything."""
    return value
