"""The errors of the container part, with dockerd's texts: clients match on them."""

from engine.core.errors import (
    Conflict,
    Forbidden,
    Internal,
    InvalidParameter,
    NotFound,
    NotModified,
)


class ContainerNotFound(NotFound):
    """No container has that name, id or id prefix."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"No such container: {reference}")


class AmbiguousPrefix(InvalidParameter):
    """An id prefix fits several containers."""

    def __init__(self, prefix: str) -> None:
        super().__init__(f"Multiple IDs found with provided prefix: {prefix}")


class NameInUse(Conflict):
    """Another container has the name."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(
            f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
            "You have to remove (or rename) that container to be able to reuse that name."
        )


class NotRunning(Conflict):
    """The operation needs a running container."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"container {container_id} is not running")


class ContainerPaused(Conflict):
    """A paused container cannot do this."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Container {name} is paused, unpause the container before exec")


class StartPaused(Conflict):
    """A paused container was asked to start."""

    def __init__(self) -> None:
        super().__init__("cannot start a paused container, try unpause instead")


class AlreadyPaused(Conflict):
    """Paused twice."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"Container {container_id} is already paused")


class NotPaused(Internal):
    """Unpaused without being paused; dockerd answers 500."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"Container {container_id} is not paused")


class RestartingCannotPause(Conflict):
    """A container between two runs cannot be paused."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"Container {container_id} is restarting, wait until the container is running")


class Unchanged(NotModified):
    """Already started, or already stopped."""


class RemovalInProgress(Conflict):
    """Two clients remove one container."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"removal of container {container_id} is already in progress")


class MarkedForRemoval(Conflict):
    """The container is going away and cannot be started."""

    def __init__(self) -> None:
        super().__init__("container is marked for removal and cannot be started")


class CannotRemoveRunning(Conflict):
    """Removal without force of a running or paused container."""

    def __init__(self, name: str, state: str) -> None:
        advice = "unpause and then stop" if state == "paused" else "stop"
        super().__init__(
            f'cannot remove container "{name}": container is {state}: '
            f"{advice} the container before removing or force remove"
        )


class CannotKill(Conflict):
    """A kill that found nothing to kill."""

    def __init__(self, reference: str, reason: str) -> None:
        super().__init__(f"cannot kill container: {reference}: {reason}")


class CannotKillMissing(NotFound):
    """A kill of a container that does not exist."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"cannot kill container: {reference}: No such container: {reference}")


class CannotStop(Internal):
    """A process that even SIGKILL does not end (it hangs in the kernel)."""

    def __init__(self, container_id: str) -> None:
        super().__init__(
            f"cannot stop container: {container_id}: tried to kill container, but did not receive an exit event"
        )


class SameName(InvalidParameter):
    """A rename to the present name."""

    def __init__(self) -> None:
        super().__init__("Renaming a container with the same name as its current name")


class EmptyName(InvalidParameter):
    """A rename without a name."""

    def __init__(self) -> None:
        super().__init__("Neither old nor new names may be empty")


class RenameFailed(Conflict):
    """The new name cannot be had."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Error when allocating new name: {reason}")


class RenameInvalid(InvalidParameter):
    """The new name is not a name."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Error when allocating new name: {reason}")


class InvalidCondition(InvalidParameter):
    """An unknown wait condition."""

    def __init__(self, condition: str) -> None:
        super().__init__(f'invalid condition: "{condition}"')


class ExecNotFound(NotFound):
    """No such exec instance."""

    def __init__(self, exec_id: str) -> None:
        super().__init__(f"No such exec instance: {exec_id}")


class NoExecCommand(InvalidParameter):
    """An exec without a command."""

    def __init__(self) -> None:
        super().__init__("No exec command specified")


class ExecAlreadyRunning(Conflict):
    """An exec instance runs once."""

    def __init__(self, exec_id: str) -> None:
        super().__init__(f"exec command {exec_id} is already running")


class ExecAlreadyRan(Conflict):
    """An exec instance runs once, and this one has."""

    def __init__(self, exec_id: str) -> None:
        super().__init__(f"exec command {exec_id} has already run")


class ExecNotRunning(NotFound):
    """Resize of an exec that has ended."""

    def __init__(self, exec_id: str) -> None:
        super().__init__(f"NotFound: process does not exist {exec_id}: not found")


class UnusableExecUser(InvalidParameter):
    """The user or group of an exec does not exist in the container, or cannot."""


class InvalidEscapeKeys(Internal):
    """The detach keys of an exec are none; dockerd answers 500."""

    def __init__(self, text: str) -> None:
        super().__init__(f"Invalid escape keys ({text}) provided")


class NoStreamChosen(InvalidParameter):
    """Logs of neither stdout nor stderr."""

    def __init__(self) -> None:
        super().__init__("Bad parameters: you must choose at least one stream")


class LogsUnreadable(Forbidden):
    """The log driver keeps nothing to read."""

    def __init__(self) -> None:
        super().__init__("configured logging driver does not support reading")


class LoggingNotInitialized(Internal):
    """A log option that shows as wrong when the container starts; dockerd answers 500."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"failed to create task for container: failed to initialize logging driver: {reason}")


class LinkTargetNotRunning(Internal):
    """`--link` to a container that does not run, found out at the start; dockerd answers 500."""

    def __init__(self, target: str, name: str, alias: str) -> None:
        super().__init__(f"Cannot link to a non running container: /{target} AS /{name}/{alias}")


class LinkTargetElsewhere(Internal):
    """`--link` to a container that is not on the default bridge."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"container {container_id} not attached to default bridge network")


class NoLink(Internal):
    """`DELETE /containers/NAME?link=1` with a container's own name; dockerd answers 500."""

    def __init__(self) -> None:
        super().__init__("Conflict, cannot remove the default link name of the container")


class NetworkPeerNotRunning(Conflict):
    """`--network container:X` where X does not run."""

    def __init__(self, peer: str) -> None:
        super().__init__(f"cannot join network of a non running container: {peer}")


class BindSourceMissing(InvalidParameter):
    """`--mount type=bind` of a path that does not exist."""

    def __init__(self, source: str) -> None:
        super().__init__(f'invalid mount config for type "bind": bind source path does not exist: {source}')


class BindSourceNotMade(Internal):
    """The directory of a `--volume` bind does not exist and cannot be made; dockerd answers 500."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"error while creating mount source path '{source}': mkdir {source}: {reason}")


class PeerMissing(InvalidParameter):
    """A container whose namespace or volumes are to be shared does not exist."""


class EmptyReference(InvalidParameter):
    """`--volumes-from :ro`."""

    def __init__(self) -> None:
        super().__init__('invalid name or ID supplied: ""')


class LinkTargetMissing(InvalidParameter):
    """`--link` to a container that does not exist."""

    def __init__(self, reference: str, reason: str) -> None:
        super().__init__(f"could not get container for {reference}: {reason}")
