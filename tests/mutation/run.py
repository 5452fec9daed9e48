"""The mutation run: record which test reaches which site, then switch on one site after the other."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.mutation import switch
from tests.mutation.pool import Runner, forked, hunting, recording
from tests.mutation.sites import EXCLUDED, PACKAGES, ROOT, Site, excluded

VAR = ROOT / "var" / "mutation"
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
EAGER = re.compile(r"leak|stranger|role|visib|permission|limited|right|rules|tenan|scope")
LIMIT = 600.0  # seconds that one mutant may take


def equivalents() -> dict[str, str]:
    """The key of a site that changes nothing -> why."""
    found = {}
    for line in EQUIVALENT.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            key, _, reason = line.partition(" ## ")
            found[key.strip()] = reason.strip()
    return found


def fingerprint(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Records:
    """What each test reached when it last ran as written; kept by the text of its file and of the packages."""

    def __init__(self, sites: list[Site]) -> None:
        self.sites, self.file = sites, VAR / "recording.json"
        self.tests: dict[str, dict] = {}
        written = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
        machinery = [path for path in Path(__file__).parent.glob("s*.py")]
        self.sources = fingerprint([*written, *machinery])

    def load(self, is_stale_kept: bool) -> None:
        if not self.file.exists():
            return
        kept = json.loads(self.file.read_text())
        if kept["sources"] == self.sources:
            self.tests = kept["tests"]
        elif is_stale_kept:
            numbers = {site.key: number for number, site in enumerate(self.sites)}
            for test in kept["tests"].values():
                test["hits"] = [numbers[k] for i in test["hits"] if (k := kept["keys"][i]) in numbers]
            self.tests = kept["tests"]

    def save(self) -> None:
        VAR.mkdir(parents=True, exist_ok=True)
        keys = [site.key for site in self.sites]
        self.file.write_text(json.dumps({"sources": self.sources, "keys": keys, "tests": self.tests}))

    def missing(self, items: list[Any]) -> dict[str, str]:
        """Tests to record anew -> the fingerprint of their file; forgets those that are gone."""
        prints = {path: fingerprint([path]) for path in {item.path for item in items}}
        now = {item.nodeid: prints[item.path] for item in items}
        self.tests = {name: test for name, test in self.tests.items() if name in now}
        return {name: text for name, text in now.items() if self.tests.get(name, {}).get("file") != text}

    def reaching(self) -> dict[int, list[str]]:
        """Site's number -> the tests that reach it, the likeliest killers first."""

        def eagerness(name: str) -> float:
            return self.tests[name]["seconds"] * (0.2 if EAGER.search(name) else 1.0)

        found = defaultdict(list)
        for name in sorted((n for n, test in self.tests.items() if test["passed"]), key=eagerness):
            for number in self.tests[name]["hits"]:
                found[number].append(name)
        return found


class Mutation:
    """The plugin that takes over pytest's loop."""

    def __init__(self, options: Any, sites: list[Site]) -> None:
        self.options, self.sites = options, sites
        self.records = Records(sites)
        self.survivors: list[tuple[Site, str]] = []
        self.counts: Counter = Counter()
        self.operators: dict[str, Counter] = defaultdict(Counter)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        self.runner = Runner(session)
        self.runner.prepare()
        if self.options.own:
            self.hunt_alone()
        else:
            self.record(session.items)
            if not self.options.record_only:
                self.hunt()
        return True

    # --- recording ---

    def record(self, items: list[Any]) -> None:
        self.records.load(self.options.stale)
        missing = self.records.missing(items)
        if self.options.stale:
            missing = {name: text for name, text in missing.items() if name not in self.records.tests or self.options.fresh}
        if not missing:
            return
        say(f"recording {len(missing)} of {len(items)} tests ...")
        by_file = defaultdict(list)
        for name in missing:
            by_file[name.split("::")[0]].append(name)
        VAR.mkdir(parents=True, exist_ok=True)
        jobs = [
            (name, recording(self.runner, tests, VAR / f"part{number}.json"))
            for number, (name, tests) in enumerate(sorted(by_file.items(), key=lambda pair: -len(pair[1])))
        ]
        for name, result, seconds in forked(jobs, self.options.jobs, 3600):
            if result is None:
                say(f"  {name}: the recording died")
                continue
            part = Path(result)
            for test, found in json.loads(part.read_text()).items():
                self.records.tests[test] = {**found, "file": missing[test]}
                if not found["passed"]:
                    say(f"  fails without any mutant: {test}\n{found['why']}")
            part.unlink()
            say(f"  {name}: {len(by_file[name])} tests in {seconds:.0f} s")
            self.records.save()

    # --- hunting ---

    def chosen(self) -> list[int]:
        options, found = self.options, []
        for number, site in enumerate(self.sites):
            here = f"{site.path}:{site.line}"
            if options.site and options.site != here and options.site != site.key:
                continue
            if options.only and not re.search(options.only, f"{here} {site.key}"):
                continue
            found.append(number)
        if options.again:
            kept = set(json.loads((VAR / "survivors.json").read_text()))
            found = [n for n in found if self.sites[n].key in kept]
        part, of = (int(x) for x in options.shard.split("/"))
        return found[part - 1 :: of]

    def hunt(self) -> None:
        started, numbers = time.monotonic(), self.chosen()
        reaching, same = self.records.reaching(), equivalents()
        jobs = []
        for number in numbers:
            site = self.sites[number]
            if site.key in same:
                self.settle(site, "equivalent", same[site.key])
            elif site.is_import:
                continue
            elif not reaching[number]:
                self.settle(site, "survived", "no test reaches it")
            else:
                tests = self.ordered(number, reaching[number])
                jobs.append((number, hunting(self.runner, number, tests, LIMIT)))
        for number, result, seconds in forked(jobs, self.options.jobs, LIMIT + 60):
            self.judge(number, result, seconds, len(reaching[number]))
        alone = [n for n in numbers if self.sites[n].is_import and self.sites[n].key not in same]
        for number in alone:
            self.judge_alone(number)
        self.finish(numbers, time.monotonic() - started)

    def ordered(self, number: int, tests: list[str]) -> list[str]:
        return tests

    def judge(self, number: int, result: dict | None, seconds: float, reached: int) -> None:
        site = self.sites[number]
        if result is None:
            self.settle(site, "killed", f"it hung or died ({seconds:.0f} s)")
        elif result["killer"]:
            self.settle(site, "killed", f"{result['killer']} ({result['ran']} run, {seconds:.1f} s)")
        else:
            late = ", out of time" if result.get("is_late") else ""
            self.settle(site, "survived", f"{result['ran']} of {reached} tests that reach it pass{late} ({seconds:.0f} s)")

    def judge_alone(self, number: int) -> None:
        """A site that is decided when its module loads: in a process of its own, where it is on from the start."""
        command = [sys.executable, "-m", "tests.mutation", "--own", str(number)]
        started = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600)
        killer = re.search(r"^killer: (.*)$", done.stdout, re.M)
        seconds = time.monotonic() - started
        if killer is None:
            self.settle(self.sites[number], "killed", f"the portal does not start with it ({seconds:.0f} s)")
        elif killer[1]:
            self.settle(self.sites[number], "killed", f"{killer[1]} (own process, {seconds:.0f} s)")
        else:
            self.settle(self.sites[number], "survived", f"own process, every test passes ({seconds:.0f} s)")

    def hunt_alone(self) -> None:
        self.records.load(is_stale_kept=True)
        known = [name for name in self.runner.items if self.records.tests.get(name, {}).get("passed")]
        site = self.sites[int(self.options.own)]
        near = {n for n, other in enumerate(self.sites) if other.path == site.path}
        close = [n for n in known if near & set(self.records.tests[n]["hits"])]
        for name in sorted(close, key=lambda n: (not EAGER.search(n), self.records.tests[n]["seconds"])):
            if not self.runner.passes(name):
                say(f"killer: {name}")
                return
        say("killer: ")

    def settle(self, site: Site, verdict: str, why: str) -> None:
        self.counts[verdict] += 1
        self.operators[site.operator][verdict] += 1
        if verdict == "survived":
            self.survivors.append((site, why))
        mark = {"killed": "killed    ", "survived": "SURVIVED  ", "equivalent": "equivalent"}[verdict]
        say(f"{mark} {site.path}:{site.line} [{site.operator}] {site.text} -> {site.other}\n           by {why}" if verdict == "killed" else
            f"{mark} {site.path}:{site.line} [{site.operator}] {site.text} -> {site.other}\n           {why}")

    def finish(self, numbers: list[int], seconds: float) -> None:
        (VAR / "survivors.json").write_text(json.dumps([site.key for site, _ in self.survivors]))
        say("")
        for operator, counts in sorted(self.operators.items()):
            say(f"{operator:20} " + ", ".join(f"{verdict} {n}" for verdict, n in sorted(counts.items())))
        for site, why in self.survivors:
            say(f"SURVIVED {site.path}:{site.line} {site.key}\n         {why}")
        say_excluded()
        unknown = set(equivalents()) - {site.key for site in self.sites}
        for key in sorted(unknown):
            say(f"equivalent.txt names a site that is not there any more: {key}")
        c = self.counts
        say(
            f"mutants {len(numbers)}, killed {c['killed']}, survived {c['survived']}, equivalent {c['equivalent']} "
            f"(reasons in {EQUIVALENT.relative_to(ROOT)}), {seconds / 60:.1f} minutes"
        )


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_excluded() -> None:
    for pattern, reason in EXCLUDED.items():
        written = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
        count = sum(bool(re.fullmatch(pattern, path.relative_to(ROOT).as_posix())) for path in written)
        say(f"not searched: {pattern} ({count} files): {reason}")
