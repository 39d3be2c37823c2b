"""What an image's history says of each step, in the words of dockerd's classic builder. Pure."""

from collections.abc import Mapping, Sequence

from engine.core.model.container import Healthcheck

DEFAULT_SHELL = ("/bin/sh", "-c")


def of_change(shell: Sequence[str], comment: str) -> str:
    """Return the entry of a step that only changes the configuration: `/bin/sh -c #(nop)  ENV A=b`."""
    return " ".join([*shell, "#(nop) ", comment])


def of_files(shell: Sequence[str], comment: str) -> str:
    """Return the entry of COPY, ADD and WORKDIR, which have one blank less."""
    return " ".join([*shell, f"#(nop) {comment}"])


def of_copy(word: str, kind: str, digest: str, dest: str) -> str:
    """Return the comment of COPY and ADD; `kind` is `file`, `dir` or `multi`, `digest` hex digits."""
    return f"{word} {kind}:{digest} in {dest} "


def of_command(words: Sequence[str], build_args: Mapping[str, str]) -> str:
    """Return the entry of RUN; the build arguments that it sees come first, by name."""
    shown = [f"|{len(build_args)}", *(f"{k}={build_args[k]}" for k in sorted(build_args))] if build_args else []
    return " ".join([*shown, *words])


def quoted(words: Sequence[str]) -> str:
    """Return words as Go's `%q` shows a slice of them: `["a" "b"]`."""
    return f"[{' '.join(map(_quoted, words))}]"


def bracketed(words: Sequence[str]) -> str:
    """Return words as Go's `%v` shows a slice of them: `[a b]`."""
    return f"[{' '.join(words)}]"


def of_healthcheck(check: Healthcheck) -> str:
    """Return the comment of HEALTHCHECK, a Go struct as `%+q` shows it; times of whole seconds."""
    times = (check.interval, check.timeout, check.start_period, check.start_interval)
    shown = " ".join(f'"{value // 1_000_000_000}s"' for value in times)
    return f"HEALTHCHECK &{{{quoted(check.test or ())} {shown} '\\x{check.retries:02x}'}}"


def _quoted(word: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return f'"{"".join(escapes.get(c, c) for c in word)}"'
