"""`python -m tests.mutation`: switch off every guard of tenancy and permission, one by one; a test must fail.

Exit 0 when every mutant is killed (or is equivalent, with its reason in equivalent.txt), else 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter

import pytest

from tests.mutation import hook, run, switch

MARKS = "not browser and not faults and not foreign and not schema"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument(
        "--list", action="store_true", help="print the sites and how many there are; run nothing"
    )
    parser.add_argument(
        "--only", default="", help="only the sites whose file:line or text matches this pattern"
    )
    parser.add_argument("--site", default="", help="only this site: FILE:LINE, or its whole key")
    parser.add_argument("--again", action="store_true", help="only what survived the last run")
    parser.add_argument(
        "--resume", action="store_true", help="count what was killed before by a test and source as they are"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="start no process of its own for what a loaded module may have copied",
    )
    parser.add_argument("--limit", type=float, default=600, help="seconds that one mutant may take (600)")
    parser.add_argument("--shard", default="1/1", help="the share of the sites to run: 1/2, 2/2")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (2)")
    parser.add_argument("--record-only", action="store_true", help="note which test reaches what, and stop")
    parser.add_argument(
        "--stale", action="store_true", help="use the last recording although the code has changed"
    )
    parser.add_argument(
        "--no-record", action="store_true", help="with --stale: hunt with what is recorded already"
    )
    parser.add_argument("--fresh", action="store_true", help="with --stale: record changed test files anew")
    parser.add_argument("--tests", nargs="*", default=[], help="collect only these (all)")
    parser.add_argument("--own", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    given = options()
    found = hook.install()
    if given.list:
        for site in found.sites:
            run.say(f"{site.path}:{site.line} [{site.operator}] {site.text} -> {site.other}")
        for operator, count in Counter(site.operator for site in found.sites).most_common():
            run.say(f"{count:5} {operator}")
        run.say_excluded(found.left_out)
        run.say(f"{len(found.sites)} sites")
        return 0
    if given.own:
        switch.active = int(given.own)
    os.environ.setdefault("DEBUG", "true")
    os.environ["DATABASE_URL"] = "sqlite://:memory:"
    plugin = run.Mutation(given, found)
    flags = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "--ignore=tests/mutation", "-m", MARKS]
    tests = run.files_for(given.own) if given.own else given.tests
    code = pytest.main([*flags, *tests], plugins=[plugin])
    return plugin.exit_code or int(code not in (0, 5))


if __name__ == "__main__":
    sys.exit(main())
