"""The log driver `journald`. `docker logs` reads our own file, not the journal: it shows what the journal may drop."""

from collections.abc import Mapping

from engine.core import ids
from engine.core.model.container import Container
from engine.domain.containers.log_drivers import attributes
from engine.domain.containers.log_drivers.attributes import ATTRIBUTE_OPTIONS
from engine.drivers.logs.forward.address import Address
from engine.drivers.logs.forward.connection import Route
from engine.drivers.logs.forward.forwarder import Destination
from engine.drivers.logs.forward.journald import SOCKET, JournaldEncoder, JournaldForm, field_name

OPTIONS = ATTRIBUTE_OPTIONS


def require_valid(options: Mapping[str, str]) -> None:
    """There is nothing to check."""
    del options


def destination(container: Container, options: Mapping[str, str], hostname: str) -> Destination:
    """Return where the log goes. Raises ValueError."""
    del options, hostname
    tag = attributes.tag(container)
    fields = {
        "CONTAINER_ID": ids.short(container.id),
        "CONTAINER_ID_FULL": container.id,
        "CONTAINER_NAME": container.name,
        "CONTAINER_TAG": tag,
        "IMAGE_NAME": container.config.image,
        "SYSLOG_IDENTIFIER": tag,
        **attributes.selected(container, field_name),
    }
    form = JournaldForm(fields)
    return Destination(
        route=Route((Address("unixgram", path=SOCKET),)),
        encoder=lambda: JournaldEncoder(form),
        failure="journald is not enabled on this host",
    )
