"""The mutation run: record which test reaches which site, then switch on one site after the other."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from tests.mutation import switch
from tests.mutation.pool import Runner, forked, hunting, recording
from tests.mutation.sites import EXCLUDED, LEFT_OUT, PACKAGES, ROOT, Found, Site

VAR = Path(os.environ.get("VAR_DIR", ROOT / "var")) / "mutation"
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
EAGER = re.compile(r"leak|stranger|role|visib|permission|limited|right|rules|tenan|scope")


def equivalents() -> dict[str, str]:
    """The key of a site that changes nothing -> why."""
    found = {}
    for line in EQUIVALENT.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            key, _, reason = line.partition(" ## ")
            found[key.strip()] = reason.strip()
    return found


def files_for(own: str) -> list[str]:
    """The test files that a process of its own has to collect."""
    tests = json.loads((VAR / f"own{own}.json").read_text())["tests"]
    return sorted({name.split("::")[0] for name in tests})


def fingerprint(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Verdicts:
    """Site's key -> the test that killed its mutant last, and the texts (source, test file) that stand for it."""

    def __init__(self) -> None:
        self.file = VAR / "verdicts.json"
        self.kept: dict[str, dict] = json.loads(self.file.read_text()) if self.file.exists() else {}

    def killer(self, site: Site) -> str:
        return self.kept.get(site.key, {}).get("killer", "")

    def holds(self, site: Site) -> bool:
        """Whether neither the source nor the killer's file has changed since."""
        kept = self.kept.get(site.key)
        return bool(kept) and kept["texts"] == self.texts(site, kept["killer"])

    def note(self, site: Site, killer: str) -> None:
        self.kept.pop(site.key, None)
        if killer:
            self.kept[site.key] = {"killer": killer, "texts": self.texts(site, killer)}
        VAR.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(self.kept, indent=1))

    @staticmethod
    def texts(site: Site, killer: str) -> str:
        paths = [ROOT / site.path, ROOT / killer.split("::")[0]]
        return fingerprint([path for path in paths if path.is_file()])


class Records:
    """What each test reached when it last ran as written; kept by the text of its file and of the packages."""

    def __init__(self, sites: list[Site]) -> None:
        self.sites, self.file = sites, VAR / "recording.json"
        self.tests: dict[str, dict] = {}
        written = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
        machinery = sorted(Path(__file__).parent.glob("s*.py"))
        self.sources = fingerprint([*written, *machinery])

    def load(self, is_stale_kept: bool) -> None:
        if not self.file.exists():
            return
        kept = json.loads(self.file.read_text())
        if kept["sources"] == self.sources:
            self.tests = kept["tests"]
        elif is_stale_kept:
            self.tests = self.carried(kept)

    def carried(self, kept: dict) -> dict[str, dict]:
        """A recording of other code: sites that are new count as reached by whatever reached their function."""
        numbers = {site.key: number for number, site in enumerate(self.sites)}
        new, old = defaultdict(list), set(kept["keys"])
        for site in self.sites:
            if site.key not in old:
                new[f"{site.path}::{site.scope}"].append(numbers[site.key])
        for test in kept["tests"].values():
            keys = [kept["keys"][i] for i in test["hits"]]
            near = {"::".join(key.split("::")[:2]) for key in keys}
            hits = {numbers[key] for key in keys if key in numbers} | {n for s in near for n in new[s]}
            test["hits"] = sorted(hits)
        return kept["tests"]

    def save(self) -> None:
        VAR.mkdir(parents=True, exist_ok=True)
        keys = [site.key for site in self.sites]
        self.file.write_text(json.dumps({"sources": self.sources, "keys": keys, "tests": self.tests}))

    def missing(self, items: list[Any]) -> dict[str, str]:
        """Tests to record anew -> the fingerprint of their file; forgets those that are gone."""
        prints = {path: fingerprint([path]) for path in {item.path for item in items}}
        now = {item.nodeid: prints[item.path] for item in items}
        collected = {str(item.path) for item in items}
        gone = {n for n in self.tests if n not in now and str(ROOT / n.split("::")[0]) in collected}
        gone |= {n for n in self.tests if not (ROOT / n.split("::")[0]).exists()}
        self.tests = {name: test for name, test in self.tests.items() if name not in gone}
        return {name: text for name, text in now.items() if self.tests.get(name, {}).get("file") != text}

    def reaching(self, collected: Collection[str]) -> dict[int, list[str]]:
        """Site's number -> the collected tests that reach it, the likeliest killers first."""

        def eagerness(name: str) -> float:
            return self.tests[name]["seconds"] * (0.2 if EAGER.search(name) else 1.0)

        found = defaultdict(list)
        known = [name for name, test in self.tests.items() if test["passed"] and name in collected]
        for name in sorted(known, key=eagerness):
            for number in self.tests[name]["hits"]:
                found[number].append(name)
        return found


class Mutation:
    """The plugin that takes over pytest's loop."""

    def __init__(self, options: Any, found: Found) -> None:
        self.options, self.sites, self.left_out = options, found.sites, found.left_out
        self.records = Records(found.sites)
        self.verdicts = Verdicts()
        self.survivors: list[tuple[Site, str]] = []
        self.killers: dict[str, list[str]] = defaultdict(
            list
        )  # a file of ours -> the tests that killed there
        self.counts: Counter = Counter()
        self.operators: dict[str, Counter] = defaultdict(Counter)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        self.runner, self.loading = Runner(session), set(switch.hits)
        if self.options.own:
            self.hunt_alone()
            return True
        self.runner.prepare()
        self.record(session.items)
        if not self.options.record_only:
            self.hunt()
        return True

    @property
    def exit_code(self) -> int:
        """1 when any mutant survived."""
        return int(bool(self.survivors))

    # --- recording ---

    def record(self, items: list[Any]) -> None:
        self.records.load(self.options.stale)
        missing = self.records.missing(items)
        if self.options.stale:
            missing = {
                name: text
                for name, text in missing.items()
                if name not in self.records.tests or self.options.fresh
            }
        if self.options.no_record:
            say(f"{len(missing)} of {len(items)} tests have no recording, and take no part")
        if not missing or self.options.no_record:
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
        started, numbers, limit = time.monotonic(), self.chosen(), self.options.limit
        reaching, same = self.records.reaching(self.runner.items), equivalents()
        forks, alone = [], []
        for number in numbers:
            site = self.sites[number]
            if site.key in same:
                self.settle(site, "equivalent", same[site.key])
            elif self.options.resume and self.verdicts.holds(site):
                self.settle(site, "killed", f"by {self.verdicts.killer(site)} (in an earlier run)")
            elif site.is_import or (number in self.loading and not reaching[number]):
                alone.append(number)
            elif not reaching[number]:
                self.settle(site, "survived", "no test reaches it")
            else:
                tests = functools.partial(self.ordered, site, reaching[number])
                forks.append((number, hunting(self.runner, number, tests, limit)))
        for number, result, seconds in forked(forks, self.options.jobs, limit + 60):
            is_open = result and not result["killer"]
            if self.sites[number].is_late and is_open and not self.options.quick:
                alone.append(number)  # something may have copied the value when its module loaded
            else:
                self.judge(number, result, f"{seconds:.1f} s")
        lonely = [(number, functools.partial(self.start_alone, number)) for number in alone]
        for number, result, seconds in forked(lonely, self.options.jobs, 2 * limit):
            self.judge(number, result, f"a process of its own, {seconds:.0f} s")
        self.finish(numbers, time.monotonic() - started)

    def ordered(self, site: Site, tests: list[str]) -> list[str]:
        """What killed this mutant before comes first, then what killed lately in the same file."""
        reached = set(tests)
        names = [self.verdicts.killer(site), *reversed(self.killers[site.path])]
        lately = [name for name in dict.fromkeys(names) if name in reached][:12]
        return [*lately, *(name for name in tests if name not in lately)]

    def judge(self, number: int, result: dict | None, how: str) -> None:
        site = self.sites[number]
        if result is None:
            self.settle(site, "killed", f"by hanging or dying ({how})")
        elif result["killer"]:
            self.verdicts.note(site, result["killer"])
            self.killers[site.path].append(result["killer"])
            self.settle(site, "killed", f"by {result['killer']} (test {result['ran']}, {how})")
        else:
            self.verdicts.note(site, "")
            late = "out of time: " if result.get("is_late") else ""
            self.settle(site, "survived", f"{late}all {result['ran']} tests that reach it pass ({how})")

    def start_alone(self, number: int) -> dict:
        """A site that is decided when its module loads: in a process of its own, where it is on from the start."""
        site, tests = self.sites[number], self.records.tests
        near = {n for n, other in enumerate(self.sites) if other.path == site.path}
        close = [name for name, test in tests.items() if test["passed"] and near & set(test["hits"])]
        close.sort(
            key=lambda name: (
                name not in self.killers[site.path],
                not EAGER.search(name),
                tests[name]["seconds"],
            )
        )
        plan = VAR / f"own{number}.json"
        plan.write_text(json.dumps({"tests": close, "killer": None, "ran": 0}))
        command = [sys.executable, "-m", "tests.mutation", "--own", str(number)]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        result = json.loads(plan.read_text())
        plan.unlink()
        if result["killer"] is None:
            return {"killer": "the start: the portal does not load", "ran": 0}
        return result

    def hunt_alone(self) -> None:
        plan = VAR / f"own{self.options.own}.json"
        tests, result = json.loads(plan.read_text())["tests"], {"killer": "", "ran": 0}
        for name in tests:
            result["ran"] += 1
            if not self.runner.passes(name):
                result["killer"] = name
                break
        plan.write_text(json.dumps(result))

    def settle(self, site: Site, verdict: str, why: str) -> None:
        self.counts[verdict] += 1
        self.operators[site.operator][verdict] += 1
        if verdict == "survived":
            self.survivors.append((site, why))
        mark = verdict.upper() if verdict == "survived" else verdict
        say(
            f"{mark:10} {site.path}:{site.line} [{site.operator}] {site.text} -> {site.other}\n           {why}"
        )

    def finish(self, numbers: list[int], seconds: float) -> None:
        (VAR / "survivors.json").write_text(json.dumps([site.key for site, _ in self.survivors]))
        say("")
        for operator, counts in sorted(self.operators.items()):
            say(f"{operator:20} " + ", ".join(f"{verdict} {n}" for verdict, n in sorted(counts.items())))
        for site, why in self.survivors:
            say(f"SURVIVED {site.path}:{site.line} {site.key}\n         {why}")
        say_excluded(self.left_out)
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


def say_excluded(left_out: Counter[str]) -> None:
    for pattern, reason in EXCLUDED.items():
        written = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
        count = sum(bool(re.fullmatch(pattern, path.relative_to(ROOT).as_posix())) for path in written)
        say(f"not searched: {pattern} ({count} files): {reason}")
    for name, reason in LEFT_OUT.items():
        say(f"no site: {left_out[name]} times: {reason}")
