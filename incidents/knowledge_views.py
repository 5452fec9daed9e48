"""Knowledge, what is suggested while typing, and the promise: pages of nobody's incident."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from incidents import promise_words
from incidents.models import Article
from portal.access import person_of
from portal.models import Organisation, Service

PAGE = 25


@login_required
@require_safe
def suggestions(request: HttpRequest) -> HttpResponse:
    """Published articles that share a word with the title being typed."""
    found = find_articles(request, request.GET.get("title", ""))[:5] if request.GET.get("title") else []
    return render(request, "incidents/_suggestions.html", {"articles": found})


def find_articles(request: HttpRequest, words: str) -> Any:
    """Visible articles whose published version has one of the longer words."""
    found = Article.objects.visible_to(person_of(request)).published().select_related("published_version")
    terms = [word for word in words.split()[:12] if len(word) > 2]
    if words.strip() and not terms:
        return found.none()
    query = Q()
    for word in terms:
        query |= Q(published_version__title__icontains=word)
        query |= Q(published_version__text__icontains=word)
    return found.filter(query).order_by("published_version__title")


@login_required
@require_safe
def articles(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("q", "")[:200]
    page = Paginator(find_articles(request, words), PAGE).get_page(request.GET.get("page"))
    return render(request, "incidents/articles.html", {"page": page, "q": words})


@login_required
@require_safe
def article(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Article.objects.visible_to(person_of(request)).published(), slug=slug)
    return render(request, "incidents/article.html", {"article": found, "version": found.published_version})


@login_required
@require_safe
def sla(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    organisations = Organisation.objects.visible_to(person_of(request))
    promises = [promise_words.promise_of(organisation, now) for organisation in organisations[:20]]
    services = Service.objects.visible_to(person_of(request))
    return render(request, "incidents/sla.html", {"promises": promises, "services": services})
