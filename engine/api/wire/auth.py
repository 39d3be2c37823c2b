"""Credentials as clients send them: the `X-Registry-Auth` header and the body of `POST /auth`."""

import base64
import binascii
from typing import Any

import msgspec
from aiohttp import web

from engine.api.wire.codec import lookup
from engine.drivers.registry.credentials import ANONYMOUS, Credentials

HEADER = "X-Registry-Auth"


def credentials(request: web.BaseRequest) -> Credentials:
    """Return what the header says: base64url of JSON, padded or not. What is unreadable is nothing, as in dockerd."""
    text = request.headers.get(HEADER, "").strip().translate(str.maketrans("+/", "-_")).rstrip("=")
    try:
        value = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return ANONYMOUS
    return read(value) if isinstance(value, dict) else ANONYMOUS


def read(value: dict[str, Any]) -> Credentials:
    """Return the credentials of an AuthConfig. Values of another type than text count as absent."""
    username, password = _text(value, "username"), _text(value, "password")
    if not username and (auth := _text(value, "auth")):
        username, password = _split(auth)
    return Credentials(
        username=username,
        password=password,
        identity_token=_text(value, "identitytoken"),
        registry_token=_text(value, "registrytoken"),
        server_address=_text(value, "serveraddress"),
    )


def _text(value: dict[str, Any], name: str) -> str:
    found = lookup(value, name)
    return found if isinstance(found, str) else ""


def _split(auth: str) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(auth).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return name, password.rstrip("\0")
