"""The mutation script itself: it finds a planted site of each operator, and a guard that no test holds survives."""

import argparse
import ast
import textwrap
import types

import pytest

from tests.mutation import run, switch
from tests.mutation.pool import hunting
from tests.mutation.sites import EXCLUDED, find, sources

PLANTED = [  # operator, what is written, what runs instead
    ("scope", "def v(user): return Incident.objects.visible_to(user)", "Incident.objects.all()"),
    ("scope", "def v(user): return found.published()", "found.all()"),
    ("narrowed", "def v(r): return narrowed(found, r)", "found"),
    ("keyword", "def v(o): return A.objects.filter(organisation=o, pk=1)", "A.objects.filter(pk=1)"),
    ("keyword", "def v(): return A.objects.filter(is_public=True)", "A.objects.all()"),
    ("keyword", "def v(u): return get_object_or_404(A, user=u, pk=1)", "get_object_or_404(A, pk=1)"),
    ("keyword", "def visible_to(self, x): return self.filter(window__in=x)", "self.all()"),
    ("keyword", "def v(u): return B.filter(Q(user=u))", "~Q(pk__in=[])"),
    ("condition", "def v(u): return B.filter(Q(user=u))", "B.all()"),
    (
        "guard",
        "def visible_to(self, x):\n  if x < 1: return self.none()\n  return self",
        "False",
    ),
    ("attribute", "def v(u):\n  if not u.is_agent: return 1", "True"),
    ("attribute", "def v(u): return 1 if u.is_limited else 2", "False"),
    ("predicate", "def may_write(u) -> bool: return x\ndef v(u): return may_write(u)", "True"),
    ("predicate", "class A:\n  def f(self): return super().has_change_permission(1)", "True"),
    ("verdict", "class A:\n  def has_add_permission(self) -> bool: return x(1)", "True"),
    ("operand", "def may_see(u) -> bool: return x(1) and y(2)", "y(2)"),
    ("refusal", "def permission_refusal(v) -> str: return x\ndef v(): return permission_refusal(1)", "''"),
    ("guard", "def why_not(m) -> str:\n  if x(1): return 'gone'\n  return ''", "False"),
    ("comparison", "def v(a, b):\n  if a.organisation_id != b: return 1", "False"),
    ("comparison", "def v(u):\n  if membership(u) is None: return 1", "False"),
    ("comparison", "def v(by, person):\n  if by.pk == person.pk: return 1", "True"),
    ("raise", "def v():\n  raise PermissionDenied", "pass"),
    ("raise", "class No(PermissionDenied): pass\ndef v():\n  raise No()", "pass"),
    ("check", "def check(u) -> None:\n  raise PermissionDenied\ndef v(u):\n  check(u)", "pass"),
    (
        "narrowed",
        "def ours(rows: QuerySet, user: User) -> QuerySet: return rows\ndef v(u): return ours(found, u)",
        "found",
    ),
    ("predicate", "def is_missing(u) -> bool: return x\ndef v(u): return is_missing(u)", "False"),
    ("cell", "M = '''\na.b agent head\na.c agent -\na.d duty duty\n'''\nT = read(M)", "wider"),
    ("permission class", "class A:\n  @action(permission_classes=[IsMine])\n  def f(self): pass", "anybody"),
    ("raise", "def v():\n  raise Refused('no', kind='permission')", "pass"),
    ("returned refusal", "def v(): return Refused('no', kind='permission')", "None"),
    ("actor", "def v(x): return Actor(is_writer=x)", "Actor(is_writer=True)"),
    ("internal", "def v(): write(is_public=False)", "write(is_public=True)"),
    ("internal", "class A:\n  is_public = False", "True"),
    ("decorator", "@login_required\ndef v(r): pass", "none"),
    ("permission class", "class A:\n  permission_classes = (IsMine,)", "anybody"),
    ("action permission", "class A:\n  @action(permissions=['send'])\n  def f(self): pass", "['view']"),
    (
        "cell",
        "class A:\n  roles = {'view': StaffRole.HEAD_OF_SUPPORT}",
        "...{'view': StaffRole.AGENT}",
    ),
    (
        "cell",
        "class A:\n  roles = rights(StaffRole.AGENT)",
        "...rights(StaffRole.AGENT, write=StaffRole.AGENT)",
    ),
    ("cell", "RULES = {'close': Rule(ANY, STAFF)}", "...{'close': Rule(ANY, ('__class__',))}"),
    (
        "setting",
        "REST_FRAMEWORK = {'X': ['rest_framework.permissions.IsAuthenticated']}",
        "rest_framework.permissions.AllowAny",
    ),
]


@pytest.fixture(autouse=True)
def _switched_off(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "VAR", tmp_path / "var")
    yield
    switch.active = -1
    switch.hits.clear()


@pytest.fixture
def plant(tmp_path):
    """A planted module: what was found in it, and itself after the import."""

    def planted(text):
        path = tmp_path / "planted.py"
        path.write_text(textwrap.dedent(text))
        found = find([path])
        module = types.ModuleType("planted")
        for tree in found.planted.values():
            code = compile(tree, str(path), "exec")
        return found, module, code

    return planted


@pytest.mark.parametrize(("operator", "text", "other"), PLANTED)
def test_a_planted_site_of_each_operator_is_found_and_compiles(plant, operator, text, other):
    found, _module, _code = plant(text)
    assert (operator, other) in {(site.operator, site.other) for site in found.sites}


@pytest.mark.parametrize(
    "text",
    [
        "def v(): return A.objects.filter(status='open')",
        "def v(u): return {'shown': u.is_agent}",
        "def v(x):\n  if not x: raise ValueError",
        "class A:\n  is_public = True",
        "class A:\n  class Meta:\n    constraints = [Check(Q(role='x'))]",
    ],
)
def test_what_guards_nothing_is_no_site(tmp_path, text):
    path = tmp_path / "planted.py"
    path.write_text(text)
    assert find([path]).sites == []


LOGIN = """
    def login_required(f):
        return lambda who: f(who) if who else "sign in"

    @login_required
    def page(who): return "page"

    class Facts:
        is_public = False

    class StaffRole:
        AGENT, HEAD = "agent", "head"

    roles = {"view": StaffRole.AGENT, "add": StaffRole.HEAD}
    TEXT = '''
        portal.user agent head
        portal.team agent -
        mfa.key     admin admin
    '''
    def read(text): return {name: cells for name, *cells in map(str.split, text.strip().splitlines())}
    TABLE = read(TEXT)

    def mine(rows, who):
        return rows.filter(organisation=who)

    def enter(who):
        if who.is_agent:
            return True
        raise PermissionError
"""


def test_a_switch_turns_one_guard_off_and_on_again(plant):
    found, module, code = plant(LOGIN)
    exec(code, module.__dict__)
    number = {site.operator: n for n, site in enumerate(found.sites) if "TEXT" not in site.text}
    cells = [(n, site.text) for n, site in enumerate(found.sites) if "TEXT" in site.text]
    assert [text for _, text in cells] == [
        "TEXT: portal.user column 1 head -> agent",
        "TEXT: portal.team column 1 - -> agent",
        "TEXT: mfa.key column 0 admin -> agent",
        "TEXT: mfa.key column 1 admin -> agent",
    ]
    switch.active = cells[1][0]
    assert module.TABLE["portal.team"] == ["agent", "agent"]
    assert module.TABLE["portal.user"] == ["agent", "head"]
    assert (module.page(""), module.Facts.is_public, module.roles["add"]) == ("sign in", False, "head")
    for operator, look, loose in [
        ("decorator", lambda: module.page(""), "page"),
        ("internal", lambda: module.Facts().is_public, True),
        ("cell", lambda: module.roles.get("add"), "agent"),
        ("attribute", lambda: module.enter(types.SimpleNamespace(is_agent=False)), True),
    ]:
        switch.active = number[operator]
        assert look() == loose
        assert number[operator] in switch.hits
        switch.active = -1
    assert module.roles == {"view": "agent", "add": "head"}


class Suite:
    """Stands for the collected tests: what each of them asks of the planted module."""

    def __init__(self, tests):
        self.tests = tests

    def passes(self, name):
        return bool(self.tests[name]())


UNFILTERED = """
    class Rows(list):
        def filter(self, **words): return Rows(r for r in self if r.items() >= words.items())
        def all(self): return self

    def mine(rows, who): return rows.filter(organisation=who)
"""


@pytest.mark.parametrize(("is_held", "exit_code"), [(True, 0), (False, 1)])
def test_a_filter_that_no_test_holds_survives_and_fails_the_run(plant, capsys, is_held, exit_code):
    found, module, code = plant(UNFILTERED)
    exec(code, module.__dict__)
    rows = module.Rows([{"organisation": "acme"}, {"organisation": "nordwind"}])
    suite = Suite(
        {
            "shows mine": lambda: {"organisation": "acme"} in module.mine(rows, "acme"),
            "hides theirs": lambda: len(module.mine(rows, "acme")) == 1,
        }
    )
    tests = ["shows mine", "hides theirs"] if is_held else ["shows mine"]
    mutation = run.Mutation(argparse.Namespace(), found)
    result = hunting(suite, 0, lambda: tests, 60)()
    mutation.judge(0, result, "0 s")
    assert mutation.exit_code == exit_code
    assert result["killer"] == ("hides theirs" if is_held else "")
    assert ("SURVIVED" in capsys.readouterr().out) is not is_held


@pytest.mark.parametrize(("changed", "holds"), [("", True), ("source.py", False), ("test_x.py", False)])
def test_a_verdict_holds_as_long_as_its_source_and_its_killer_are_as_they_were(
    monkeypatch, tmp_path, changed, holds
):
    monkeypatch.setattr(run, "ROOT", tmp_path)
    for name in ("source.py", "test_x.py"):
        (tmp_path / name).write_text("as it was")
    site = types.SimpleNamespace(key="a site", path="source.py")
    run.Verdicts().note(site, "test_x.py::test_it")
    if changed:
        (tmp_path / changed).write_text("changed")
    kept = run.Verdicts()
    assert (kept.killer(site), kept.holds(site)) == ("test_x.py::test_it", holds)
    kept.note(site, "")
    assert run.Verdicts().killer(site) == ""


def test_a_test_that_fails_anyway_kills_nothing():
    assert hunting(Suite({"broken": lambda: False}), 0, lambda: ["broken"], 60)()["killer"] == ""


def test_every_file_of_ours_is_searched_or_its_reason_is_printed():
    assert all(reason for reason in EXCLUDED.values())
    searched = {path.name for path in sources()}
    assert {"access.py", "rules.py", "incident.py", "views.py", "api.py", "admin_base.py"} <= searched


def test_every_equivalent_mutant_has_its_reason():
    assert all(reason for reason in run.equivalents().values())


def test_every_site_has_a_name_of_its_own():
    found = find()
    assert len({site.key for site in found.sites}) == len(found.sites)
    assert all(isinstance(tree, ast.Module) for tree in found.planted.values())
