"""The matrix of the staff's rights: complete, and in step with the rules of the rooms."""

import ast
from pathlib import Path

import pytest
from django.contrib import admin

from incidents import inbox_desk, outage_desk, rca_forms, rules
from incidents.staff_forms import STAFF_VERBS
from maintenance import rules as window_rules
from maintenance.staff_forms import STAFF_VERBS as WINDOW_VERBS
from portal import announcement_desk, announcing, rights
from portal.access import has_role, looked_after, may_use
from portal.admin_base import RoleAdmin, RoleMixin, RoleTabularInline
from portal.models import Impersonation, StaffRole, User
from tests import factories
from tests.conftest import T0

# Each verb of the desk with its least role, by hand: what stands in portal/rights.py is held to it.
LEAST = {
    "duty_manager": """
        incidents.incident:answer_escalation incidents.incident:decide_contest incidents.incident:declare_major
        maintenance.maintenancewindow:override_consent portal.user:look_as
        portal.announcement:expire portal.announcement:pin portal.announcement:publish
        portal.announcement:schedule portal.announcement:unpin portal.announcement:unschedule
        portal.heartbeat:operations
    """,
    "head_of_support": """
        incidents.incident:change_promise incidents.rca:drop_action incidents.slapolicyversion:move
    """,
    "own or duty_manager": """
        incidents.rca:publish_rca incidents.shift:hand_over maintenance.maintenancewindow:decide
        maintenance.maintenancewindow:give_consent maintenance.maintenancewindow:refuse_consent
        portal.announcement:withdraw
    """,
}
OF_RULES = {
    ("is_agent",): ("agent", False),
    ("is_writer", "is_agent"): ("agent", False),
    ("is_duty_manager",): ("duty_manager", False),
    ("is_head_of_support",): ("head_of_support", False),
    ("is_reviewer", "is_duty_manager"): ("duty_manager", True),
    ("is_owner", "is_duty_manager"): ("duty_manager", True),
    ("is_approver", "is_duty_manager"): ("duty_manager", True),
}


def verbs_of(page):
    return {key.split()[1]: verb for key, verb in rights.OF_VERBS.items() if key.split()[0] == page}


def test_each_verb_of_the_desk_has_its_least_role():
    named = {}
    for role, words in LEAST.items():
        for word in words.split():
            named[word.replace(":", " ")] = role
    for key, verb in rights.OF_VERBS.items():
        found = f"own or {verb.least}" if verb.is_own else verb.least
        assert found == named.pop(key, "agent"), key
    assert named == {}


def test_every_dialog_of_the_desk_is_in_the_matrix():
    expected = {
        "incidents.incident": {*STAFF_VERBS, "outage"},
        "incidents.inboundmessage": {*inbox_desk.DECISIONS, *inbox_desk.CHAT_DECISIONS, "again", "raw"},
        "incidents.rca": {
            *rca_forms.VERBS,
            *rca_forms.ACTION_VERBS,
            "save_rca",
            "comment_rca",
            "link_recurrence",
        },
        "maintenance.maintenancewindow": {*WINDOW_VERBS, "change_window"},
        "portal.announcement": set(announcement_desk.VERBS),
    }
    for page, verbs in expected.items():
        assert set(verbs_of(page)) == verbs, page
    assert outage_desk.ACTS  # one right for all of them: the outage's


@pytest.mark.parametrize(
    ("page", "rows"),
    [
        ("incidents.incident", rules.RULES),
        ("incidents.rca", rules.RCA_RULES),
        ("maintenance.maintenancewindow", window_rules.RULES),
    ],
)
def test_the_rules_of_the_rooms_give_what_the_matrix_says(page, rows):
    for name, verb in verbs_of(page).items():
        if name == "outage":
            continue
        actors = tuple(actor for actor in rows[name].actors if actor != "is_clockwork")
        if page.startswith("maintenance") and name in ("give_consent", "refuse_consent"):
            actors = window_rules.VENDOR_DECIDERS  # the customer answers their own
        assert OF_RULES[actors] == (verb.least, verb.is_own), name


def test_the_rule_of_announcements_gives_what_the_matrix_says(g1, m1, g2):
    news = announcing.write(by=g1, now=T0, title="x", text="x", audience="all")
    for name, verb in verbs_of("portal.announcement").items():
        for user in (g1, g2, m1):
            refused = announcing._refusal(name, news, user, T0)
            may = refused is None or refused.kind != "permission"
            expected = has_role(user, verb.least) or (verb.is_own and user == g1)
            assert may == expected, (name, user)


def test_a_model_a_row_an_action_or_a_verb_without_a_line_is_refused_to_everybody(root, rf, db):
    class Unlisted(RoleAdmin):
        actions = ["forged"]

        def forged(self, request, queryset):
            """Nobody's."""

    class UnlistedRows(RoleTabularInline):
        model = User.groups.through

    request = rf.get("/")
    request.user = root
    page = Unlisted(Impersonation, admin.site)
    rows = UnlistedRows(User, admin.site)
    for one in (page, rows):
        for verb in rights.FORM_VERBS:
            assert getattr(one, f"has_{verb}_permission")(request) is False
    assert page.get_actions(request) == {}
    assert not may_use(root, "portal.user", "forged")
    assert not has_role(root, rights.NOBODY)
    limited = factories.agent("lim@briqmind.example", "Lim", is_limited=True)
    assert not looked_after(Impersonation.objects.all(), limited).exists()


def test_everything_registered_is_in_the_matrix_and_says_no_role_of_its_own():
    for model, page in admin.site._registry.items():
        label = model._meta.label_lower
        assert label in rights.OF_MODELS, label
        assert isinstance(page, RoleMixin)
        assert not hasattr(page, "roles"), label
        for inline in page.inlines:
            assert f"{label} {inline.model._meta.label_lower}" in rights.OF_INLINES, inline
            assert issubclass(inline, RoleMixin)
            assert not hasattr(inline, "roles")
        for action in page.actions or []:
            assert f"{label} {action}" in rights.OF_ACTIONS, action


def test_the_matrix_names_roles_that_exist_and_paths_that_lead_to_an_organisation(db, acme):
    user = factories.agent("lim@briqmind.example", "Lim", is_limited=True)
    cells = {role for row in rights.OF_MODELS.values() for role in row.least.values()}
    assert cells <= {*StaffRole.values, rights.NOBODY}
    for model in admin.site._registry:
        list(looked_after(model._base_manager.all(), user))  # a path that leads nowhere is an error here


def test_each_role_may_do_what_the_ones_before_it_may(g1, m1, h1):
    administrator = factories.agent("admin@briqmind.example", "Ayla Admin", "administrator")
    people = [g1, m1, h1, administrator]
    for verb in rights.OF_VERBS.values():
        found = [has_role(person, verb.least) for person in people]
        assert found == sorted(found)
    former = factories.agent("former@briqmind.example", "Fo Rmer", "administrator", is_active=False)
    assert not any(may_use(former, *key.split()) for key in rights.OF_VERBS)


def test_only_the_matrix_speaks_of_roles_on_the_desk():
    """No other module of the desk names a role: a right that is written elsewhere is one that nobody reviews."""
    for path in ["portal/admin.py", "portal/admin_base.py", "portal/announcement_desk.py", "portal/endpoint_desk.py",
                 "incidents/admin.py", "incidents/alarm_desk.py", "incidents/inbox_desk.py", "incidents/outage_desk.py",
                 "incidents/plan_desk.py", "incidents/promise_desk.py", "incidents/rca_desk.py", "incidents/rota_desk.py",
                 "incidents/desk.py", "maintenance/admin.py", "maintenance/desk.py", "maintenance/draft_desk.py"]:  # fmt: skip
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
        named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert "StaffRole" not in named, path
