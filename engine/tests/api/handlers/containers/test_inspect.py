"""Answers that are kept."""

import msgspec

from engine.api.handlers.containers.inspect import InspectAnswers
from engine.core.model.container import Container, ContainerConfig, HostConfig


def make(number: int) -> Container:
    return Container(
        id=str(number), name="n", created_at=1, image="i", config=ContainerConfig(), host_config=HostConfig()
    )


def test_an_answer_is_kept_until_the_container_changes() -> None:
    answers, container = InspectAnswers(), make(1)
    first = answers.of(container, (1, 51))
    assert answers.of(container, (1, 51)) is first
    assert answers.of(container, (1, 24)) is not first
    changed = msgspec.structs.replace(container, name="other")
    assert msgspec.json.decode(answers.of(changed, (1, 51)))["Name"] == "/other"
    assert answers.of(changed, (1, 51)) is not first


def test_no_more_than_so_many_are_kept() -> None:
    answers = InspectAnswers(capacity=2)
    containers = [make(n) for n in range(3)]
    kept = [answers.of(c, (1, 51)) for c in containers]
    assert answers.of(containers[2], (1, 51)) is kept[2]
    assert answers.of(containers[0], (1, 51)) is not kept[0]
