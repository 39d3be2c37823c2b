"""Checks of a Dockerfile: BuildKit's rules, their texts and pages, and which of them a file wants. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.domain.builder.dockerfile.failures import InstructionWrong, Lines
from engine.domain.builder.dockerfile.shell import go_quoted

_PAGE = "https://docs.docker.com/go/dockerfile/rule/"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its description, and what is said of a violation. `experimental`: only where it is asked for."""

    name: str
    description: str
    message: str
    experimental: bool = False
    explained: bool = True

    @property
    def url(self) -> str:
        """The page that explains it, empty where there is none."""
        if not self.explained:
            return ""
        return _PAGE + re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", self.name).lower() + "/"


RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("StageNameCasing", "Stage names should be lowercase", "Stage name '{0}' should be lowercase"),
        Rule(
            "FromAsCasing",
            "The 'as' keyword should match the case of the 'from' keyword",
            "'{1}' and '{0}' keywords' casing do not match",
        ),
        Rule(
            "NoEmptyContinuation",
            "Empty continuation lines will become errors in a future release",
            "Empty continuation line",
        ),
        Rule(
            "ConsistentInstructionCasing",
            "All commands within the Dockerfile should use the same casing (either upper or lower)",
            "Command '{0}' should match the case of the command majority ({1})",
        ),
        Rule(
            "DuplicateStageName",
            "Stage names should be unique",
            'Duplicate stage name "{0}", stage names should be unique',
        ),
        Rule(
            "ReservedStageName",
            "Reserved words should not be used as stage names",
            'Stage name should not use the same name as reserved stage "{0}"',
        ),
        Rule(
            "JSONArgsRecommended",
            "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
            "JSON arguments recommended for {0} to prevent unintended behavior related to OS signals",
        ),
        Rule(
            "MaintainerDeprecated",
            "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
            "Maintainer instruction is deprecated in favor of using label",
        ),
        Rule(
            "UndefinedArgInFrom",
            "FROM command must use declared ARGs",
            "FROM argument '{0}' is not declared{1}",
        ),
        Rule(
            "WorkdirRelativePath",
            "Relative workdir without an absolute workdir declared within the build can have unexpected results "
            "if the base image changes",
            'Relative workdir "{0}" can have unexpected results if the base image changes',
        ),
        Rule(
            "UndefinedVar",
            "Variables should be defined before their use",
            "Usage of undefined variable '${0}'{1}",
        ),
        Rule(
            "MultipleInstructionsDisallowed",
            "Multiple instructions of the same type should not be used in the same stage",
            "Multiple {0} instructions should not be used in the same stage because only the last one will be used",
        ),
        Rule(
            "LegacyKeyValueFormat",
            "Legacy key/value format with whitespace separator should not be used",
            '"{0} key=value" should be used instead of legacy "{0} key value" format',
        ),
        Rule(
            "RedundantTargetPlatform",
            "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
            "Setting platform to predefined {0} in FROM is redundant as this is the default behavior",
        ),
        Rule(
            "SecretsUsedInArgOrEnv",
            "Sensitive data should not be used in the ARG or ENV commands",
            'Do not use ARG or ENV instructions for sensitive data ({0} "{1}")',
        ),
        Rule(
            "InvalidDefaultArgInFrom",
            "Default value for global ARG results in an empty or invalid base image name",
            "Default value for ARG {0} results in empty or invalid base image name",
        ),
        Rule(
            "FromPlatformFlagConstDisallowed",
            "FROM --platform flag should not use a constant value",
            'FROM --platform flag should not use constant value "{0}"',
        ),
        Rule(
            "CopyIgnoredFile",
            "Attempting to Copy file that is excluded by .dockerignore",
            'Attempting to {0} file "{1}" that is excluded by .dockerignore',
            experimental=True,
        ),
        Rule(
            "InvalidDefinitionDescription",
            "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this "
            "is not intended to be a description comment, add an empty line or comment between the instruction and "
            "the comment.",
            "Comment for {0} should follow the format: `# {1} <description>`",
            experimental=True,
        ),
        Rule(
            "ExposeProtoCasing",
            "Protocol in EXPOSE instruction should be lowercase",
            "Defined protocol '{0}' in EXPOSE instruction should be lowercase",
        ),
        Rule(
            "ExposeInvalidFormat",
            "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in "
            "a future release",
            "EXPOSE instruction should not define an IP address or host-port mapping, found '{0}'",
        ),
        Rule(
            "InvalidBaseImagePlatform",
            "Base image platform does not match expected target platform",
            'Base image {0} was pulled with platform "{2}", expected "{1}" for current build',
            explained=False,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that is violated, and where."""

    rule: Rule
    message: str
    lines: Lines

    @property
    def short(self) -> str:
        """What is said where there is one line for it."""
        at = f" (line {self.lines[0]})" if self.lines[0] > 0 else ""
        return f"{self.rule.name}: {self.message}{at}"


@dataclass(frozen=True, slots=True)
class LintOptions:
    """Which rules count: `# check=skip=A,B;error=true;experimental=all`."""

    skip: frozenset[str] = frozenset()
    skip_all: bool = False
    experimental: frozenset[str] = frozenset()
    experimental_all: bool = False
    error: bool = False


def read_options(text: str) -> LintOptions:
    """Return what a directive or argument says. Raises InstructionWrong."""
    if not text.strip():
        return LintOptions()
    found: dict[str, str] = {}
    for part in text.strip().split(";", 3):
        key, equals, value = part.partition("=")
        if not equals:
            raise InstructionWrong(f"invalid check option {go_quoted(part)}")
        if key.strip() not in ("skip", "experimental", "error"):
            raise InstructionWrong(f"invalid check option {go_quoted(key.strip())}")
        found[key.strip()] = value.strip()
    return LintOptions(
        skip=_names(found.get("skip", "")),
        skip_all=found.get("skip", "").lower() == "all",
        experimental=_names(found.get("experimental", "")),
        experimental_all=found.get("experimental", "").lower() == "all",
        error=_truth(found.get("error", "false"), text),
    )


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in text.split(",") if name.strip())


def _truth(value: str, text: str) -> bool:
    if value.lower() not in ("1", "t", "true", "0", "f", "false"):
        part = next(p for p in text.split(";") if p.strip().startswith("error"))
        raise InstructionWrong(
            f"failed to parse check option {go_quoted(part)}: strconv.ParseBool: parsing {go_quoted(value)}: "
            "invalid syntax"
        )
    return value.lower() in ("1", "t", "true")


@dataclass(slots=True)
class Lint:
    """Collects violations."""

    options: LintOptions = field(default_factory=LintOptions)
    found: list[Violation] = field(default_factory=list)

    def report(self, name: str, lines: Lines, *arguments: str) -> None:
        """Note that a rule is violated, unless it does not count."""
        rule = RULES[name]
        options = self.options
        if rule.experimental:
            if not options.experimental_all and name.lower() not in options.experimental:
                return
        elif options.skip_all or name.lower() in options.skip:
            return
        self.found.append(Violation(rule, rule.message.format(*arguments), lines))

    def check(self) -> None:
        """Raise InstructionWrong where violations count as errors and there are some."""
        if self.options.error and self.found:
            names = dict.fromkeys(violation.rule.name for violation in self.found)
            raise InstructionWrong(f"lint violation found for rules: {', '.join(names)}")


def meant(found: str) -> str:
    """Return the remark on what an undefined name may stand for."""
    return f" (did you mean ${found}?)" if found else ""


def ordered(violations: Sequence[Violation]) -> list[Violation]:
    """Return violations by line."""
    return sorted(violations, key=lambda violation: violation.lines[0])
