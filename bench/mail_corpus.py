"""How well mails are read: a score per axis over the project's corpus, or what happens to foreign mails.

`python -m bench.mail_corpus` scores tests/corpus. `python -m bench.mail_corpus DIR` reads every .eml below
DIR, of which nothing is expected, and reports failures, mails without any text, and time.
"""

import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from incidents.intake.parse import parse
from incidents.intake.parsed import ParsedMail, Unacceptable
from tests.corpus.build import OURS, Case, cases

AXES = (
    "read",
    "new words",
    "old words",
    "automatic",
    "report",
    "from",
    "files",
    "thread",
    "authentication",
    "subject",
    "notices",
)


@dataclass
class Score:
    """Per axis how many mails had something to get right, how many were, and what was wrong."""

    cases: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    wrong: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    lost: int = 0  # pieces of new text that are missing
    left: int = 0  # pieces of old text that are left over

    def check(self, axis: str, name: str, is_right: bool, said: str = "") -> None:
        self.cases[axis] += 1
        if not is_right:
            self.wrong[axis].append(f"{name}: {said}")


def score(corpus: list[Case]) -> Score:
    total = Score()
    for case in corpus:
        try:
            mail = parse(case.raw, authserv_ids=[OURS])
        except Exception as error:  # whatever it is, it is the finding
            total.check("read", case.name, False, repr(error))
            continue
        total.check("read", case.name, True)
        _words(total, case, mail)
        _facts(total, case, mail)
    return total


def _flat(text: str) -> str:
    return " ".join(text.split())


def _words(total: Score, case: Case, mail: ParsedMail) -> None:
    text = _flat(mail.text)
    lost = [words for words in case.new if _flat(words) not in text]
    left = [words for words in case.old if _flat(words) in text]
    total.lost += len(lost)
    total.left += len(left)
    if case.new:
        total.check("new words", case.name, not lost, f"lost {lost} of {text[:300]!r}")
    if case.old:
        total.check("old words", case.name, not left, f"left {left} in {text[:300]!r}")


def _facts(total: Score, case: Case, mail: ParsedMail) -> None:
    total.check("automatic", case.name, bool(mail.automatic) == case.automatic, repr(mail.automatic))
    total.check("from", case.name, mail.from_addresses == case.sender, repr(mail.from_addresses))
    files = tuple((file.name, file.is_inline) for file in mail.files)
    total.check("files", case.name, files == case.files, repr(files))
    thread = (*mail.in_reply_to, *mail.references)
    total.check("thread", case.name, thread == case.thread, repr(thread))
    total.check("authentication", case.name, mail.authentication == case.authentication, mail.authentication)
    said, wanted = mail.report, case.report
    is_right = (said is None) == (wanted is None)
    if said is not None and wanted is not None:
        is_right = (said.kind, said.recipient, said.status, said.original_message_id) == (
            wanted.kind, wanted.recipient, wanted.status, wanted.original
        )  # fmt: skip
    total.check("report", case.name, is_right, repr(said))
    if case.subject is not None:
        total.check("subject", case.name, mail.subject == case.subject, repr(mail.subject))
    for words in case.notices:
        total.check("notices", case.name, any(words in notice for notice in mail.notices), repr(mail.notices))


def print_score(total: Score, *, is_loud: bool) -> None:
    print(f"{'axis':<16}{'cases':>7}{'right':>7}")
    for axis in AXES:
        number = total.cases[axis]
        print(f"{axis:<16}{number:>7}{number - len(total.wrong[axis]):>7}")
    print(f"pieces of new text lost: {total.lost}; pieces of old text left over: {total.left}")
    for axis in AXES if is_loud else ():
        for line in total.wrong[axis]:
            print(f"  {axis} | {line}")


def read_foreign(folder: Path) -> int:
    """Read every mail below a folder; the number of failures."""
    failures = empty = refused = automatic = shorter = reports = 0
    times: list[tuple[float, str]] = []
    for path in sorted(folder.rglob("*.eml")):
        raw = path.read_bytes()
        started = time.perf_counter()
        try:
            mail = parse(raw)
        except Unacceptable as reason:
            refused += 1
            print(f"refused  {path}: {reason}")
            continue
        except Exception as error:  # whatever it is, it is the finding
            failures += 1
            print(f"FAILED   {path}: {error!r}")
            continue
        times.append((time.perf_counter() - started, str(path)))
        automatic += bool(mail.automatic)
        reports += mail.report is not None
        shorter += len(mail.text) < len(mail.full_text)
        if not mail.text.strip() and not mail.files:
            empty += 1
            print(f"no text  {path}")
    times.sort(reverse=True)
    print(
        f"read {len(times)}, failed {failures}, refused {refused}, without text and files {empty}, automatic {automatic}, reports {reports}, cut {shorter}"
    )
    for seconds, name in times[:3]:
        print(f"slowest  {seconds * 1000:.0f} ms  {name}")
    return failures


def main(arguments: list[str]) -> int:
    folders = [argument for argument in arguments if not argument.startswith("-")]
    if folders:
        return min(1, read_foreign(Path(folders[0])))
    started = time.perf_counter()
    corpus = cases()
    total = score(corpus)
    print_score(total, is_loud=True)
    print(f"{len(corpus)} mails in {time.perf_counter() - started:.1f} s")
    return min(1, sum(map(len, total.wrong.values())))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
