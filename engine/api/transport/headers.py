"""The headers that every answer carries; SDKs negotiate versions by them."""

import platform

from engine.api.version import NEWEST, shown
from engine.core.model.product import DOCKER_VERSION

COMMON = {
    "Api-Version": shown(NEWEST),
    "Docker-Experimental": "false",
    "Ostype": platform.system().lower(),
    "Server": f"Docker/{DOCKER_VERSION} ({platform.system().lower()})",
}
