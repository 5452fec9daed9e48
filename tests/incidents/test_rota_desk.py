"""The rota: two weeks with their gaps, a swap in two clicks, whole weeks or none, and nobody overlaps."""

import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from incidents import oncall
from incidents.models import Shift
from incidents.rota_desk import ShiftForm
from tests.conftest import T0
from tests.factories import agent

LIST, ADD = "/admin/incidents/shift/", "/admin/incidents/shift/add/"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _at_t0():
    with time_machine.travel(T0, tick=False):
        yield


def shift(person, start=0, end=24, role="on_call", backup=None):
    """A shift in hours from T0."""
    return Shift.objects.create(
        role=role, person=person, backup=backup, from_at=T0 + start * HOUR, until_at=T0 + end * HOUR
    )


def fields(person, from_at, until_at, **more):
    data = {"role": "on_call", "person": person.pk, "backup": "", "weeks": "1"} | more
    for name, at in (("from_at", from_at), ("until_at", until_at)):
        local = timezone.localtime(at)
        data |= {f"{name}_0": f"{local:%Y-%m-%d}", f"{name}_1": f"{local:%H:%M:%S}"}
    return data


def hand_over_url(made):
    return reverse("admin:incidents_shift_hand_over", args=[made.pk])


# --- what is seen ---


def test_gaps_are_rows_with_a_link_that_fills_them(client, m1, g1, g2):
    shift(g1, -24, 30)
    shift(g2, 45, 14 * 24)
    client.force_login(m1)
    rows = client.get(LIST).context_data["rota"][0].rows
    assert [(row.shift and row.shift.person) for row in rows] == [g1, None, g2]
    gap = rows[1]
    assert (gap.from_at, gap.until_at) == (T0 + 30 * HOUR, T0 + 45 * HOUR)
    form = client.get(gap.fill_url).context_data["adminform"].form
    assert form.initial["role"] == "on_call"
    assert (form.initial["from_at"], form.initial["until_at"]) == (gap.from_at, gap.until_at)
    assert parse_qs(urlsplit(gap.fill_url).query)["role"] == ["on_call"]


@pytest.mark.parametrize("words", ["soon", "2026-02-30T10:00:00Z", "2026-03-03T10:00:00", ""])
def test_a_link_that_names_no_moment_fills_nothing(client, m1, words):
    client.force_login(m1)
    answer = client.get(ADD, {"from_at": words})
    assert (answer.status_code, answer.context_data["adminform"].form.initial["from_at"]) == (200, None)


def test_an_agent_sees_the_rota_and_may_change_only_their_own_shift(client, g1, g2):
    own, other = shift(g1, 0, 24), shift(g2, 24, 48)
    client.force_login(g1)
    page = client.get(LIST).content.decode()
    assert (hand_over_url(own) in page, hand_over_url(other) in page) == (True, False)
    assert "Add a shift here" not in page
    assert client.get(hand_over_url(other)).status_code == 403
    assert client.post(hand_over_url(other), {"to": g1.pk}).status_code == 403
    other.refresh_from_db()
    assert other.person == g2


def test_the_landing_page_warns_of_gaps_only_where_there_is_a_rota(client, g1, m1):
    client.force_login(m1)
    assert "There is no rota yet" in client.get("/admin/").content.decode()
    held = shift(g1, -1, 40)
    page = client.get("/admin/").content.decode()
    assert ("The rota has gaps" in page, "On call: nobody from" in page) == (True, True)
    assert "Duty manager: nobody" not in page  # a role that was never on the rota has no gap
    Shift.objects.filter(pk=held.pk).update(from_at=T0 - 9 * HOUR, until_at=T0 - HOUR)
    assert "On call: nobody now" in client.get("/admin/").content.decode()
    Shift.objects.filter(pk=held.pk).update(until_at=T0 + 8 * 24 * HOUR)
    page = client.get("/admin/").content.decode()
    assert ("The rota has gaps" in page, "There is no rota yet" in page) == (False, False)


# --- the swap ---


def test_a_shift_is_swapped_with_its_backup_in_two_clicks(client, m1, g1, g2):
    made = shift(g1, -10, 10, backup=g2)
    client.force_login(m1)
    link = f"{hand_over_url(made)}?to={g2.pk}"
    assert link in client.get(LIST).content.decode()
    assert f'<option value="{g2.pk}" selected>' in client.get(link).content.decode()
    assert client.post(hand_over_url(made), {"to": g2.pk}).url == LIST
    before, after = Shift.objects.order_by("from_at")
    assert (before.person, before.until_at) == (g1, T0)
    assert (after.person, after.backup, after.from_at, after.until_at) == (g2, g1, T0, T0 + 10 * HOUR)
    assert after.history.get().history_user == m1


def test_an_agent_hands_over_their_own_shift(client, g1, g2):
    made = shift(g1, 5, 10)
    client.force_login(g1)
    assert client.post(hand_over_url(made), {"to": g2.pk}).status_code == 302
    made.refresh_from_db()
    assert (made.person, Shift.objects.count()) == (g2, 1)


def test_a_look_at_the_dialog_changes_nothing(client, m1, g1, g2):
    made = shift(g1, -1, 10, backup=g2)
    client.force_login(m1)
    assert client.get(hand_over_url(made), {"to": g2.pk}).status_code == 200
    assert Shift.objects.get().person == g1


def test_what_cannot_be_handed_over_is_refused_with_the_reason(client, m1, g1, g2, a1):
    over, held = shift(g1, -10, -1), shift(g1, 0, 10)
    client.force_login(m1)
    answer = client.post(hand_over_url(over), {"to": g2.pk})
    assert (answer.status_code, "This shift is over." in answer.content.decode()) == (409, True)
    for to in (a1.pk, g1.pk, "", "x"):  # a customer, whoever has it, nobody
        assert client.post(hand_over_url(held), {"to": to}).status_code == 400, to
    assert client.get(hand_over_url(held).replace(str(held.pk), "99999")).status_code == 404
    assert Shift.objects.filter(person=g1).count() == 2


# --- several weeks ---


def test_weeks_are_repeated_at_the_same_hour_on_the_wall_across_a_change_of_the_clocks(client, m1, g1):
    m1.time_zone = "Europe/Berlin"  # the clocks go forward on 29 March 2026
    m1.save()
    client.force_login(m1)
    with timezone.override("Europe/Berlin"):
        from_at = timezone.make_aware(timezone.datetime(2026, 3, 20, 9))
        data = fields(g1, from_at, from_at + 8 * HOUR, weeks="3")
        assert client.post(ADD, data).status_code == 302
        walls = [f"{timezone.localtime(s.from_at):%d %H:%M}" for s in Shift.objects.order_by("from_at")]
        lengths = {s.until_at - s.from_at for s in Shift.objects.all()}
    assert (walls, lengths) == (["20 09:00", "27 09:00", "03 09:00"], {8 * HOUR})


def test_weeks_are_refused_as_a_whole_when_one_overlaps(client, m1, g1, g2):
    shift(g2, 24 * 14 + 2, 24 * 14 + 4)
    client.force_login(m1)
    answer = client.post(ADD, fields(g1, T0, T0 + 8 * HOUR, weeks="4"))
    assert answer.status_code == 200
    assert "Gus Two has this role already. Nothing was added" in answer.content.decode()
    assert Shift.objects.count() == 1


@pytest.mark.parametrize("weeks", ["0", "-1", "53", "x"])
def test_weeks_that_cannot_be_are_refused(client, m1, g1, weeks):
    client.force_login(m1)
    assert client.post(ADD, fields(g1, T0, T0 + HOUR, weeks=weeks)).status_code == 200
    assert Shift.objects.count() == 0


def test_a_shift_longer_than_a_week_is_not_repeated(client, m1, g1):
    client.force_login(m1)
    assert client.post(ADD, fields(g1, T0, T0 + 200 * HOUR, weeks="2")).status_code == 200
    assert client.post(ADD, fields(g1, T0, T0 + 7 * 24 * HOUR, weeks="2")).status_code == 302
    assert Shift.objects.count() == 2


# --- what stands ---


def test_what_has_passed_stays_as_it_was(client, root, g1, g2):
    over, held = shift(g1, -10, -1), shift(g1, -1, 10)
    client.force_login(root)
    change = reverse("admin:incidents_shift_change", args=[over.pk])
    assert client.post(change, fields(g2, T0, T0 + HOUR)).status_code == 403
    for made in (over, held):
        delete = reverse("admin:incidents_shift_delete", args=[made.pk])
        assert client.post(delete, {"post": "yes"}).status_code == 403
    assert list(Shift.objects.values_list("person", flat=True)) == [g1.pk, g1.pk]


def test_an_overlap_and_a_stranger_are_refused_by_the_form(client, m1, g1, g2, a1):
    shift(g2, 0, 10)
    client.force_login(m1)
    for person, more in [
        (g1, {}),
        (a1, {"role": "duty_manager"}),
        (g1, {"role": "duty_manager", "backup": g1.pk}),
    ]:
        assert client.post(ADD, fields(person, T0 + HOUR, T0 + 2 * HOUR, **more)).status_code == 200
    assert Shift.objects.count() == 1


def test_the_rota_is_locked_only_within_a_transaction(transactional_db):
    with pytest.raises(transaction.TransactionManagementError):
        oncall.lock_rota()


def test_of_many_who_take_the_same_hours_at_once_one_gets_them(transactional_db):
    people = [agent(f"p{n}@briqmind.example", f"P{n}") for n in range(8)]
    barrier, refused, errors = threading.Barrier(len(people)), [], []

    def take(person):
        with transaction.atomic():
            form = ShiftForm({"role": "on_call", "person": person.pk, "from_at": T0, "until_at": T0 + HOUR})
            form.fields.pop("weeks")
            if form.is_valid():
                form.save()
            else:
                refused.append(person)

    def run(person):
        try:
            barrier.wait()
            take(person)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    if connection.vendor == "postgresql":
        threads = [threading.Thread(target=run, args=[person]) for person in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:  # one writer: they come one after the other
        for person in people:
            take(person)
    assert errors == []
    assert (Shift.objects.count(), len(refused)) == (1, len(people) - 1)
