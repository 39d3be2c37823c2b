"""The route table: which handler answers a method and a path.

Paths are written as gorilla/mux has them (`/containers/{name:.*}/json`), since a container's or image's name may hold
slashes. Each route exists bare and below `/v1.NN`. Owns the look-up only; versions are judged in `version.py`.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_VERSION = re.compile(r"/v([0-9][0-9.]*)(/.*)")
_VARIABLE = re.compile(r"\{(\w+)(?::[^}]*)?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a path with at most one variable, and who answers. The variable is found as `request[name]`.

    `finishes`: the work goes on when the client leaves in the middle, as half a change is worse than an unwanted one.
    """

    method: str
    path: str
    handler: Handler
    finishes: bool = False


class Match(NamedTuple):
    """What a look-up found: the route's handler and the value of its variable (`variable` is empty without one)."""

    handler: Handler
    variable: str
    value: str
    finishes: bool = False


class _Dynamic(NamedTuple):
    prefix: str
    suffix: str
    variable: str
    handler: Handler
    finishes: bool

    def match(self, path: str) -> Match | None:
        if len(path) < len(self.prefix) + len(self.suffix):
            return None
        if not (path.startswith(self.prefix) and path.endswith(self.suffix)):
            return None
        value = path[len(self.prefix) : len(path) - len(self.suffix)]
        return Match(self.handler, self.variable, value, self.finishes)


def split_version(path: str) -> tuple[str, str]:
    """Return the version of `/v1.NN/…` (empty for a bare path) and the rest of the path."""
    found = _VERSION.fullmatch(path) if path.startswith("/v") else None
    return (found[1], found[2]) if found else ("", path)


class Router:
    """Finds routes by exact path first, then by the variable ones of the same method and first segment, in order."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[tuple[str, str], Match] = {}
        self._dynamic: dict[tuple[str, str], list[_Dynamic]] = {}
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        found = _VARIABLE.search(route.path)
        if found is None:
            self._exact[route.method, route.path] = Match(route.handler, "", "", route.finishes)
            return
        prefix, suffix = route.path[: found.start()], route.path[found.end() :]
        dynamic = _Dynamic(prefix, suffix, found[1], route.handler, route.finishes)
        self._dynamic.setdefault((route.method, _first_segment(prefix)), []).append(dynamic)

    def find(self, method: str, path: str) -> Match | None:
        """Return what answers a path without version prefix, or None."""
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact
        for dynamic in self._dynamic.get((method, _first_segment(path)), ()):
            match = dynamic.match(path)
            if match is not None:
                return match
        return None


def _first_segment(path: str) -> str:
    return path[: path.find("/", 1)]
