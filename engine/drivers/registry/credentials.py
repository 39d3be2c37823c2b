"""What a client proves itself with at a registry."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password, or a token. Empty: anonymous. Never shown by `repr`."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    server_address: str = ""

    @property
    def given(self) -> bool:
        """Whether there is anything to prove oneself with."""
        return bool(self.username or self.identity_token or self.registry_token)


ANONYMOUS = Credentials()
