"""pyroute2's classes of rtnetlink messages, without the rest of pyroute2.

Importing anything of it the usual way runs `pyroute2/__init__.py`, which loads its database, its servers and a test
framework: 7 MiB that an idle daemon would hold for three classes. So the package is entered by the side door.
"""

import importlib
import importlib.util
import sys
import types
from typing import Any

_NAME = "pyroute2"


def _enter() -> None:
    """Make the package known without running it. Where it has been loaded already, it stays."""
    found = importlib.util.find_spec(_NAME) if _NAME not in sys.modules else None
    if found is not None and found.submodule_search_locations is not None:
        package = types.ModuleType(_NAME)
        package.__path__ = list(found.submodule_search_locations)
        package.__spec__ = found
        sys.modules[_NAME] = package


def _message(name: str) -> Any:
    return getattr(importlib.import_module(f"{_NAME}.netlink.rtnl.{name}"), name)


_enter()
ifaddrmsg = _message("ifaddrmsg")
ifinfmsg = _message("ifinfmsg")
nla = importlib.import_module(f"{_NAME}.netlink").nla
rtmsg = _message("rtmsg")
