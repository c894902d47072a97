"""`python tests/bench/run.py [benchmark …] [--json FILE] [--requests N]`

Prints figures and their ratios to a bare loop measured in the same run. Nothing here passes or fails:
machines differ, ratios travel.
"""

import argparse
import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench import delivery, guard, latency, pipeline, rules, scale, sums

BENCHMARKS = {
    "pipeline": pipeline.run,
    "rules": rules.run,
    "latency": latency.run,
    "scale": scale.run,
    "sums": sums.run,
    "delivery": delivery.run,
    "guard": guard.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="benchmark", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--requests", type=int, default=20_000, help="per round of `pipeline`")
    chosen = parser.parse_args()
    report = {"python": platform.python_version(), "machine": platform.machine(), "results": []}
    for name in chosen.names or BENCHMARKS:
        for result in uvloop.run(BENCHMARKS[name](chosen.requests)):
            figures = "  ".join(f"{key}={value}" for key, value in result.figures.items())
            print(f"{result.name:24} {figures}", flush=True)
            report["results"].append(asdict(result))
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


main()
