"""Whole answers: JSON and empty ones."""

from typing import Any

import msgspec
from aiohttp import web

_encoder = msgspec.json.Encoder()


def encode_json(value: Any) -> bytes:
    """Return compact JSON with the line end that Go's encoder writes."""
    return _encoder.encode(value) + b"\n"


def json(value: Any, status: int = 200) -> web.Response:
    """Return a JSON answer. `value` is made of dicts, lists, texts, numbers, None."""
    return web.Response(body=encode_json(value), status=status, content_type="application/json")


def text(value: str, status: int = 200) -> web.Response:
    """Return an answer of plain text."""
    return web.Response(text=value, status=status)


def empty(status: int) -> web.Response:
    """Return an answer without a body."""
    return web.Response(status=status)


def failure(message: str, status: int) -> web.Response:
    """Return an error as Docker's clients read it; the content type matters to them."""
    return json({"message": message}, status)
