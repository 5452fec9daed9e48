"""Full-text search over incidents: one door for the customers' list, the API and the desk.

    found = search(incidents, "requests time o", reader)   # of those that the queryset holds already
    found.order_by(*BEST_FIRST)

Every word must be there, the last one may be the beginning of one; case, accents and the letters ı/İ/i make no
difference. A reader of the customer's side searches what customers read, staff search everything of an incident.
The incident that a reference names comes first, then those with more of the words in the title, then the newest.
Only the newest `MOST` matches are ranked, so that a word that stands everywhere costs no more than another one.
Where nothing is found, words that are misspelt or parts of others are looked for in titles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import and_
from typing import Any

from django.db import connection
from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.expressions import RawSQL

from incidents.folding import asked_for, has, words_of
from incidents.models import Incident, SearchRow
from incidents.models.incident import reference_of
from portal.keyset import MOST_COUNTED
from portal.models import User

BEST_FIRST = ("-rank", "-pk")
MOST = MOST_COUNTED + 1  # that there are more is counted, too
NEWEST = 2_000  # looked at one by one, before an index is asked for all
MANY = 20  # of those: then the 1,000 newest matches are near, and reading on finds them sooner
SHORTEST_LIKE = 3  # letters: what is shorter is like too much
NAMED = 100  # the rank of what a reference names

Match = tuple[int, str]  # an incident's id and title


def search(incidents: Any, words: str, reader: User) -> Any:
    """Those of `incidents` that match, with `rank` for `BEST_FIRST`; all of them where there are no words.

    It asks the database at once, a bounded number of times; the answer is narrowed and paged as any queryset.
    """
    if not words.strip():
        return incidents
    ranks = dict.fromkeys(_named(incidents, words), NAMED)
    wanted = asked_for(words)
    for pk, title in _matches(incidents, wanted, reader) if wanted else []:
        ranks.setdefault(pk, has(words_of([title, reference_of(pk)]), wanted))
    return incidents.filter(pk__in=list(ranks)).annotate(rank=_ranked(ranks))


def _named(incidents: Any, words: str) -> Iterable[int]:
    """The incidents whose references are among the words."""
    pks: list[int] = []
    for word in words.upper().split()[:8]:
        pks += incidents.by_reference(word.strip("[](){}<>#.,:;!?")).values_list("pk", flat=True)
    return pks


def _ranked(ranks: dict[int, int]) -> Case:
    by_rank: dict[int, list[int]] = {}
    for pk, rank in ranks.items():
        by_rank.setdefault(rank, []).append(pk)
    by_rank.pop(0, None)
    cases = [When(pk__in=pks, then=Value(rank)) for rank, pks in by_rank.items()]
    return Case(*cases, default=Value(0), output_field=IntegerField())


# --- what matches ---


def _matches(incidents: Any, wanted: list[str], reader: User) -> list[Match]:
    """The newest that have all the words; where there is none, those with the like of them in the title."""
    plain = incidents.order_by("-pk")
    if connection.vendor == "sqlite":
        found = _first(plain.filter(pk__in=_in_fts(wanted, is_staff=reader.is_agent)))
        return found or _first(plain.filter(_each(wanted, lambda word: Q(title__icontains=word))))
    found = _newest(plain, _holding(wanted, is_staff=reader.is_agent))
    if found or not _has_trigrams():
        return found
    return _forgiving(plain, wanted, is_staff=reader.is_agent)


def _first(matches: QuerySet[Incident]) -> list[Match]:
    return list(matches.values_list("pk", "title")[:MOST])


def _each(wanted: list[str], condition: Callable[[str], Q]) -> Q:
    return reduce(and_, map(condition, wanted))


def _in_fts(wanted: list[str], *, is_staff: bool) -> RawSQL:
    """The ids that FTS5 has for the words; they hold nothing that its language would take for a sign."""
    words = " AND ".join([*(f'"{word}"' for word in wanted[:-1]), f'"{wanted[-1]}"*'])
    table = SearchRow._meta.db_table
    columns = "public_words internal_words" if is_staff else "public_words"
    return RawSQL(f"SELECT rowid FROM {table} WHERE {table} MATCH %s", [f"{{{columns}}} : ({words})"])  # noqa: S608, S611


# --- PostgreSQL ---


def _holding(wanted: list[str], *, is_staff: bool) -> Q:
    words = [*(f"'{word}'" for word in wanted[:-1]), f"'{wanted[-1]}':*"]
    if not is_staff:
        return Q(search_row__public_words__has_all=" & ".join(words))
    return _each(words, _anywhere)


def _anywhere(word: str) -> Q:
    return Q(search_row__public_words__has_all=word) | Q(search_row__internal_words__has_all=word)


def _newest(incidents: QuerySet[Incident], condition: Q) -> list[Match]:
    """The newest matches, found as suits their number: one by one where they are many, else by the index.

    A planner's guess of how many rows have several words is often wrong by thousands, and then it reads a
    million rows one by one. So the newest rows are looked at first, and what they show decides.
    """
    edge = incidents.values_list("pk", flat=True)[NEWEST : NEWEST + 1].first()
    if edge is None:
        return _first(incidents.filter(condition))
    found = _first(incidents.filter(condition, pk__gt=edge, search_row__pk__gt=edge))
    if len(found) >= MOST:
        return found
    matches = incidents.filter(condition)
    return _first(matches if len(found) >= MANY else _by_index(matches))


def _by_index(matches: QuerySet[Incident]) -> QuerySet[Incident]:
    """In an order that no index has: all matches are gathered by the words' index, and sorted then."""
    return matches.order_by((F("pk") + 0).desc())


def _forgiving(incidents: QuerySet[Incident], wanted: list[str], *, is_staff: bool) -> list[Match]:
    """Words that stand nowhere in what the reader sees may be misspelt, or parts of words of a title.

    Whether a word is known is asked within `incidents` only: what others write must change no answer.
    """
    holding = {word: _holding([word], is_staff=is_staff) for word in wanted}
    unknown = [
        word
        for word in wanted
        if len(word) > SHORTEST_LIKE
        and word.isalpha()
        and (len(wanted) == 1 or not _newest(incidents, holding[word]))
    ]
    if not unknown:
        return []
    for word in unknown:
        alike = Q(search_row__title__trigram_word_similar=word)
        holding[word] = alike | Q(search_row__title__contains=word)
    return _first(_by_index(incidents.filter(_each(wanted, holding.__getitem__))))


def _has_trigrams() -> bool:
    """Whether the database has pg_trgm, and the migration could build the index with it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('search_title') IS NOT NULL")
        return bool(cursor.fetchone()[0])
