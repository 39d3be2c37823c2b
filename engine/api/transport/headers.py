"""The headers that every answer carries, and those of the ping; SDKs negotiate versions by them."""

import platform

from engine.api.version import NEWEST, shown
from engine.core.model.product import DOCKER_VERSION

COMMON = {
    "Api-Version": shown(NEWEST),
    "Docker-Experimental": "false",
    "Ostype": platform.system().lower(),
    "Server": f"Docker/{DOCKER_VERSION} ({platform.system().lower()})",
}


def declare_experimental() -> None:
    """Say in every answer that experimental features are on. To be called before anything is served."""
    COMMON["Docker-Experimental"] = "true"


def ping_headers(builder: str) -> dict[str, str]:
    """Return what a ping's answer has beside `COMMON`. `builder`: 2 says that BuildKit's API is served."""
    return {
        "Builder-Version": builder,
        "Cache-Control": "no-cache, no-store, must-revalidate",
        "Pragma": "no-cache",
        "Swarm": "inactive",
        "Content-Type": "text/plain; charset=utf-8",
    }
