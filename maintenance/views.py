"""The customer's maintenance page."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@login_required
def window_list(request: HttpRequest) -> HttpResponse:
    """No window can be planned yet, so none is announced: the page says so."""
    return render(request, "maintenance/list.html")
