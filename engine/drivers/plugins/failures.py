"""What can go wrong between the daemon and a plugin, in dockerd's words."""

from engine.core.errors import Internal


class PluginUnreachable(Internal):
    """Nobody answers at the plugin's address, or the answer broke off."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f'Post "{url}": {reason}')


class PluginFailed(Internal):
    """The plugin answered with an error status."""

    def __init__(self, method: str, reason: str, status: int = 500) -> None:
        super().__init__(f"{method}: {reason}")
        self.status = status


class PluginRefused(Internal):
    """The plugin answered, and its answer says why it did not do what it was asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class InvalidAnswer(Internal):
    """The plugin's answer is not what the protocol has."""

    def __init__(self, method: str, reason: str) -> None:
        super().__init__(f"{method}: invalid answer: {reason}")


class InvalidSpec(Internal):
    """A file that says where a plugin is cannot be used."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
