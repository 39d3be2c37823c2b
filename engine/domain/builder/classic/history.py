"""What an image's history says of each step, in the words of dockerd's classic builder. Pure."""

import hashlib
from collections.abc import Mapping, Sequence

from engine.core import times
from engine.core.model.container import Healthcheck

DEFAULT_SHELL = ("/bin/sh", "-c")


def of_change(shell: Sequence[str], comment: str) -> str:
    """Return the entry of a step that only changes the configuration: `/bin/sh -c #(nop)  ENV A=b`."""
    return " ".join([*shell, "#(nop) ", comment])


def of_files(shell: Sequence[str], comment: str) -> str:
    """Return the entry of COPY, ADD and WORKDIR, which have one blank less."""
    return " ".join([*shell, f"#(nop) {comment}"])


def of_copy(word: str, what: str, dest: str, chown: str = "") -> str:
    """Return the comment of COPY and ADD; `what` is as `content` returns it."""
    owner = f"--chown={chown} " if chown else ""
    return f"{word} {owner}{what} in {dest} "


def content(kind: str, diff_id: str) -> str:
    """Return what stands for copied files: `file`, `dir` or `multi`, and digits that change when the files do."""
    return f"{kind}:{hashlib.sha256(diff_id.encode()).hexdigest()}"


def of_command(words: Sequence[str], build_args: Mapping[str, str]) -> str:
    """Return the entry of RUN; the build arguments that it sees come first, by name."""
    shown = [f"|{len(build_args)}", *(f"{k}={build_args[k]}" for k in sorted(build_args))] if build_args else []
    return " ".join([*shown, *words])


def bracketed(words: Sequence[str]) -> str:
    """Return words as Go's `%v` shows a slice of them: `[a b]`."""
    return f"[{' '.join(words)}]"


def of_healthcheck(check: Healthcheck) -> str:
    """Return the comment of HEALTHCHECK, a Go struct as `%v` shows it."""
    spans = (check.interval, check.timeout, check.start_period, check.start_interval)
    shown = " ".join(times.duration(span) if span else "0s" for span in spans)
    return f"HEALTHCHECK &{{{bracketed(check.test or ())} {shown} {check.retries}}}"
