"""The authorization plugins of the daemon: all of them must agree to a request, and to its answer.

They are asked in the order of the settings. One that is missing, silent or broken agrees to nothing.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable

from engine.core.errors import Forbidden, Internal, WharfError
from engine.core.model.plugin import InstalledPlugin
from engine.domain.plugins.directory import Plugin, PluginDirectory
from engine.drivers.plugins import authorization
from engine.drivers.plugins.authorization import CAPABILITY, Answered, Question, Verdict

__all__ = ["Answered", "Authorizers", "Question"]
log = logging.getLogger(__name__)


class AuthorizationDenied(Forbidden):
    """A plugin says no."""

    def __init__(self, plugin: str, message: str) -> None:
        super().__init__(f"authorization denied by plugin {plugin}: {message}")


class AuthorizationFailed(Internal):
    """A plugin could not be asked."""

    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__(f"plugin {plugin} failed with error: {reason}")


class Authorizers:
    """The chain of plugins."""

    def __init__(self, directory: PluginDirectory, names: Iterable[str]) -> None:
        self._directory = directory
        self.names = tuple(dict.fromkeys(names))

    @property
    def active(self) -> bool:
        """Whether anybody has to be asked."""
        return bool(self.names)

    def use(self, names: Iterable[str]) -> None:
        """Ask these plugins from now on."""
        self.names = tuple(dict.fromkeys(names))

    def drop(self, plugin: InstalledPlugin) -> None:
        """Ask an installed plugin no longer, which is being disabled."""
        self.names = tuple(n for n in self.names if plugin.name not in (n, f"{n}:latest"))

    async def require_all(self) -> None:
        """Raise the reason, a WharfError, for which one of them cannot be used."""
        for name in self.names:
            await self._directory.get(name, CAPABILITY)

    async def ask(self, question: Question) -> None:
        """Raise AuthorizationDenied or AuthorizationFailed unless all let the request be executed."""
        await self._all(lambda plugin: authorization.ask(plugin.client, question))

    async def ask_answer(self, question: Question, answered: Answered) -> None:
        """Raise AuthorizationDenied or AuthorizationFailed unless all let the answer be given."""
        await self._all(lambda plugin: authorization.ask_answer(plugin.client, question, answered))

    async def _all(self, ask: Callable[[Plugin], Awaitable[Verdict]]) -> None:
        for name in self.names:
            try:
                verdict = await ask(await self._directory.get(name, CAPABILITY))
            except WharfError as error:
                raise AuthorizationFailed(name, str(error)) from error
            if not verdict.allow:
                raise AuthorizationDenied(name, verdict.message)
