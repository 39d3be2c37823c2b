"""What a registry asks for with a 401: `WWW-Authenticate` read, and its realm judged. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.drivers.registry.failures import InvalidChallenge

_PARAMETER = re.compile(r'\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*(?:,|$)')
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Challenge:
    """The scheme in lower case (`bearer`, `basic`) and the parameters."""

    scheme: str
    parameters: dict[str, str]


def parse(headers: Iterable[str]) -> list[Challenge]:
    """Return the challenges of all `WWW-Authenticate` headers, one each; unreadable ones are left out."""
    found = []
    for header in headers:
        scheme, _, rest = header.strip().partition(" ")
        if scheme:
            parameters = {k.lower(): _unquote(quoted) or bare for k, quoted, bare in _PARAMETER.findall(rest)}
            found.append(Challenge(scheme.lower(), parameters))
    return found


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def choose(challenges: Iterable[Challenge], scheme: str) -> Challenge | None:
    """Return the first challenge of a scheme."""
    return next((c for c in challenges if c.scheme == scheme), None)


def realm_of(challenge: Challenge, asked: str) -> str:
    """Return the URL at which a token is to be had; `asked` is the URL that was refused.

    The realm may be another host, as it is for Docker Hub, but a registry reached through TLS must not send secrets to
    a place without. Raises InvalidChallenge.
    """
    realm = challenge.parameters.get("realm", "")
    parts = urlsplit(realm)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise InvalidChallenge(f"unusable realm {realm!r}")
    plain = parts.scheme == "http" and parts.hostname not in _LOOPBACK
    if plain and urlsplit(asked).scheme == "https":
        raise InvalidChallenge(f"realm {realm!r} is not protected by TLS, the registry is")
    return realm
