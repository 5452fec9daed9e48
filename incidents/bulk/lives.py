"""How incidents go: which verbs come when, by level. PURE but for the rows that the verbs write.

Most promises are kept and some are not; some lives turn: a question, another level, a withdrawal, a return.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from incidents.bulk.analyses import publish_rca
from incidents.bulk.setting import NotYet
from incidents.bulk.story import Story

UPDATE_EVERY = {"P1": 30, "P2": 240}  # minutes, as the standard's targets


def live(story: Story, *, stays_open: bool) -> None:
    """Let the life happen until it is over, until now, or until something keeps it open."""
    story.row["impact"] = story.random.choices(("degraded", "outage", "reduced_redundancy"), (70, 20, 10))[0]
    story.open()
    try:
        LIVES[story.level](story, stays_open)
        if not stays_open:
            _end(story)
    except NotYet:
        return


def _p1(story: Story, stays_open: bool) -> None:
    story.wait(1, 6)
    is_late = story.random.random() < 0.08
    story.wait(15, 40) if is_late else story.wait(1, 3)
    story.staff_reply()
    _maybe_validate(story, {0.03: "P2"}, stays_open)
    if story.level != "P1":
        _p2_work(story, stays_open)
        return
    story.wait(3, 20)
    story.intervene()
    for _ in range(story.random.randint(2, 6)):
        _update(story, 30)
    if stays_open:
        while True:
            _update(story, 30)
    story.wait(3, 15)
    story.resolve()


def _p2(story: Story, stays_open: bool) -> None:
    story.wait(65, 140) if story.random.random() < 0.07 else story.wait(5, 50)
    story.staff_reply()
    _maybe_validate(story, {0.04: "P1", 0.1: "P3"}, stays_open)
    if story.level == "P3":
        _p3_work(story, stays_open)
        return
    _p2_work(story, stays_open)


def _p2_work(story: Story, stays_open: bool) -> None:
    if story.level == "P2" and story.random.random() < 0.25:
        _question(story)
    story.wait(15, 90)
    if story.level == "P1":
        story.intervene()
        _update(story, 30)
    else:
        story.plan()
    for _ in range(story.random.randint(0, 2)):
        _update(story, UPDATE_EVERY[story.level])
    if stays_open:
        raise NotYet
    story.wait(30, 600 if story.level == "P2" else 60)
    story.resolve()


def _p3(story: Story, stays_open: bool) -> None:
    if story.random.random() < 0.03:
        story.wait(20, 200)
        story.withdraw()
        return
    if stays_open and story.random.random() < 0.2:
        raise NotYet
    if story.random.random() < 0.6:
        story.wait(2000, 3500) if story.random.random() < 0.05 else story.wait(10, 200)
        story.staff_reply()
        _maybe_validate(story, {0.01: "P2"}, stays_open)
        if story.level == "P2":
            _p2_work(story, stays_open)
            return
    _p3_work(story, stays_open)


def _p3_work(story: Story, stays_open: bool) -> None:
    if story.random.random() < 0.12:
        _question(story)
    if story.random.random() < 0.05:
        story.wait(5, 60)
        story.note()
    if story.random.random() < (0.7 if stays_open else 0.25):
        _by_release(story, stays_open)
        return
    if stays_open:
        raise NotYet
    story.wait(30, 600)
    story.document_solution()


def _by_release(story: Story, stays_open: bool) -> None:
    story.wait(20, 400)
    on = (story.at + timedelta(days=story.random.randint(2, 21))).date()
    release, shipped = story.plan_release(on), None
    try:
        if stays_open:
            raise NotYet
        days = (on - story.at.date()).days
        days += story.random.randint(1, 4) if story.random.random() < 0.08 else 0
        story.wait(1440 * days - 300, 1440 * days + 120)
        shipped = story.at
        story.ship(release)
    finally:
        story.keep_release(release, on, shipped)


def _question(story: Story) -> None:
    story.wait(5, 60)
    story.ask()
    story.wait(20, 900)
    story.customer_reply()


def _update(story: Story, interval: int) -> None:
    """A status update within the interval, or, once in a while, late."""
    is_late = story.random.random() < 0.05
    if is_late:
        story.wait(interval * 1.05, interval * 1.5)
    else:
        story.wait(interval * 0.6, interval * 0.92)
    story.update(interval)


def _maybe_validate(story: Story, shares: dict[float, str], stays_open: bool) -> None:
    """Another level with the shares given, else the same one confirmed now and then."""
    drawn = story.random.random()
    if stays_open:  # an urgent one that nobody touches for weeks would gather breaches without end
        return
    for share, level in shares.items():
        if drawn < share:
            story.wait(1, 10)
            story.validate(level)
            return
        drawn -= share
    if drawn > 0.8:
        story.wait(1, 10)
        story.validate(story.level)


def _end(story: Story) -> None:
    """What follows the solution: confirmed, closed after the reminder, reopened once in a while."""
    if story.status == "closed":
        return
    if story.level == "P1":
        resolved = story.at
        is_late = story.random.random() < 0.1
        days = story.random.uniform(8, 12) if is_late else story.random.uniform(0.5, 4.5)
        _close(story)
        story.at = max(story.at, resolved + timedelta(days=days))
        story.wait(1, 30)
        publish_rca(story)
        return
    if story.random.random() < 0.03:
        story.wait(60, 3000)
        story.reopen()
        story.wait(10, 40)
        story.staff_reply()
        story.wait(30, 300)
        _solve_again(story)
    _close(story)


def _solve_again(story: Story) -> None:
    if story.level == "P3":
        story.document_solution()
    else:
        story.plan()
        story.wait(20, 60)
        story.resolve()


def _close(story: Story) -> None:
    if story.random.random() < 0.65:
        story.wait(30, 4000)
        story.confirm()
    else:
        story.close_unanswered()


LIVES: dict[str, Callable[[Story, bool], None]] = {"P1": _p1, "P2": _p2, "P3": _p3}


def level_at(age: timedelta, draw: float, *, stays_open: bool) -> str:
    """A level that an incident of this age can have: what is urgent is not open for long."""
    if stays_open and age > timedelta(days=2):
        return "P3"
    if stays_open and age > timedelta(hours=4):
        return "P2" if draw < 0.5 else "P3"
    return "P1" if draw < 0.04 else "P2" if draw < 0.22 else "P3"


@dataclass(frozen=True)
class Course:
    """How so many incidents spread over time: most evenly over the years until six weeks ago, the last ones ever
    closer together until now. Half of the last ones stay open (more, where `open_share` is above a half)."""

    count: int
    began: datetime
    now: datetime
    open_share: float = 0.01

    @property
    def finished(self) -> int:
        """How many are over for sure."""
        return self.count - round(self.count * min(1.0, 2 * self.open_share))

    def opened_at(self, number: int) -> datetime:
        recent = self.now - timedelta(days=45)
        if number < self.finished:
            return self.began + (recent - self.began) * (number / self.finished)
        share = (self.count - number) / (self.count - self.finished + 1)
        return self.now - timedelta(minutes=2) - (self.now - recent) * share**2

    def stays_open(self, number: int) -> bool:
        of_recent = max(0.5, self.open_share)
        return number >= self.finished and int(number * of_recent) != int((number + 1) * of_recent)
