"""Authorization plugins around the handlers: each request, and its answer, goes past them.

They see exactly the bytes that are executed: a body that is JSON, or that a handler would take for JSON, is read to its
end here, shown, and handed on. What is larger than any JSON body may be is refused, not shown in part. Bodies of other
kinds (archives) are not shown, as with dockerd, and no handler reads JSON from them.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import web

from engine.api.routing import split_version
from engine.api.transport.framing import streams_input
from engine.api.transport.headers import COMMON
from engine.api.transport.incoming import keep_shown
from engine.api.wire.body import MAX_JSON_BYTES, is_json, read_up_to
from engine.core.errors import WharfError
from engine.domain.plugins.authorize import Answered, Authorizers, Question

log = logging.getLogger(__name__)
_SECRET = ("authorization", "x-registry-config", "x-registry-auth")
# Go's HTTP server takes these out of the headers.
_NOT_SHOWN = (*_SECRET, "host", "transfer-encoding", "trailer")
_SAFE = "/:@!$&'()*+,;=~-._"
Answer = Callable[[], Awaitable[web.StreamResponse]]


class Gate:
    """Lets requests pass that all plugins agree to."""

    def __init__(self, authorizers: Authorizers) -> None:
        self._authorizers = authorizers

    @property
    def closed(self) -> bool:
        """Whether anybody has to be asked."""
        return self._authorizers.active

    async def passing(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        """Answer a request. Raises what `answer` raises, AuthorizationDenied, AuthorizationFailed, BodyTooLarge."""
        question = await _question(request)
        await self._authorizers.ask(question)
        try:
            response = await answer()
        except WharfError:
            await self._tell(question, Answered())
            raise
        if response.prepared or not isinstance(response, web.Response):
            # It is out already.
            await self._tell(question, _answered(request, response, b""))
            return response
        await self._authorizers.ask_answer(question, _answered(request, response, _shown_body(request, response)))
        return response

    async def _tell(self, question: Question, answered: Answered) -> None:
        """Ask about an answer that cannot be held back, or that says nothing but that the request failed."""
        try:
            await self._authorizers.ask_answer(question, answered)
        except WharfError as error:
            log.warning("AuthZResponse for %s %s returned error: %s", question.method, question.uri, error)


async def _question(request: web.BaseRequest) -> Question:
    user, certificates = _client(request)
    return Question(
        method=request.method,
        uri=_uri(request),
        headers=_headers(request.headers.items()),
        body=await _body(request),
        user=user,
        user_method="TLS" if certificates else "",
        certificates=certificates,
    )


def _uri(request: web.BaseRequest) -> str:
    """Return the path as it is understood, so that no unusual quoting hides it, and the query as it came."""
    query = request.raw_path.partition("?")
    return quote(request.path, safe=_SAFE) + query[1] + query[2]


async def _body(request: web.BaseRequest) -> bytes:
    if not is_json(request) or streams_input(request.method, request.path):
        return b""
    data = await read_up_to(request, MAX_JSON_BYTES)
    keep_shown(request, data)
    # Names and passwords of registries are not for plugins; no other handler answers this path.
    return b"" if split_version(request.path)[1] == "/auth" else data


def _client(request: web.BaseRequest) -> tuple[str, list[bytes]]:
    """Return the common name and the certificate of a client that has shown one."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
    certificate = tls.getpeercert(binary_form=True) if tls is not None else None
    if tls is None or not certificate:
        return "", []
    subject: Iterable[tuple[tuple[str, Any], ...]] = (tls.getpeercert() or {}).get("subject", ())
    names = [value for part in subject for key, value in part if key == "commonName"]
    return names[-1] if names else "", [certificate]


def _headers(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    shown = {}
    for name, value in items:
        if name.lower() not in _NOT_SHOWN:
            shown["-".join(part.capitalize() for part in name.split("-"))] = value
    return shown


def _answered(request: web.BaseRequest, response: web.StreamResponse, body: bytes) -> Answered:
    headers: Mapping[str, str] = {**COMMON, **_headers(response.headers.items())}
    return Answered(response.status, headers, body)


def _shown_body(request: web.BaseRequest, response: web.Response) -> bytes:
    if response.content_type != "application/json" or split_version(request.path)[1] == "/auth":
        return b""
    body = response.body
    return bytes(body) if isinstance(body, bytes | bytearray) and len(body) <= MAX_JSON_BYTES else b""
