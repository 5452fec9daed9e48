"""The schema of the API, and a page of it that people read: made here, without scripts and from nowhere else."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from portal.api_limits import Limited
from portal.api_problems import KINDS

METHODS = ("get", "post", "put", "patch", "delete")
MOST_VALUES = 20  # of a choice that the page names; the schema has them all
DEPTH = 4  # of an example; what lies deeper is shown by its kind


class ApiSchema(Limited, SpectacularAPIView):
    """The OpenAPI document."""


@dataclass(frozen=True)
class Field:
    """One field of an input or answer, or one parameter."""

    name: str
    kind: str
    words: str
    is_required: bool


@dataclass
class Operation:
    """One method of one address."""

    anchor: str
    method: str
    path: str
    words: str
    parameters: list[Field]
    fields: list[Field]
    answers: list[tuple[str, str]]
    example: str
    answer: str


@dataclass
class Group:
    """The operations below one noun."""

    name: str
    operations: list[Operation] = field(default_factory=list)


class Reference(Limited, APIView):
    """The reference page, for whoever is signed in."""

    permission_classes = (IsAuthenticated,)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """A page, whatever the browser would rather read."""
        return super().perform_content_negotiation(request, force=True)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        site = f"{request.scheme}://{request.get_host()}"
        problems = [(word, code, title) for code, (word, title) in KINDS.items()]
        context = {"groups": groups(get_language() or "en", site), "problems": problems, "site": site}
        return render(request._request, "portal/api_reference.html", context)


@lru_cache(maxsize=4)
def document() -> dict[str, Any]:
    """The OpenAPI document as it is for everybody; made once, for it takes a second."""
    found: dict[str, Any] = json.loads(
        json.dumps(SchemaGenerator().get_schema(request=None, public=True), default=str)
    )
    return found


@lru_cache(maxsize=8)
def groups(language: str, site: str) -> list[Group]:
    """The operations by noun, as `site` is called."""
    found: dict[str, Group] = {}
    for path, methods in document()["paths"].items():
        noun = path.removeprefix("/api/v1/").split("/")[0]
        group = found.setdefault(noun, Group(noun))
        rows = [(name, methods[name]) for name in METHODS if name in methods]
        group.operations += [operation(name, path, row, site) for name, row in rows]
    return [found[name] for name in sorted(found)]


def operation(method: str, path: str, row: dict[str, Any], site: str) -> Operation:
    body = _json_of(row.get("requestBody"))
    answers = row["responses"]
    good = next((answers[code] for code in ("200", "201", "202") if code in answers), None)
    return Operation(
        anchor=row["operationId"].replace("_", "-"),
        method=method.upper(),
        path=path,
        words=row.get("description", ""),
        parameters=[_parameter(each) for each in row.get("parameters", ())],
        fields=fields(body),
        answers=[(code, _words_of(code, each)) for code, each in sorted(answers.items())],
        example=curl(method, path, body, site),
        answer=_pretty(example(_json_of(good))) if good else "",
    )


def _parameter(each: dict[str, Any]) -> Field:
    words = each.get("description", "")
    return Field(each["name"], f"{each['in']}: {kind(each['schema'])}", words, each.get("required", False))


def _json_of(part: dict[str, Any] | None) -> dict[str, Any]:
    """The schema of a body; of several formats the JSON one."""
    content = (part or {}).get("content", {})
    chosen: dict[str, Any] = content.get("application/json") or next(iter(content.values()), {})
    found: dict[str, Any] = chosen.get("schema", {})
    return found


def _words_of(code: str, answer: dict[str, Any]) -> str:
    title = KINDS.get(int(code), ("", ""))[1] if code.isdecimal() else ""
    return str(answer.get("description") or title)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference, or a single `allOf`, stands for."""
    while "$ref" in schema or len(schema.get("allOf", ())) == 1:
        if "$ref" in schema:
            schema = document()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        else:
            schema = schema["allOf"][0]
    return schema


def fields(schema: dict[str, Any]) -> list[Field]:
    schema = resolved(schema)
    needed = schema.get("required", ())
    return [
        Field(name, kind(each), each.get("description", ""), name in needed)
        for name, each in schema.get("properties", {}).items()
    ]


def kind(schema: dict[str, Any]) -> str:
    """A schema's kind in a few words: “string, date-time”, “P1 | P2”."""
    schema = resolved(schema)
    if "enum" in schema:
        values = [str(each) for each in schema["enum"] if each not in (None, "")]
        return " | ".join([*values[:MOST_VALUES], *(["…"] if len(values) > MOST_VALUES else [])])
    if schema.get("type") == "array":
        return f"[{kind(schema.get('items', {}))}]"
    words = [schema.get("type", "any"), schema.get("format", "")]
    if "maxLength" in schema:
        words.append(f"≤ {schema['maxLength']}")
    return ", ".join(word for word in words if word)


EXAMPLES = {
    "date-time": "2026-03-04T10:00:00Z",
    "date": "2026-03-04",
    "email": "ada@acme.example",
    "uri": "https://…",
}


def example(schema: dict[str, Any], depth: int = 0) -> Any:
    """A value that the schema describes."""
    schema = resolved(schema)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("oneOf"):
        return example(schema["oneOf"][0], depth)
    kind_ = schema.get("type")
    if kind_ == "array":
        return [] if depth > DEPTH else [example(schema.get("items", {}), depth + 1)]
    if "properties" in schema:
        return {} if depth > DEPTH else {k: example(v, depth + 1) for k, v in schema["properties"].items()}
    plain: dict[Any, Any] = {"integer": 1, "number": 1.5, "boolean": True, "string": "…", "object": {}}
    return EXAMPLES.get(schema.get("format", ""), plain.get(kind_))


def curl(method: str, path: str, body: dict[str, Any], site: str) -> str:
    lines = [f"curl -X {method.upper()} {site}{path}", '-H "Authorization: Bearer $TOKEN"']
    if body:
        lines += [
            '-H "Content-Type: application/json"',
            f"-d '{json.dumps(example(body), ensure_ascii=False)}'",
        ]
    return " \\\n  ".join(lines)


def _pretty(value: Any) -> str:
    return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)
