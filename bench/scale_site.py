"""What the bench adds to the product's site: empty pages, and the time that a page's statements take.

An empty page has the base template, the session and the middleware of a real one, and nothing else. Where a
request asks for it (`X-Bench-SQL: 1`), its answer says how many statements it needed, how long the database
took for all of them (milliseconds, until the last row was here), and which one took longest.
"""

from __future__ import annotations

import time
from urllib.parse import quote

from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.db import connection
from django.shortcuts import render
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from portal.urls import handler429 as handler429
from portal.urls import urlpatterns as product


def measured(get_response):
    """The outermost middleware; it costs a look at the headers where nothing is asked."""

    def middleware(request):
        if "HTTP_X_BENCH_SQL" not in request.META:
            return get_response(request)
        took: list[tuple[float, str]] = []

        def note(execute, sql, params, many, context):
            began = time.perf_counter()
            try:
                return execute(sql, params, many, context)
            finally:
                took.append((time.perf_counter() - began, sql))

        with connection.execute_wrapper(note):
            response = get_response(request)
        slowest = max(took, default=(0.0, ""))
        response["X-Bench-SQL"] = f"{len(took)} {sum(seconds for seconds, _sql in took) * 1000:.3f}"
        response["X-Bench-Slowest"] = f"{slowest[0] * 1000:.3f} {quote(slowest[1][:3000])}"
        return response

    return middleware


@login_required
def empty(request):
    return render(request, "bench/empty.html")


def empty_desk(request):
    return render(request, "bench/empty_desk.html", admin.site.each_context(request))


class EmptyAPI(APIView):
    def get(self, request):
        return Response({})


urlpatterns = [
    path("bench/empty/", empty),
    path("bench/empty-desk/", admin.site.admin_view(empty_desk)),
    path("bench/empty-api/", EmptyAPI.as_view()),
    *product,
]
