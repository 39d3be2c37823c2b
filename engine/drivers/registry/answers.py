"""What registries say about errors (OCI distribution specification, "Error Codes"). Pure."""

from typing import Any

import msgspec


class _Error(msgspec.Struct):
    code: str | None = None
    message: str | None = None
    detail: Any = None


class _Errors(msgspec.Struct):
    errors: list[_Error]


def error_in(body: bytes) -> tuple[str, str]:
    """Return the code and the message of the first error in an answer, empty where it is of another form."""
    try:
        first = msgspec.json.decode(body)["errors"][0]
        code, message = first.get("code") or "UNKNOWN", first.get("message") or ""
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, IndexError, TypeError, AttributeError):
        return "", ""
    return (code, message) if isinstance(code, str) and isinstance(message, str) else ("", "")


def told_in(body: bytes) -> str:
    """Return what dockerd shows of all errors in an answer, empty where it is of another form."""
    try:
        errors = msgspec.json.decode(body, type=_Errors).errors
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return "\n".join(_shown(error) for error in errors)


def _shown(error: _Error) -> str:
    message = error.message or worded(error.code or "UNKNOWN")
    return f"{message} - {error.detail}" if isinstance(error.detail, str) else message


def worded(code: str) -> str:
    """Return a code as Docker prints it: `name unknown`."""
    return code.lower().replace("_", " ")
