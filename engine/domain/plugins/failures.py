"""What can go wrong with plugins, in dockerd's words."""

from engine.core.errors import Internal, NotFound


class PluginNotFound(NotFound):
    """No plugin has that name or ID."""

    def __init__(self, name: str) -> None:
        super().__init__(f'plugin "{name}" not found')


class LegacyPluginFailed(Internal):
    """A plugin that runs by itself cannot be used."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"legacy plugin: {reason}")


class NotImplementedByPlugin(LegacyPluginFailed):
    """The plugin is there and is of another kind."""

    def __init__(self, name: str, capability: str) -> None:
        super().__init__(
            f'Plugin does not implement the requested driver: plugin="{name}", requested implementation="{capability}"'
        )
