"""Finds from syntax every place that keeps tenants apart or checks a permission, and plants a switch there.

A site is one loosening of one expression or statement: a filter's keyword dropped, a guard that never
holds, a predicate that says yes. `Planter` rewrites a module so that each site asks `switch.on(number)`.
Everything is found by shape and by name; nothing is listed by file or line.
"""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("portal", "incidents", "maintenance")
EXCLUDED = {  # a pattern of paths -> why nothing is mutated there
    r".*/migrations/.*": "they run once, before there is anybody to keep apart",
    r".*/management/.*": "commands of whoever holds the server's shell: they serve no visitor",
}

ON, DECORATED, PERMISSIVE, FLAG, LISTED, CELLS = (
    f"__mutant_{name}__" for name in ("on", "decorated", "permissive", "flag", "listed", "cells")
)
HEADER = f"""from tests.mutation.switch import (
    on as {ON}, decorated as {DECORATED}, permissive as {PERMISSIVE}, Flag as {FLAG}, Listed as {LISTED}, Cells as {CELLS})
"""

SCOPES = re.compile(r"(in)?visible_to|seen_\w+|managed_by|looked_after_by|addressed_to|published")
SCOPE_BODIES = re.compile(
    r"visible_to|seen_\w+|managed_by|looked_after(_by)?|addressed_to|narrowed\w*|_joined|writable|with_limits|_theirs"
    r"|organisations_of"
)
NARROWED = re.compile(r"narrowed\w*|looked_after|with_limits")
WHO = {"user", "person", "request", "token", "organisation", "organisations", "staff", "by"}
LOOKUPS = {"filter", "exclude", "get", "get_object_or_404", "get_list_or_404", "Q", "FilteredRelation"}
TENANT_WORDS = {
    *("organisation", "organisations", "organisation_id", "membership", "memberships", "user", "person"),
    *("is_public", "is_internal", "is_active", "is_staff", "staff_role", "role", "removed_at", "visibility"),
    *("team", "watchers", "watched", "reporter", "recipient", "involved", "is_vendor", "staff_limits"),
    *("is_limited", "erased_at", "owner", "token"),
}
PREDICATES = re.compile(
    r"may_\w+|can_\w+|is_agent|is_duty_manager|has_\w*(role|permission|right)s?|is_still_\w+|is_writer|is_reader"
    r"|is_member\w*|is_manager|is_channel_of|is_public\w*|_?(is_)?allowed\w*|looks_after|sees\w*|is_limited\w*"
)
TIGHT = {"is_missing", "is_required", "is_last"}  # predicates that hold somebody back
REFUSALS = re.compile(
    r"refusal|may|may_rca|may_not\w*|\w*permission_refusal|second_person_refusal|doubt\w*|why_not\w*|why_hidden|\w*refusal_for\w*"
)
LOOSE = {
    **dict.fromkeys(
        ("is_agent", "is_active", "is_authenticated", "is_staff", "is_public", "is_manager"), True
    ),
    **dict.fromkeys(("is_limited", "is_internal", "requires_second_factor"), False),
}
IDENTITIES = re.compile(
    r"(organisation|staff_role|role|team|visibility|user|person|scope|recipient)(_id)?|by_id"
)
PEOPLE = re.compile(r"user|by|person|author|recipient|owner|asker|approver|reviewer")
RAISED = {
    *("PermissionDenied", "Http404", "NotAuthenticated", "AuthenticationFailed", "NotFound"),
    *("HttpResponseForbidden", "HttpResponseNotFound"),
}
DECORATORS = re.compile(
    r"login_required|reauthenticat\w+|staff_member_required|permission_required|user_passes_test"
)
TABLES = re.compile(r"roles|\w*(RULES|RIGHTS|MATRIX|WRITES|READ_ONLY)")
ROLE_WORDS = {"agent", "duty", "head", "admin", "-"}  # in a table that is written as text
DOORS = re.compile(r"second_factor|imperson|look_as|access|limit")  # our own middleware that refuses


LEFT_OUT = {  # what has the shape of a site and is none -> why
    "service": "`is_active` of a service: a retired service hides nothing that is anybody's",
    "constraint": "a constraint's Q in Meta: the migrations hold it, and a test holds Meta to the migrations",
    "shown": "a fact about a person that is shown or written down, not asked in a condition",
}


@dataclass(frozen=True)
class Site:
    """One loosening: where, of which operator, what was written and what runs instead."""

    path: str
    line: int
    scope: str
    operator: str
    text: str
    other: str
    ordinal: int = 0  # among sites that read alike in the same function
    is_import: bool = False  # decided when the module loads: needs a process of its own
    is_late: bool = False  # a value of a loaded module that reads differently while the site is on

    @property
    def key(self) -> str:
        """A name that outlives changes elsewhere in the file."""
        tail = f" #{self.ordinal}" if self.ordinal else ""
        return f"{self.path}::{self.scope}::{self.operator}: {self.text} -> {self.other}{tail}"


def terminal(node: ast.AST) -> str:
    """The last name of `a.b.c`, `a.b.c()` or `c`."""
    if isinstance(node, ast.Call):
        return terminal(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def words(lookup: str | None) -> set[str]:
    return set((lookup or "").split("__"))


def constant(value: object) -> ast.Constant:
    return ast.Constant(value=value)


def negation(node: ast.expr) -> ast.expr:
    return node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else node


def is_denied(node: ast.AST | None, denials: set[str] | frozenset[str] = frozenset()) -> bool:
    """Whether an exception or answer refuses for want of permission."""
    if node is None:
        return False
    if terminal(node) in RAISED | denials:
        return True
    said = {"kind": {"permission"}, "status": {401, 403}}
    return isinstance(node, ast.Call) and any(
        isinstance(k.value, ast.Constant) and k.value.value in said.get(k.arg or "", ())
        for k in node.keywords
    )


def returned(body: list[ast.stmt]) -> ast.expr | None:
    """What a branch of one statement returns, if it is one."""
    return body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None


@dataclass
class Known:
    """What the definitions of all modules tell of the names that are used."""

    answers: dict[str, set[str]] = field(default_factory=dict)  # a function's name -> what it says it returns
    narrowers: set[str] = field(default_factory=set)  # functions from rows and somebody to fewer rows
    checkers: set[str] = field(default_factory=set)  # functions that return nothing and may refuse
    denials: set[str] = field(default_factory=set)  # exceptions that are refusals


def known_of(trees: Iterable[ast.Module]) -> Known:
    found = Known()
    nodes = [node for tree in trees for node in ast.walk(tree)]
    for node in nodes:
        if isinstance(node, ast.ClassDef) and any(terminal(base) in RAISED for base in node.bases):
            found.denials.add(node.name)
    for node in nodes:
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            returns = ast.unparse(node.returns)
            found.answers.setdefault(node.name, set()).add(returns)
            if is_narrower(node, returns):
                found.narrowers.add(node.name)
            raised = [n.exc for n in ast.walk(node) if isinstance(n, ast.Raise)]
            if returns == "None" and any(is_denied(exc, found.denials) for exc in raised):
                found.checkers.add(node.name)
    return found


def is_narrower(node: ast.FunctionDef, returns: str) -> bool:
    first, *others = [a for a in node.args.args if a.arg not in {"self", "cls"}] or [None]
    annotation = ast.unparse(first.annotation) if first is not None and first.annotation else ""
    names = {a.arg for a in [*others, *node.args.kwonlyargs] if a is not None}
    return "QuerySet" in returns and "QuerySet" in annotation and bool(names & WHO)


class Planter(ast.NodeTransformer):
    """Rewrites one module; `sites` are what it planted, numbered from `start`."""

    def __init__(self, path: str, known: Known, start: int = 0) -> None:
        self.path, self.known, self.start = path, known, start
        self.texts: dict[str, str] = {}  # the module's tables of rights that are written as text
        self.sites: list[Site] = []
        self.scopes: list[str] = []
        self.functions: list[tuple[str, str]] = []  # the enclosing functions: name, what they return
        self.seen: dict[tuple, int] = {}
        self.conditions: set[int] = set()  # ids of the attributes that some condition asks for
        self.left_out: Counter[str] = Counter()

    # --- planting ---

    def add(self, node: ast.AST, operator: str, other: str, text: str = "", *, late: bool = False) -> int:
        scope = ".".join(self.scopes) or "module"
        short = tuple(" ".join(t.split())[:160] for t in (text or ast.unparse(node), other))
        alike = (scope, operator, *short)
        self.seen[alike] = ordinal = self.seen.get(alike, -1) + 1
        is_import = not self.functions and not late
        line = getattr(node, "lineno", 0)
        self.sites.append(Site(self.path, line, scope, operator, *short, ordinal, is_import, late))
        return self.start + len(self.sites) - 1

    def ask(self, number: int, name: str = ON, *more: ast.expr) -> ast.Call:
        return ast.Call(ast.Name(name, ast.Load()), [constant(number), *more], [])

    def choose(self, original: ast.expr, variants: list[tuple[str, ast.expr]], planted: ast.expr) -> ast.expr:
        texts = {ast.unparse(original)}
        for operator, variant in variants:
            other = ast.unparse(variant)
            if other in texts:
                continue
            texts.add(other)
            test = self.ask(self.add(original, operator, other))
            planted = ast.IfExp(test, variant, planted)
        return planted

    def expression(self, node: ast.expr, variants: list[tuple[str, ast.expr]]) -> ast.expr:
        if not variants:
            return self.generic_visit(node)  # type: ignore[return-value]
        original = copy.deepcopy(node)
        return self.choose(original, variants, self.generic_visit(node))  # type: ignore[arg-type]

    # --- where we are ---

    @property
    def name(self) -> str:
        return next((name for name, _ in reversed(self.functions) if name != "<lambda>"), "")

    @property
    def is_scope(self) -> bool:
        """Whether this function decides which rows somebody gets."""
        return bool(SCOPE_BODIES.fullmatch(self.name)) or self.name in self.known.narrowers

    @property
    def judges(self) -> str:
        """What this function's verdict is: rows, bool (may), str (a refusal) or nothing of the kind."""
        if self.is_scope:
            return "rows"
        returns = self.functions[-1][1] if self.functions else ""
        if returns == "bool" and PREDICATES.fullmatch(self.name):
            return "bool"
        return "str" if returns.startswith("str") and REFUSALS.fullmatch(self.name) else ""

    def returns(self, name: str, kind: str) -> bool:
        return any(answer.split(" ")[0] == kind for answer in self.known.answers.get(name, ()))

    # --- expressions ---

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = terminal(node.func)
        if not self.functions and len(node.args) == 1 and terminal(node.args[0]) in self.texts:
            return self.text_table(node, terminal(node.args[0]))
        if (
            DECORATORS.fullmatch(name)
            and node.args
            and not self.functions
            and not isinstance(node.args[0], ast.Constant)
        ):
            number = self.add(node, "decorator", ast.unparse(node.args[0]), late=True)
            wrapped = ast.Call(self.ask(number, DECORATED, node.func), node.args, node.keywords)
            return wrapped
        variants = [*self.scope_calls(node, name), *self.lookups(node, name), *self.verdicts(node, name)]
        variants += self.flags(node, name)
        original = copy.deepcopy(node)
        if isinstance(node.func, ast.Attribute):  # the call is the site, not the attribute that is called
            node.func.value = self.visit(node.func.value)
        else:
            node.func = node.func if isinstance(node.func, ast.Name) else self.visit(node.func)
        node.args = [self.visit(a) for a in node.args]
        for word in node.keywords:
            word.value = self.visit(word.value)
        return self.choose(original, variants, node)

    def scope_calls(self, node: ast.Call, name: str) -> list[tuple[str, ast.expr]]:
        if (NARROWED.fullmatch(name) or name in self.known.narrowers) and node.args:
            return [("narrowed", copy.deepcopy(node.args[0]))]
        if SCOPES.fullmatch(name) and isinstance(node.func, ast.Attribute) and len(node.args) <= 2:
            return [("scope", everything(node.func.value))]
        return []

    def lookups(self, node: ast.Call, name: str) -> list[tuple[str, ast.expr]]:
        if name not in LOOKUPS or (name == "get" and not node.keywords):
            return []
        found = []
        for at, word in enumerate(node.keywords):
            if is_of_service(node, word.arg):
                self.left_out["service"] += 1
            elif self.is_scope or words(word.arg) & TENANT_WORDS:
                left = copy.deepcopy(node)
                del left.keywords[at]
                found.append(("keyword", self.emptied(left, name)))
        for at, argument in enumerate(node.args):
            if name in {"filter", "exclude"} and (self.is_scope or mentions(argument)):
                left = copy.deepcopy(node)
                del left.args[at]
                found.append(("condition", self.emptied(left, name)))
        return found

    def emptied(self, left: ast.Call, name: str) -> ast.expr:
        if left.args or left.keywords:
            return left
        if name == "Q":
            return ast.UnaryOp(
                ast.Invert(), ast.Call(left.func, [], [ast.keyword("pk__in", ast.List([], ast.Load()))])
            )
        if name in {"filter", "exclude"} and isinstance(left.func, ast.Attribute):
            return everything(left.func.value)
        return left

    def verdicts(self, node: ast.Call, name: str) -> list[tuple[str, ast.expr]]:
        if REFUSALS.fullmatch(name) and self.returns(name, "str"):
            return [("refusal", constant(""))]
        if name in TIGHT and self.returns(name, "bool"):
            return [("predicate", constant(False))]
        if PREDICATES.fullmatch(name) and (self.returns(name, "bool") or name.endswith("_permission")):
            return [("predicate", constant(name not in LOOSE or LOOSE[name]))]
        return []

    def flags(self, node: ast.Call, name: str) -> list[tuple[str, ast.expr]]:
        """What an actor is said to be, and what is written for staff's eyes only."""
        found = []
        for at, word in enumerate(node.keywords):
            is_actor = (
                name == "Actor" and word.arg != "is_clockwork" and not isinstance(word.value, ast.Constant)
            )
            is_hidden = word.arg in {"is_public", "is_internal"} and isinstance(word.value, ast.Constant)
            if is_hidden and (name in LOOKUPS or word.value.value is LOOSE[word.arg]):  # type: ignore[attr-defined]
                continue
            if is_actor or is_hidden:
                left = copy.deepcopy(node)
                left.keywords[at].value = constant(LOOSE.get(word.arg or "", True))
                found.append(("actor" if is_actor else "internal", left))
        return found  # type: ignore[return-value]

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if not isinstance(node.ctx, ast.Load) or node.attr not in LOOSE or not self.functions:
            return self.generic_visit(node)
        if id(node) not in self.conditions and not self.judges:
            self.left_out["shown"] += 1
            return self.generic_visit(node)
        return self.expression(node, [("attribute", constant(LOOSE[node.attr]))])

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.ask_in(node.test)
        return self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        for condition in node.ifs:
            self.ask_in(condition)
        return self.generic_visit(node)

    def ask_in(self, condition: ast.expr) -> None:
        self.conditions |= {id(part) for part in ast.walk(condition)}

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        if len(node.ops) != 1 or not self.functions:
            return self.generic_visit(node)
        sides = [node.left, node.comparators[0]]
        names = [terminal(side) for side in sides]
        is_none = any(isinstance(side, ast.Constant) and side.value is None for side in sides)
        if is_none:
            is_site = "membership" in names
        else:
            is_site = any(IDENTITIES.fullmatch(name) or re.fullmatch(r"BY_[A-Z]+", name) for name in names)
            is_site = is_site or any(is_persons_key(side) for side in sides)
        if not is_site:
            return self.generic_visit(node)
        same = isinstance(node.ops[0], ast.Eq | ast.In | ast.Is) != (is_none)
        return self.expression(node, [("comparison", constant(same))])

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.ask_in(node)
        variants = []
        if self.judges in {"bool", "rows"} and len(node.values) > 1:
            for at, value in enumerate(node.values):
                if not self.is_site_itself(value):
                    left = copy.deepcopy(node)
                    del left.values[at]
                    variants.append(("operand", left.values[0] if len(left.values) == 1 else left))
        wanted = ast.And if self.judges == "bool" else ast.Or
        return self.expression(node, variants if isinstance(node.op, wanted) else [])

    def is_site_itself(self, value: ast.expr) -> bool:
        value = negation(value)
        name = terminal(value)
        return name in LOOSE or (isinstance(value, ast.Call) and bool(PREDICATES.fullmatch(name)))

    # --- statements ---

    def visit_If(self, node: ast.If) -> ast.AST:
        self.ask_in(node.test)
        forced = self.forced(node)
        if forced is None:
            return self.generic_visit(node)
        original = copy.deepcopy(node.test)
        self.generic_visit(node)
        node.test = self.choose(original, [("guard", constant(forced))], node.test)
        return node

    def forced(self, node: ast.If) -> bool | None:
        """The verdict of a guard's condition that lets more through; None where this is no guard."""
        value = returned(node.body)
        if not self.judges or value is None or self.is_site_itself(node.test):
            return None
        if self.judges == "rows":
            return terminal(value) != "none"
        if isinstance(value, ast.Constant):
            return value.value is True if self.judges == "bool" else value.value == ""
        return False if self.judges == "str" else None

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if not is_denied(node.exc, self.known.denials) or not self.functions:
            return self.generic_visit(node)
        number = self.add(node, "raise", "pass")
        return ast.If(ast.UnaryOp(ast.Not(), self.ask(number)), [self.generic_visit(node)], [])  # type: ignore[list-item]

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """A call for its refusal alone is left out."""
        name = terminal(node.value) if isinstance(node.value, ast.Call) else ""
        if name not in self.known.checkers or not self.functions or ast.unparse(node).startswith("super()"):
            return self.generic_visit(node)
        number = self.add(node, "check", "pass")
        return ast.If(ast.UnaryOp(ast.Not(), self.ask(number)), [self.generic_visit(node)], [])  # type: ignore[list-item]

    def visit_Return(self, node: ast.Return) -> ast.AST:
        variants: list[tuple[str, ast.expr]] = []
        if is_denied(node.value, self.known.denials):
            variants = [("returned refusal", constant(None))]
        elif self.judges == "bool" and node.value is not None and not self.is_site_itself(node.value):
            variants = [("verdict", constant(True))]
        if not variants or node.value is None:
            return self.generic_visit(node)
        original = copy.deepcopy(node.value)
        self.generic_visit(node)
        node.value = self.choose(original, variants, node.value)
        return node

    # --- functions and classes ---

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list = [self.decorator(d) for d in node.decorator_list]
        node.args.defaults = [self.visit(d) for d in node.args.defaults]
        node.args.kw_defaults = [d and self.visit(d) for d in node.args.kw_defaults]
        self.scopes.append(node.name)
        self.functions.append((node.name, ast.unparse(node.returns) if node.returns else ""))
        node.body = self.statements(node.body)
        self.functions.pop()
        self.scopes.pop()
        return node

    def statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        return [self.visit(statement) for statement in body]

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self.functions.append(("<lambda>", ""))
        node.body = self.visit(node.body)
        self.functions.pop()
        return node

    def decorator(self, node: ast.expr) -> ast.expr:
        if any(
            DECORATORS.fullmatch(terminal(n))
            for n in ast.walk(node)
            if isinstance(n, ast.Name | ast.Attribute)
        ):
            return self.ask(self.add(node, "decorator", "none", late=True), DECORATED, node)
        for word in node.keywords if isinstance(node, ast.Call) else ():
            if word.arg == "permission_classes":
                word.value = self.permissions(word.value)
            if word.arg == "permissions":
                number = self.add(word.value, "action permission", "['view']", late=True)
                everybody = ast.List([constant("view")], ast.Load())
                word.value = self.ask(number, LISTED, word.value, everybody)
        return self.visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        outer, self.functions = self.functions, []
        self.scopes.append(node.name)
        node.decorator_list = [self.visit(d) for d in node.decorator_list]
        node.body = self.statements(node.body)
        self.scopes.pop()
        self.functions = outer
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.assigned(terminal(node.target), node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        node.value = self.assigned(terminal(node.targets[0]), node.value)
        return node

    def permissions(self, value: ast.expr) -> ast.expr:
        """Each class of a list of permission classes may let everybody in."""
        for part in ast.walk(value):
            for at, entry in enumerate(part.elts if isinstance(part, ast.Tuple | ast.List) else ()):
                if not isinstance(entry, ast.Starred):
                    number = self.add(entry, "permission class", "anybody", late=True)
                    part.elts[at] = self.ask(number, PERMISSIVE, entry)  # type: ignore[attr-defined]
        return value

    def assigned(self, name: str, value: ast.expr) -> ast.expr:
        """The value of a constant, with its cells switched where it is a table of rights."""
        if self.functions:
            return self.visit(value)
        if is_text_table(value):
            self.texts[name] = value.value  # type: ignore[attr-defined]
            return value
        if name == "permission_classes":
            return self.permissions(value)
        if name == "is_public" and isinstance(value, ast.Constant) and value.value is False:
            return self.ask(self.add(value, "internal", "True", "is_public = False", late=True), FLAG, value)
        if TABLES.fullmatch(name) and isinstance(value, ast.Dict | ast.Call):
            return self.table(name, value)
        if name in {"MIDDLEWARE", "REST_FRAMEWORK"}:
            return self.settings(value)
        if name == "constraints" and "Meta" in self.scopes:
            self.left_out["constraint"] += sum(
                terminal(n) == "Q" for n in ast.walk(value) if isinstance(n, ast.Call)
            )
            return value
        return self.visit(value)

    def text_table(self, node: ast.Call, name: str) -> ast.expr:
        """What is read from a table of rights in text, with each cell of it switched."""
        variants = []
        for label, text in wider_texts(self.texts[name]):
            number = self.add(node, "cell", "wider", f"{name}: {label}", late=True)
            make = ast.Lambda(NO_ARGUMENTS, ast.Call(node.func, [constant(text)], []))
            variants.append(ast.Tuple([constant(number), make], ast.Load()))
        return ast.Call(ast.Name(CELLS, ast.Load()), [node, ast.List(variants, ast.Load())], [])  # type: ignore[list-item]

    def table(self, name: str, value: ast.expr) -> ast.expr:
        variants = []
        for label, other in widened(value):
            number = self.add(value, "cell", other_text(value, other), f"{name}: {label}", late=True)
            make = ast.Lambda(NO_ARGUMENTS, other)
            variants.append(ast.Tuple([constant(number), make], ast.Load()))
        if not variants:
            return self.visit(value)
        return ast.Call(ast.Name(CELLS, ast.Load()), [value, ast.List(variants, ast.Load())], [])  # type: ignore[list-item]

    def settings(self, value: ast.expr) -> ast.expr:
        for node in ast.walk(value):
            if not isinstance(node, ast.List):
                continue
            for at, entry in enumerate(node.elts):
                text = entry.value if isinstance(entry, ast.Constant) else ""
                if text == "rest_framework.permissions.IsAuthenticated":
                    other = constant("rest_framework.permissions.AllowAny")
                elif str(text).startswith("portal.") and DOORS.search(str(text)):
                    other = constant("portal.middleware.designed_not_found")
                else:
                    continue
                test = self.ask(self.add(entry, "setting", other.value))
                node.elts[at] = ast.IfExp(test, other, entry)
        return value


NO_ARGUMENTS = ast.arguments([], [], None, [], [], None, [])


def everything(receiver: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(copy.deepcopy(receiver), "all", ast.Load()), [], [])


def mentions(node: ast.AST) -> bool:
    """Whether a condition names what keeps tenants apart."""
    return any(isinstance(part, ast.keyword) and words(part.arg) & TENANT_WORDS for part in ast.walk(node))


def is_of_service(node: ast.Call, lookup: str | None) -> bool:
    """`Service.objects.filter(is_active=True)`, `service__is_active=True`."""
    parts = (lookup or "").split("__")
    return parts[-1] == "is_active" and ("service" in parts or ast.unparse(node.func).startswith("Service."))


def is_persons_key(node: ast.AST) -> bool:
    """`by.pk`, `person.id`: a comparison asks who somebody is."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr in {"pk", "id"}
        and bool(PEOPLE.fullmatch(terminal(node.value)))
    )


def other_text(value: ast.expr, other: ast.expr) -> str:
    """What differs, for a reader."""
    before, after = ast.unparse(value), ast.unparse(other)
    at = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before))
    return f"...{after[max(at - 25, 0) : at + 40]}"


def widened(value: ast.expr) -> list[tuple[str, ast.expr]]:
    """Every way to widen one cell of a table: (the cell's name, the whole table with it widened)."""
    found = []
    if isinstance(value, ast.Call) and terminal(value) == "rights":
        for at, verb in enumerate(("view", "write", "delete")):
            other = copy.deepcopy(value)
            if at < len(value.args):
                if not narrow_role(value.args[at]):
                    continue
                other.args[at] = AGENT
            else:
                other.keywords = [w for w in other.keywords if w.arg != verb] + [ast.keyword(verb, AGENT)]
            found.append((verb, other))
        return found  # type: ignore[return-value]
    if not isinstance(value, ast.Dict):
        return []
    for at, (key, entry) in enumerate(zip(value.keys, value.values, strict=True)):
        if key is None:
            continue
        for label, cell in wider_cells(entry):
            other_table = copy.deepcopy(value)
            other_table.values[at] = cell
            found.append((f"{ast.unparse(key)}{label}", other_table))  # type: ignore[arg-type]
    return found  # type: ignore[return-value]


AGENT = ast.Attribute(ast.Name("StaffRole", ast.Load()), "AGENT", ast.Load())


def narrow_role(node: ast.expr) -> bool:
    """A cell that says who may: a staff role above agent, or nobody."""
    if isinstance(node, ast.Attribute) and terminal(node.value) == "StaffRole":
        return node.attr != "AGENT"
    return terminal(node) == "NOBODY"


def wider_cells(entry: ast.expr) -> list[tuple[str, ast.expr]]:
    if narrow_role(entry):
        return [("", AGENT)]
    if isinstance(entry, ast.Call) and terminal(entry) == "Rule":
        anybody = copy.deepcopy(entry)
        anybody.args[1] = ast.Tuple([constant("__class__")], ast.Load())
        found: list[tuple[str, ast.expr]] = [("", anybody)]
        if len(entry.args) > 3:
            ever = copy.deepcopy(entry)
            ever.args[3] = constant("")
            found.append((" even for the same person", ever))
        return found
    if isinstance(entry, ast.Dict | ast.Call):
        return [(f".{label}", cell) for label, cell in widened(entry)]
    return []


def is_text_table(value: ast.expr) -> bool:
    """Three lines or more that name a thing and who may what with it."""
    if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
        return False
    rows = [line.split() for line in value.value.splitlines()]
    return sum("." in row[0] and bool(ROLE_WORDS & set(row[1:])) for row in rows if row) >= 3


def wider_texts(table: str) -> list[tuple[str, str]]:
    """Every way to widen one cell: (the row and the column, the whole table with it widened)."""
    found, name, has_of = [], "", " of\n" in table
    for line in table.splitlines(keepends=True):
        cells = list(re.finditer(r"\S+", line))
        if not cells or not any(cell[0] in ROLE_WORDS for cell in cells):
            name = line.strip()
            continue
        name = " ".join(c[0] for c in cells if "." in c[0] and c is not cells[-1]) or name
        for at, cell in enumerate(cells[1:] if "." in cells[0][0] else cells):
            wider = "agent" if cell[0] in ROLE_WORDS - {"agent"} else ""
            if has_of and cell is cells[-1] and cell[0] != "all":
                wider = "all"
            if wider:
                changed = line[: cell.start()] + wider + line[cell.end() :]
                found.append((f"{name} column {at} {cell[0]} -> {wider}", table.replace(line, changed, 1)))
    return found


def sources() -> list[Path]:
    """The modules that are searched, in a stable order."""
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in found if not excluded(path)]


def excluded(path: Path) -> str:
    """Why a module is not searched, or ""."""
    name = path.relative_to(ROOT).as_posix()
    return next((reason for pattern, reason in EXCLUDED.items() if re.fullmatch(pattern, name)), "")


def plant(tree: ast.Module, planter: Planter) -> ast.Module:
    """The module with its switches, importing them after the docstring and the futures."""
    planter.visit(tree)
    at = 0
    for statement in tree.body:
        is_doc = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not is_doc and not (isinstance(statement, ast.ImportFrom) and statement.module == "__future__"):
            break
        at += 1
    tree.body.insert(at, ast.parse(HEADER).body[0])
    return ast.fix_missing_locations(tree)


@dataclass
class Found:
    """All sites in order of their numbers; path -> the planted module; what was left out, by reason."""

    sites: list[Site]
    planted: dict[str, ast.Module]
    left_out: Counter[str]


def find(paths: Iterable[Path] | None = None) -> Found:
    paths = list(paths if paths is not None else sources())
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    known = known_of(trees.values())
    found = Found([], {}, Counter())
    for path, tree in trees.items():
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
        planter = Planter(name, known, len(found.sites))
        module = plant(tree, planter)
        found.left_out += planter.left_out
        if planter.sites:
            found.planted[str(path)] = module
            found.sites += planter.sites
    return found
