"""Proving to a registry who one is: basic authentication and bearer tokens (the distribution project's token protocol).

An Authorizer serves one repository at one endpoint for one client; it keeps the token that it got.
"""

import asyncio
import base64
from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec

from engine.core.errors import WharfError
from engine.drivers.registry.answers import error_in
from engine.drivers.registry.challenge import Challenge, choose, realm_of
from engine.drivers.registry.challenge import parse as parse_challenges
from engine.drivers.registry.credentials import Credentials
from engine.drivers.registry.failures import AccessDenied, AuthorizationRefused, CredentialsRefused, MalformedAnswer
from engine.drivers.registry.settings import Endpoint
from engine.drivers.registry.transport import Transport

_CLIENT_ID = "wharf"
_TOKEN_LIMIT = 1 << 20


class Authorizer:
    """Makes the `Authorization` header. `action` is the word in its error texts: pull or push."""

    def __init__(
        self, transport: Transport, endpoint: Endpoint, credentials: Credentials, scopes: list[str], action: str
    ) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._credentials = credentials
        self.scopes = scopes
        self._action = action
        self._header = ""
        self._answering = asyncio.Lock()
        self.identity_token = ""
        if credentials.registry_token:
            self._header = f"Bearer {credentials.registry_token}"

    def headers(self) -> dict[str, str]:
        """Return what to send along."""
        return {"Authorization": self._header} if self._header else {}

    def also(self, scope: str) -> None:
        """Ask for one more scope; a token without it is dropped."""
        if scope not in self.scopes:
            self.scopes.append(scope)
            if self._header.startswith("Bearer ") and not self._credentials.registry_token:
                self._header = ""

    async def answer(self, url: str, challenges: list[str], shown: Mapping[str, str]) -> bool:
        """Meet a 401; tell whether trying again makes sense. `shown` is what the refused request had of `headers`.

        Requests that are refused together share one token. Raises AccessDenied, InvalidChallenge.
        """
        async with self._answering:
            return self.headers() != shown or await self._answer(url, challenges)

    async def _answer(self, url: str, challenges: list[str]) -> bool:
        parsed = parse_challenges(challenges)
        bearer = choose(parsed, "bearer")
        before = self._header
        if bearer is not None:
            self._header = f"Bearer {await self._token(url, bearer)}"
            return self._header != before
        if choose(parsed, "basic") is not None:
            if not self._credentials.username:
                raise AccessDenied(self._action, "authorization failed: no basic auth credentials")
            self._header = f"Basic {_basic(self._credentials)}"
            return self._header != before
        return False

    async def _token(self, url: str, challenge: Challenge) -> str:
        realm = realm_of(challenge, url)
        if challenge.parameters.get("error") and self._header.startswith("Bearer "):
            reason = challenge.parameters["error"]
            raise AuthorizationRefused(self._action, f"server message: {reason}: authorization failed")
        service = challenge.parameters.get("service", "")
        asked = challenge.parameters.get("scope", "")
        scopes = [*self.scopes, *(s for s in [asked] if s and s not in self.scopes)]
        if self._credentials.identity_token:
            return await self._exchange(realm, service, scopes)
        return await self._fetch(realm, service, scopes)

    async def _fetch(self, realm: str, service: str, scopes: list[str]) -> str:
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        headers: dict[str, str] = {}
        if self._credentials.username:
            query += [("account", self._credentials.username)]
            headers["Authorization"] = f"Basic {_basic(self._credentials)}"
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
        return await self._read("GET", url, headers, None)

    async def _exchange(self, realm: str, service: str, scopes: list[str]) -> str:
        form = {
            "grant_type": "refresh_token",
            "service": service,
            "client_id": _CLIENT_ID,
            "scope": " ".join(scopes),
            "refresh_token": self._credentials.identity_token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        return await self._read("POST", realm, headers, urlencode(form).encode())

    async def _read(self, method: str, url: str, headers: dict[str, str], data: bytes | None) -> str:
        async with await self._transport.send(self._endpoint, method, url, headers, data) as response:
            where = url.partition("?")[0]
            if response.status in (401, 403):
                status = f"{response.status} {response.reason}"
                raise self._refused(await response.content.read(_TOKEN_LIMIT), f"{method} request to {url}: {status}")
            if response.status != 200:
                raise MalformedAnswer(where, f"failed to fetch token: {response.status} {response.reason}")
            body = await response.content.read(_TOKEN_LIMIT)
        return self._token_in(body, where)

    def _refused(self, body: bytes, what: str) -> WharfError:
        code, message = error_in(body)
        if message:
            return CredentialsRefused(code, message)
        return AccessDenied(
            self._action, f"authorization failed: failed to fetch oauth token: unexpected status from {what}"
        )

    def _token_in(self, body: bytes, where: str) -> str:
        try:
            answer = msgspec.json.decode(body)
        except msgspec.DecodeError as error:
            raise MalformedAnswer(where, "no JSON") from error
        token = (answer.get("token") or answer.get("access_token")) if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token or not token.isascii() or "\n" in token or "\r" in token:
            raise MalformedAnswer(where, "authorization server did not include a token in the response")
        refresh = answer.get("refresh_token")
        self.identity_token = refresh if isinstance(refresh, str) else ""
        return token


def _basic(credentials: Credentials) -> str:
    return base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
