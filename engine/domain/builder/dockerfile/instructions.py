"""The instructions of a Dockerfile, typed. Variables are not replaced yet."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.core.model.container import Healthcheck
from engine.domain.builder.dockerfile.parser import Heredoc

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What all have: the text as written, its first and last line, the comments just above it."""

    code: str = ""
    line: int = 0
    end: int = 0
    comments: Sequence[str] = ()

    @property
    def keyword(self) -> str:
        """Its word as it is written."""
        return self.code.split(None, 1)[0] if self.code else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    """The beginning of a stage."""

    base: str
    alias: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    """Build arguments; a value of None: no default."""

    arguments: Sequence[tuple[str, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    """Environment variables; `legacy`: written without `=`."""

    pairs: Pairs
    legacy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    """Labels; `legacy`: written without `=`; `literal`: from a client's options, nothing in them is replaced."""

    pairs: Pairs
    legacy: bool = False
    literal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Instruction):
    """COPY and ADD. `sources` are paths and URLs, `documents` the heredocs among the sources."""

    word: str
    sources: Sequence[str]
    dest: str
    documents: Sequence[Heredoc] = ()
    source_stage: str = ""
    chown: str = ""
    chmod: str = ""
    checksum: str = ""
    link: bool = False
    parents: bool = False
    exclude: Sequence[str] = ()
    keep_git_dir: bool | None = None
    unpack: bool | None = None

    @property
    def is_add(self) -> bool:
        """Whether archives are unpacked and URLs fetched."""
        return self.word == "ADD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    """A command to run: words, or (`shell`) one line for the shell with its heredocs."""

    words: Sequence[str] = ()
    shell: bool = False
    documents: Sequence[Heredoc] = ()
    mounts: Sequence[str] = ()
    network: str = ""
    security: str = ""
    devices: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Instruction):
    """CMD and ENTRYPOINT: words, or (`shell`) one line for the shell."""

    word: str
    words: Sequence[str] = ()
    shell: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Words(Instruction):
    """EXPOSE, VOLUME, SHELL: some words. `word` says which."""

    word: str
    words: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Single(Instruction):
    """USER, WORKDIR, STOPSIGNAL, MAINTAINER, ONBUILD: one value. `word` says which."""

    word: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health(Instruction):
    """HEALTHCHECK."""

    check: Healthcheck


@dataclass(frozen=True, slots=True)
class Stage:
    """A FROM and what follows it."""

    begin: From
    instructions: list[Instruction] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its alias, in lower case; empty where it has none."""
        return self.begin.alias


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """Arguments before the first stage, and the stages. `blank_continuations`: lines with a blank one within."""

    globals: list[Arg]
    stages: list[Stage]
    escape: str = "\\"
    directives: dict[str, str] = field(default_factory=dict)
    blank_continuations: list[tuple[int, int]] = field(default_factory=list)
