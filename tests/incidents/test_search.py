"""What a search finds, in which order, and what it never does: on SQLite and PostgreSQL alike."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from incidents import actions, folding, retention, search, search_index
from incidents.models import Incident, Message, SearchRow
from incidents.search import BEST_FIRST
from portal import keyset, privacy_verbs
from portal.models import StaffLimit
from tests.conftest import T0
from tests.factories import agent, incident, person
from tests.incidents.test_api import API, bearer

PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


def found(reader, words, of=None):
    """The references in their order."""
    rows = Incident.objects.visible_to(reader) if of is None else of
    return [one.reference for one in search.search(rows, words, reader).order_by(*BEST_FIRST)]


def references(*incidents):
    return [one.reference for one in incidents]


# --- words ---


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("İSTANBUL'da IŞIK yok", "istanbul isik"),
        ("istanbul ışık", "İSTANBUL IŞIK"),
        ("Ilgın çağlayan", "ilgin caglayan"),
        ("Müller in Zürich", "muller zurich"),
        ("Muller", "MÜLLER"),
        ("Straße und Øresund", "strasse oresund"),
        ("łódź smörgåsbord", "Lodz smorgas"),
        ("e\u0301te\u0301", "été"),
        ("see OPS-4711.", "ops-4711"),
        ("see OPS-4711.", "4711"),
        ("version 2.1.3 fails", "2.1.3"),
        ("https://api.example.com/v1/chat", "example.com chat"),
        ("ask ali@acme.example!", "ali@acme.example"),
        ("rate_limit_exceeded", "limit exceeded"),
        ("東京 region", "東京"),
        ("x" * 200, "x" * 200),
    ],
)
def test_case_accents_and_the_letters_i_make_no_difference(a1, text, query):
    made = incident(a1, T0, title="API down", description=text)
    assert found(a1, query) == references(made)


@pytest.mark.parametrize("query", ["2.1.4", "ops-4712", "stanbul 2.1.3", "1.3.2"])
def test_other_words_are_not_found(a1, query):
    incident(a1, T0, title="API down", description="OPS-4711: version 2.1.3 in İstanbul")
    assert found(a1, query) == []


def test_every_word_must_be_there_and_only_the_last_may_be_a_beginning(a1):
    made = incident(a1, T0, title="Embeddings time out", description="since the release")
    assert found(a1, "release embed") == references(made)
    assert found(a1, "embeddings rele") == references(made)
    assert found(a1, "rele embeddings") == []
    assert found(a1, "embeddings tomorrow") == []


@pytest.mark.parametrize(
    "query", ["%", "_", "*", "' | '", '"', "(", "OR", "\\", "a:b:", "-", "{public_words} : x", "!!"]
)
def test_signs_are_no_language(a1, query):
    incident(a1, T0, title="API down", description="all is well")
    assert found(a1, query) == []


def test_no_words_are_no_search(a1):
    made = incident(a1, T0)
    assert list(search.search(Incident.objects.visible_to(a1), "  ", a1)) == [made]


def test_words_are_taken_apart_the_same_way_for_text_and_query():
    assert folding.words_of(["a.b-c"]) == ["a", "a.b-c", "b", "b-c", "c"]
    assert folding.asked_for("A.B-c, d") == ["a.b-c", "d"]
    assert folding.asked_for("a b c d e f g h i") == list("abcdefgh")
    assert folding.fold("İIıi Ççé") == "iiii cce"
    assert folding.has(["time", "out"], ["time", "ou"]) == 2
    assert folding.has(["time", "out"], ["ti", "x"]) == 0


def test_a_very_long_text_is_found_by_its_first_words_and_nobody_is_hindered(a1, g1):
    made = incident(a1, T0, title="API down")
    for number in range(12):
        text = " ".join(f"w{number}x{n}" + "z" * 40 for n in range(1000))[:50_000]
        actions.reply(made, by=a1, now=T0 + timedelta(minutes=number), channel="portal", text=text)
    assert len(words := folding.words_of(["ä" * 60 + str(n) for n in range(20_000)])) < 20_000
    assert sum(len(word.encode()) for word in words) <= folding.MOST_BYTES
    assert found(a1, "api down") == found(a1, "w11x0zzz") == references(made)


# --- order ---


def test_the_named_one_then_words_in_titles_then_the_newest(a1, g1):
    named = incident(a1, T0, title="Console slow")
    titled = incident(a1, T0, title="Vector index empty")
    half = incident(a1, T0, title="Index empty", description="the vector kind")
    told = incident(a1, T0, title="Search fails", description="the vector index")
    newer = incident(a1, T0, title="It is down", description=f"index vector, as {named.reference}")
    assert found(a1, "vector index") == references(titled, half, newer, told)
    assert found(a1, named.reference) == references(named, newer)
    assert found(a1, named.reference.lower() + ".") == references(named, newer)
    assert found(a1, f"vector {named.reference}") == references(named, newer)
    assert found(a1, named.reference.split("-")[1]) == references(named, newer)


def test_pages_go_on_where_the_last_one_ended(a1, client):
    made = [
        incident(a1, T0, title=f"{'Vector' if n % 2 else 'Other'} {n}", description="vector")
        for n in range(7)
    ]
    rows = search.search(Incident.objects.visible_to(a1), "vector", a1)
    seen, cursor = [], None
    while cursor != "":
        page = keyset.cut(rows, BEST_FIRST, 2, cursor)
        seen += [one.pk for one in page.rows]
        cursor = page.after
    assert seen == [made[n].pk for n in (5, 3, 1, 6, 4, 2, 0)]


def test_only_the_newest_are_ranked_and_a_list_says_that_there_are_more(a1, monkeypatch):
    made = [incident(a1, T0, title=f"Vector {n}") for n in range(6)]
    for newest, most, many in [(2, 4, 50), (2, 4, 1), (3, 2, 1), (50, 4, 50)]:
        monkeypatch.setattr(search, "NEWEST", newest)
        monkeypatch.setattr(search, "MOST", most)
        monkeypatch.setattr(search, "MANY", many)
        assert found(a1, "vector") == references(*reversed(made[-most:]))
        assert found(a1, "vector 0") == references(made[0])
    monkeypatch.setattr(keyset, "MOST_COUNTED", 3)
    monkeypatch.setattr(search, "MOST", 4)
    assert keyset.count_of(search.search(Incident.objects.all(), "vector", a1)) == keyset.Count(3, True)


def test_a_misspelt_word_or_a_part_of_one_is_found_in_titles(a1, b1, g1):
    made = incident(a1, T0, title="Embeddings time out")
    incident(b1, T0, title="Quokka embeddings")
    assert found(a1, "beddin") == references(made)
    if connection.vendor == "postgresql":
        assert found(a1, "embedings time") == references(made)
        assert found(a1, "tiem emebddings") == []
    assert found(a1, "quokk") == found(a1, "quoka") == []


def test_what_others_wrote_changes_no_answer(a1, b1):
    """Not even which words are known: a misspelt one is forgiven although it stands in another's incident."""
    made = incident(a1, T0, title="Embeddings time out")
    if connection.vendor == "postgresql":
        before = found(a1, "embedings time")
        incident(b1, T0, title="x", description="embedings time")
        assert found(a1, "embedings time") == before == references(made)


def test_a_database_without_trigrams_finds_whole_words(a1, monkeypatch):
    made = incident(a1, T0, title="Embeddings time out")
    monkeypatch.setattr(search, "_has_trigrams", lambda: False)
    assert found(a1, "embeddings") == references(made)
    assert found(a1, "embedings time") == []


# --- who finds what ---


@pytest.fixture
def noted(a1, g1):
    """An incident with an internal note, and words of either side."""
    made = incident(a1, T0, title="API down", description="platypus")
    actions.reply(made, by=g1, now=T0, channel="portal", text="wombat public")
    file = SimpleUploadedFile("dingo.pdf", PDF, content_type="application/pdf")
    actions.add_note(made, by=g1, now=T0, channel="portal", text="quokka internal", files=[file])
    return made


def test_internal_words_are_found_by_staff_only(noted, a1, a3, g1, client):
    for reader in (a1, a3):
        assert found(reader, "platypus wombat") == references(noted)
        for words in ("quokka", "quok", "quokka platypus", "internal", "dingo"):
            assert found(reader, words) == []
        assert bearer(reader).get(f"{API}incidents/?q=quokka").json()["results"] == []
    assert found(g1, "quokka") == found(g1, "quokka platypus wom") == found(g1, "dingo") == references(noted)
    assert [row["reference"] for row in bearer(g1).get(f"{API}incidents/?q=quokka").json()["results"]]
    client.force_login(a1)
    nothing = client.get("/incidents/?show=all&q=zzzzzz").content.decode()
    answer = client.get("/incidents/?show=all&q=quokka").content.decode()
    for sign in ("<li", "<tr", "INC-"):
        assert answer.count(sign) == nothing.count(sign)
    assert client.get("/incidents/?show=all&q=quokka").context["counted"] == "0 incidents"
    assert client.get("/incidents/?show=all&q=wombat").context["counted"] == "1 incident"


def test_others_incidents_are_found_by_no_word_and_no_reference(noted, a1, b1, g1):
    theirs = incident(b1, T0, title="Platypus", description="wombat numbat")
    assert found(a1, "wombat") == references(noted)
    assert found(a1, "numbat") == found(a1, theirs.reference) == found(a1, "latypu") == []
    assert found(b1, "wombat") == references(theirs)
    assert found(b1, noted.reference) == []
    assert set(found(g1, "wombat")) == set(references(noted, theirs))


def test_what_others_have_more_of_pushes_nothing_of_mine_out(a1, b1, monkeypatch):
    made = incident(a1, T0, title="Vector")
    incident(b1, T0, title="Vector, too")
    monkeypatch.setattr(search, "MOST", 1)
    assert found(a1, "vector") == references(made)


def test_staff_who_are_limited_find_what_they_look_after(noted, b1, acme):
    theirs = incident(b1, T0, title="Quokka")
    lim = agent("lim@vendor.example", "Lim", is_limited=True)
    StaffLimit.objects.create(user=lim, organisation=acme)
    assert found(lim, "quokka") == references(noted)
    assert found(lim, theirs.reference) == []


def test_what_the_reader_narrowed_by_holds(a1, g1, client):
    first = incident(a1, T0, level="P1", title="Vector down")
    second = incident(a1, T0, level="P3", title="Vector slow")
    actions.withdraw(first, by=a1, now=T0, channel="portal", reason="no more")
    client.force_login(a1)
    for query, wanted in [
        ("q=vector", [second]),
        ("q=vector&show=all", [second, first]),
        ("q=vector&show=finished", [first]),
        ("q=vector&show=all&level=P1", [first]),
        (f"q={first.reference}", []),
        (f"q={first.reference}&show=all", [first]),
    ]:
        page = client.get(f"/incidents/?{query}").context["page"]
        assert [one.pk for one in page.rows] == [one.pk for one in wanted], query
    rows = bearer(g1).get(f"{API}incidents/?q=vector&status=closed").json()["results"]
    assert [row["reference"] for row in rows] == references(first)


def test_the_api_gives_the_best_first_in_pages(a1):
    told = [incident(a1, T0, title=f"Other {n}", description="vector") for n in range(2)]
    titled = incident(a1, T0 - timedelta(days=1), title="Vector")
    incident(a1, T0, title="Nothing of it")
    newest = incident(a1, T0, title="More", description="vector")
    seen, address = [], f"{API}incidents/?q=vector&page_size=2"
    while address:
        answer = bearer(a1).get(address).json()
        seen += [row["reference"] for row in answer["results"]]
        address = answer["next"]
    assert seen == references(titled, newest, told[1], told[0])


def test_the_desk_finds_notes_and_gives_the_best_first(noted, a1, g1, client):
    titled = incident(a1, T0 + timedelta(minutes=1), level="P3", title="Quokka sits on the API")
    client.force_login(g1)
    address = "/admin/incidents/incident/"
    listed = client.get(address, {"q": "quokka"}).context["cl"].result_list
    assert [one.pk for one in listed] == [titled.pk, noted.pk]
    listed = client.get(address, {"q": "quokka", "o": "1"}).context["cl"].result_list
    assert [one.pk for one in listed] == [noted.pk, titled.pk]
    listed = client.get(address, {"q": noted.reference.lower()}).context["cl"].result_list
    assert [one.pk for one in listed] == [noted.pk]
    assert len(client.get(address).context["cl"].result_list) == 2


# --- what keeps it true ---


def test_every_text_of_an_incident_is_found(a1, g1, m1):
    made = incident(a1, T0, level="P2", title="Titleword", description="Descriptionword")
    file = SimpleUploadedFile("filenameword.pdf", PDF, content_type="application/pdf")
    actions.reply(made, by=a1, now=T0, channel="portal", text="Replyword", files=[file])
    actions.publish_status_update(
        made,
        by=g1,
        now=T0,
        channel="portal",
        condition="acknowledged",
        summary="Updateword",
        impact="Impactword",
        next_steps="Stepword",
        next_update_at=T0 + timedelta(minutes=20),
    )
    for word in ["title", "description", "reply", "filename", "update", "impact", "step"]:
        assert found(a1, f"{word}word") == references(made), word


def test_an_update_is_internal_until_it_is_published(a1, g1):
    made = incident(a1, T0)
    actions.schedule_status_update(
        made,
        by=g1,
        now=T0,
        channel="portal",
        condition="acknowledged",
        summary="Quokka is well",
        publish_at=T0 + timedelta(minutes=10),
    )
    assert (found(a1, "quokka"), found(g1, "quokka")) == ([], references(made))
    actions.publish_scheduled(made.status_updates.get(), now=T0 + timedelta(minutes=10))
    assert found(a1, "quokka") == found(g1, "quokka") == references(made)


def test_a_refused_verb_changes_nothing(a1, g1):
    made = incident(a1, T0)
    with pytest.raises(actions.Refused):
        actions.reply(made, by=a1, now=T0, channel="portal", text="quokka", files=[object()] * 11)
    assert found(g1, "quokka") == []


def words_kept():
    """Everything that stands in the index, whichever its tables are."""
    tables = [name for name in connection.introspection.table_names() if "searchrow" in name]
    with connection.cursor() as cursor:
        held = []
        for table in tables:
            cursor.execute(f"SELECT * FROM {table}")
            held += cursor.fetchall()
    return repr(held).lower()


def test_an_erased_person_stands_in_no_index(noted, a1, acme, root, g1):
    gone = person("zed@acme.example", "Zebulon Quimby", acme, "member")
    theirs = incident(gone, T0, title="Zebulon Quimby cannot sign in", description="zed@acme.example")
    actions.add_note(noted, by=g1, now=T0, channel="portal", text="Zebulon Quimby called")
    assert found(g1, "zebulon") == references(theirs, noted)
    privacy_verbs.erase(gone, by=root, reason="asked for it", now=T0 + timedelta(days=1))
    assert found(g1, "zebulon") == found(g1, "quimby") == found(g1, "zed@acme.example") == []
    assert found(g1, "quokka called former") == references(noted)
    assert "zebulon" not in words_kept()


def test_texts_that_retention_removes_leave_the_index(noted, a1, g1):
    other = incident(a1, T0, title="Wombat")
    actions.withdraw(noted, by=a1, now=T0, channel="portal", reason="over")
    retention._remove_texts([noted.pk, other.pk], timezone.now())
    assert found(g1, "quokka") == found(g1, "platypus") == []
    assert found(g1, "wombat") == references(other)
    assert found(g1, noted.reference) == references(noted)
    assert "platypus" not in words_kept()


def test_a_deleted_incident_leaves_the_index(a1):
    made = Incident.objects.create(**{
        field.attname: getattr(incident(a1, T0), field.attname)
        for field in Incident._meta.concrete_fields if not field.primary_key
    } | {"title": "Quokka"})  # fmt: skip
    search_index.keep([made.pk])
    assert found(a1, "quokka") == references(made)
    made.delete()
    assert found(a1, "quokka") == []
    assert not SearchRow.objects.filter(title__contains="quokka").exists()


# --- rebuilding ---


def rebuilt(**options):
    said = StringIO()
    call_command("index_search", stdout=said, **options)
    return said.getvalue()


def test_what_has_no_row_gets_one_and_what_has_one_is_left_alone(noted, a1, g1, monkeypatch):
    other = incident(a1, T0, title="Wombat")
    monkeypatch.setattr(search_index, "BATCH", 1)
    SearchRow.objects.filter(pk=noted.pk).delete()
    assert found(g1, "quokka") == []
    Message.objects.filter(incident=other).delete()
    assert rebuilt() == "1 rows written; every incident can be found.\n"
    assert found(g1, "quokka") == references(noted)
    assert found(a1, "quokka") == []
    assert rebuilt() == "0 rows written; every incident can be found.\n"


def test_all_rows_are_made_anew(noted, a1, g1):
    incident(a1, T0, title="Wombat")
    Incident.objects.filter(pk=noted.pk).update(description="Numbat")
    assert rebuilt().startswith("0 rows")
    assert found(g1, "numbat") == []
    assert rebuilt(anew=True).startswith("2 rows")
    assert found(a1, "numbat") == found(g1, "quokka") == references(noted)
    assert SearchRow.objects.count() == 2


def test_a_pass_that_was_stopped_goes_on_below(a1, monkeypatch):
    made = [incident(a1, T0, title=f"Vector {n}") for n in range(3)]
    monkeypatch.setattr(search_index, "BATCH", 1)
    SearchRow.objects.all().delete()
    bottom, _count = next(search_index.fill())
    assert found(a1, "vector") == references(made[2])
    assert rebuilt(below=bottom - 1).startswith("1 rows")
    assert found(a1, "vector") == references(made[2], made[0])
