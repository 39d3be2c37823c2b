"""Contexts, and how they are built."""

from pathlib import Path

from compat_tests.clients.cli import DockerCli


def write(directory: Path, **files: str) -> None:
    for name, text in files.items():
        path = directory / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def build(client: DockerCli, context: Path, *arguments: str) -> tuple[int, str]:
    result = client.run("build", "--progress=plain", *arguments, str(context))
    return result.code, result.err
