"""The authorization protocol: `AuthZPlugin.AuthZReq` before a request is executed, `AuthZRes` before its answer.

Source: Docker's authorization plugin API. Bytes travel as base64, as Go's JSON has them.
"""

import base64
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.drivers.plugins.client import PluginClient

CAPABILITY = "authz"


@dataclass(frozen=True, slots=True)
class Question:
    """A request, as a plugin sees it. `certificates` are those that the client showed, DER."""

    method: str
    uri: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    user: str = ""
    user_method: str = ""
    certificates: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """How a request was answered; status 0 and no headers where it failed before there was an answer."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the plugin says."""

    allow: bool
    message: str = ""


async def ask(client: PluginClient, question: Question) -> Verdict:
    """Ask whether a request may be executed. Raises PluginFailed, PluginUnreachable, InvalidAnswer."""
    return _verdict(await client.call("AuthZPlugin.AuthZReq", _encode(question)))


async def ask_answer(client: PluginClient, question: Question, answered: Answered) -> Verdict:
    """Ask whether an answer may be given. Raises as `ask`."""
    arguments = _encode(question) | _filled(
        ResponseStatusCode=answered.status, ResponseBody=_text(answered.body), ResponseHeaders=dict(answered.headers)
    )
    return _verdict(await client.call("AuthZPlugin.AuthZRes", arguments))


def _verdict(answer: Mapping[str, Any]) -> Verdict:
    """Anything but a plain yes is a no."""
    return Verdict(answer.get("Allow") is True, str(answer.get("Msg") or ""))


def _encode(question: Question) -> dict[str, Any]:
    return _filled(
        User=question.user,
        UserAuthNMethod=question.user_method,
        RequestMethod=question.method,
        RequestUri=question.uri,
        RequestBody=_text(question.body),
        RequestHeaders=dict(question.headers),
        RequestPeerCertificates=[_text(ssl.DER_cert_to_PEM_cert(c).encode()) for c in question.certificates],
    )


def _filled(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
