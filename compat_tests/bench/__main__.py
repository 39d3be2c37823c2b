"""`python -m compat_tests.bench`: run the scenarios against wharfd and real dockerd in turn, print medians and ratios."""

import argparse
import json
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from compat_tests.bench.engines import Pair, PairOptions, pair
from compat_tests.bench.scenarios import SCENARIOS, Scenario
from compat_tests.clients.daemon import Daemon


@dataclass(frozen=True)
class Line:
    """One scenario's result; values in the scenario's unit."""

    name: str
    ours: float
    theirs: float
    ratio: float
    bar: float
    unit: str
    passed: bool
    error: str = ""


def main() -> int:
    options = _options()
    chosen = [scenario for scenario in SCENARIOS if not options.scenario or scenario.name in options.scenario]
    unknown = set(options.scenario) - {scenario.name for scenario in SCENARIOS}
    if unknown or not chosen:
        print(f"no such scenario: {', '.join(unknown)}; there are: {', '.join(each.name for each in SCENARIOS)}")
        return 2
    megabytes = (
        (options.megabytes or (60 if options.quick else 244)) if any(each.needs_images for each in chosen) else 0
    )
    made = PairOptions(options.directory, megabytes, options.host_network, tuple(options.wharfd_arg))
    print(f"{'scenario':15} {'ours':>10} {'dockerd':>10} {'ratio':>7} {'bar':>6}", flush=True)
    lines = []
    with pair(made) as engines:
        for scenario in chosen:
            lines.append(_line(scenario, engines, options))
            print(_shown(lines[-1]), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(line) for line in lines], indent=1))
    missed = [line.name for line in lines if not line.passed]
    print(
        f"{len(lines) - len(missed)} of {len(lines)} meet their bars"
        + (f"; not: {', '.join(missed)}" if missed else "")
    )
    return 1 if missed and options.check else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m compat_tests.bench", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="names; none: all")
    parser.add_argument(
        "--list", action="version", version="\n".join(each.name for each in SCENARIOS), help="print the names"
    )
    parser.add_argument("--quick", action="store_true", help="few rounds and a smaller image: about three minutes")
    parser.add_argument("--rounds", type=int, help="measurements of each scenario and engine")
    parser.add_argument("--megabytes", type=int, help="size of the image of large files as downloaded (244; quick: 60)")
    parser.add_argument("--directory", default="/var/tmp", help="where both engines keep their data")
    parser.add_argument(
        "--host-network", action="store_true", help="on the machine's network instead of one of their own"
    )
    parser.add_argument("--wharfd-arg", action="append", default=[], help="one more argument for wharfd (repeatable)")
    parser.add_argument("--json", help="write the results to this file too")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bar is missed")
    return parser.parse_args()


def _line(scenario: Scenario, engines: Pair, options: argparse.Namespace) -> Line:
    rounds = options.rounds or (scenario.quick if options.quick else scenario.rounds)
    try:
        ours, theirs = _measured(scenario, engines, rounds)
    except Exception as error:  # one scenario that fails must not lose the others' results
        return Line(
            scenario.name, 0, 0, 0, scenario.bar, scenario.unit, False, f"{type(error).__name__}: {error}"[:300]
        )
    factor = 1000 if scenario.unit == "ms" else 1
    ratio = ours / theirs
    return Line(
        scenario.name, ours * factor, theirs * factor, ratio, scenario.bar, scenario.unit, ratio <= scenario.bar
    )


def _measured(scenario: Scenario, engines: Pair, rounds: int) -> tuple[float, float]:
    """The medians, taken in turn: A B A B …, after one unmeasured turn where there are several."""
    daemons = (engines.ours, engines.theirs)
    values: dict[Daemon, list[float]] = {daemon: [] for daemon in daemons}
    try:
        for daemon in daemons:
            scenario.prepare(daemon, engines)
        for number in range(rounds + (rounds > 1)):
            for daemon in daemons:
                value = scenario.measure(daemon, engines)
                if number or rounds == 1:
                    values[daemon].append(value)
    finally:
        for daemon in daemons:
            scenario.finish(daemon, engines)
    return statistics.median(values[daemons[0]]), statistics.median(values[daemons[1]])


def _shown(line: Line) -> str:
    if line.error:
        return f"{line.name:15} FAILED: {line.error}"
    numbers = f"{line.ours:10.1f} {line.theirs:10.1f} {line.ratio:7.3f} {line.bar:6.2f}"
    return f"{line.name:15} {numbers}  {line.unit:3} {'ok' if line.passed else 'MISSED'}"


if __name__ == "__main__":
    sys.exit(main())
