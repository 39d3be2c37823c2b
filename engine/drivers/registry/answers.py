"""What registries say about errors (OCI distribution specification, "Error Codes"). Pure."""

import msgspec


def error_in(body: bytes) -> tuple[str, str]:
    """Return the code and the message of the first error in an answer, empty where it is of another form."""
    try:
        first = msgspec.json.decode(body)["errors"][0]
        code, message = first.get("code") or "UNKNOWN", first.get("message") or ""
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, IndexError, TypeError, AttributeError):
        return "", ""
    return (code, message) if isinstance(code, str) and isinstance(message, str) else ("", "")


def worded(code: str) -> str:
    """Return a code as Docker prints it: `name unknown`."""
    return code.lower().replace("_", " ")
