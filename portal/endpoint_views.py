"""The pages on which an organisation's managers look after its dedicated channel and its webhooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from portal import endpoint_verbs, endpoint_words
from portal.access import person_of
from portal.endpoint_forms import EndpointForm, NewEndpointForm, PersonForm, attempt, values_of
from portal.models import ChatIdentity, Endpoint, Membership, Organisation, OutboxMessage, StaffRole, User
from portal.webhook_format import example

PAGE = endpoint_words.PAGE
SHOWN_ONCE = "channel_secret"  # in the session, and so never in a cookie
GET_POST = ["GET", "POST"]
in_no_report = sensitive_post_parameters(*endpoint_verbs.SECRET)  # of an error


def managed_by(user: User) -> QuerySet[Organisation]:
    """The organisations whose channels and webhooks the person looks after."""
    visible = Organisation.objects.visible_to(user).filter(is_active=True, is_vendor=False).order_by("name")
    if user.has_staff_role(StaffRole.HEAD_OF_SUPPORT):
        return visible
    rows = Membership.objects.filter(user=user, role=Membership.Role.MANAGER)
    return visible.filter(pk__in=rows.values("organisation"))


def find(request: HttpRequest, key: UUID) -> tuple[Endpoint, Organisation]:
    """The endpoint and whose it is: 404 for a stranger, 403 for whoever does not manage the organisation."""
    user = person_of(request)
    rows = Endpoint.objects.visible_to(user).select_related("organisation", "created_by")
    found = get_object_or_404(rows.exclude(organisation=None), key=key)
    assert found.organisation is not None
    reason = endpoint_verbs.refusal(found.organisation, user)
    if reason:
        raise PermissionDenied(reason)
    return found, found.organisation


def by_now(request: HttpRequest) -> dict[str, Any]:
    """Who does it and when, as the verbs take them."""
    return {"by": person_of(request), "now": timezone.now()}


@login_required
@require_safe
def endpoint_list(request: HttpRequest) -> HttpResponse:
    organisations = list(managed_by(person_of(request)))
    found = Endpoint.objects.filter(organisation__in=organisations, removed_at=None)
    rows = found.select_related("organisation").order_by("organisation__name", "use", "name", "pk")
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": [(each, endpoint_words.state_of(each), endpoint_words.hears_in_words(each)) for each in page],
        "manages": bool(organisations),
        "is_of_several": len(organisations) > 1,
        "has_channel": with_channel(organisations).exists(),
    }
    return render(request, "portal/channels/list.html", context)


def with_channel(organisations: list[Organisation]) -> QuerySet[Organisation]:
    """Those of them whose plan has a dedicated channel."""
    pks = [each.pk for each in organisations]
    return Organisation.objects.filter(pk__in=pks, support_plan__has_dedicated_channel=True)


@login_required
@in_no_report
@require_http_methods(GET_POST)
def new_endpoint(request: HttpRequest) -> HttpResponse:
    user, use = person_of(request), request.GET.get("use", "")
    organisations = list(managed_by(user))
    if not organisations:
        raise PermissionDenied(_("The managers of your organisation look after its channels and webhooks."))
    if use not in (Endpoint.Use.CHANNEL, Endpoint.Use.WEBHOOKS):
        return redirect("channels")
    allowed = managed_by(user)
    form = NewEndpointForm(request.POST or None, use=use, organisations=allowed)
    status = create(request, form) if form.is_valid() else 400 if form.is_bound else 200
    if not status:
        messages.success(request, _("It is set up and switched on. Send a test to see whether it arrives."))
        return redirect("channel", request.session[SHOWN_ONCE][0])
    is_in_plan = user.is_agent or use == Endpoint.Use.WEBHOOKS or with_channel(organisations).exists()
    context = {"form": form, "use": use, "guides": GUIDES, "is_in_plan": is_in_plan}
    return render(request, "portal/channels/new.html", context, status=status)


def create(request: HttpRequest, form: NewEndpointForm) -> int:
    given = {"service": Endpoint.Service.WEBHOOK} | form.given()
    organisation = given.pop("organisation")
    about = {"use": form.use} | by_now(request)

    def verb() -> None:
        show_once(request, endpoint_verbs.create(organisation, **given, **about))

    return attempt(form, verb)


def show_once(request: HttpRequest, endpoint: Endpoint) -> None:
    """The next look at the endpoint's page shows its secret, if receivers check one."""
    is_signed = endpoint.service == Endpoint.Service.WEBHOOK
    request.session[SHOWN_ONCE] = [str(endpoint.key), endpoint.secret if is_signed else ""]


def shown_once(request: HttpRequest, endpoint: Endpoint) -> str:
    if request.method != "GET" or request.session.get(SHOWN_ONCE, [""])[0] != str(endpoint.key):
        return ""
    return str(request.session.pop(SHOWN_ONCE)[1])


# --- one of them ---


@login_required
@never_cache
@require_http_methods([*GET_POST, "HEAD"])
def endpoint(request: HttpRequest, key: UUID) -> HttpResponse:
    """GET shows the channel or webhooks and the log; POST does what one of the buttons says."""
    found, organisation = find(request, key)
    forms_of = {"form": forms.Form(), "person_form": PersonForm(organisation=organisation)}
    if request.method != "POST":
        return endpoint_page(request, found, organisation, forms_of)
    do = request.POST.get("do", "")
    if do == "map":
        form: forms.Form = PersonForm(request.POST, organisation=organisation)
        status = map_person(request, found, form) if form.is_valid() else 400
        forms_of = {"form": form, "person_form": form}
    else:
        form = forms.Form(request.POST)
        status = press(request, found, form, do)
        forms_of["form"] = form
    if not status:
        messages.success(request, DONE[do])
        return redirect("channel", found.key)
    return endpoint_page(request, found, organisation, forms_of, status)


VERBS: dict[str, Callable[..., Any]] = {
    "test": endpoint_verbs.send_test,
    "on": endpoint_verbs.switch_on,
    "off": endpoint_verbs.switch_off,
}
DONE = {
    "test": gettext_lazy("A test is on its way: the log below shows what became of it."),
    "on": gettext_lazy("It is switched on: what happens from now on goes there."),
    "off": gettext_lazy("It is switched off: nothing goes there until you switch it on."),
    "map": gettext_lazy("What they write in the channel becomes replies of this person from now on."),
    "unmap": gettext_lazy("Removed: what they write waits for our staff from now on."),
}


def press(request: HttpRequest, found: Endpoint, form: forms.Form, do: str) -> int:
    """What a button does. 0, or the HTTP status of the refusal; 404 for somebody who is not on the list."""
    form.is_valid()
    about = by_now(request)
    if do == "unmap":
        number = request.POST.get("identity", "")
        rows = ChatIdentity.objects.filter(endpoint=found)
        identity = get_object_or_404(rows, pk=number if number.isdecimal() and len(number) < 19 else 0)
        return attempt(form, lambda: endpoint_verbs.unmap_person(found, identity, **about))
    if do not in VERBS:
        form.add_error(None, _("There is no such button."))
        return 400
    return attempt(form, lambda: VERBS[do](found, **about))


def map_person(request: HttpRequest, found: Endpoint, form: forms.Form) -> int:
    about = by_now(request)
    return attempt(form, lambda: endpoint_verbs.map_person(found, **form.cleaned_data, **about))


def endpoint_page(
    request: HttpRequest,
    found: Endpoint,
    organisation: Organisation,
    forms_of: dict[str, forms.Form],
    status: int = 200,
) -> HttpResponse:
    found.refresh_from_db(fields=["is_active", "disabled_at", "failing_since"])
    context = {
        "endpoint": found,
        "organisation": organisation,
        "state": endpoint_words.state_of(found),
        "hears": endpoint_words.hears_in_words(found),
        "secret": shown_once(request, found),
        "previous_until": kept_until(found),
        "is_signed": found.service == Endpoint.Service.WEBHOOK,
        "inbound": endpoint_words.inbound_address(found),
        "identities": list(found.identities.select_related("person", "created_by")),
        **forms_of,
        **log_page(request, found),
    }
    return render(request, "portal/channels/detail.html", context, status=status)


def kept_until(found: Endpoint) -> Any:
    """Until when the secret of before signs along; None if it does not."""
    until = found.previous_secret_until
    return until if until and until > timezone.now() else None


def log_page(request: HttpRequest, found: Endpoint) -> dict[str, Any]:
    """25 messages before the one that the address names; one more is asked for, to know of older ones."""
    before, is_failed = request.GET.get("before", ""), request.GET.get("show") == "failed"
    rows = endpoint_words.log_of(found)
    if is_failed:
        rows = rows.filter(endpoint_words.FAILED)
    if before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    page = list(rows[: PAGE + 1])
    older = page[PAGE - 1].pk if len(page) > PAGE else None
    return {
        "log": list(endpoint_words.entries(page[:PAGE])),
        "older": older,
        "is_failed": is_failed,
        "is_later": bool(before),
    }


@login_required
@in_no_report
@require_http_methods(GET_POST)
def endpoint_change(request: HttpRequest, key: UUID) -> HttpResponse:
    found, organisation = find(request, key)
    form = EndpointForm(request.POST or None, use=found.use, endpoint=found, initial=values_of(found))
    about = by_now(request)
    status = 400 if form.is_bound else 200
    if form.is_valid():
        status = attempt(form, lambda: endpoint_verbs.change(found, **form.given(), **about))
    if not status:
        messages.success(request, _("Saved. It holds for what is sent from now on."))
        return redirect("channel", found.key)
    context = {"form": form, "endpoint": found, "organisation": organisation, "use": found.use}
    return render(request, "portal/channels/change.html", context, status=status)


@login_required
@require_http_methods(GET_POST)
def endpoint_rotation(request: HttpRequest, key: UUID) -> HttpResponse:
    """GET says what a new secret means, POST makes one; the endpoint's page then shows it once."""
    found, _organisation = find(request, key)
    form = forms.Form(request.POST if request.method == "POST" else None)
    about = by_now(request)
    status = attempt(form, lambda: endpoint_verbs.rotate(found, **about)) if form.is_valid() else 200
    if not status:
        found.refresh_from_db(fields=["secret"])
        show_once(request, found)
        return redirect("channel", found.key)
    context = {"form": form, "endpoint": found, "previous_until": kept_until(found)}
    return render(request, "portal/channels/rotation.html", context, status=status)


@login_required
@require_http_methods(GET_POST)
def endpoint_removal(request: HttpRequest, key: UUID) -> HttpResponse:
    found, _organisation = find(request, key)
    form = forms.Form(request.POST if request.method == "POST" else None)
    about = by_now(request)
    status = attempt(form, lambda: endpoint_verbs.remove(found, **about)) if form.is_valid() else 200
    if not status:
        messages.success(request, _("“%(name)s” is removed. Nothing goes there any more.") % {"name": found})
        return redirect("channels")
    return render(request, "portal/channels/removal.html", {"form": form, "endpoint": found}, status=status)


@login_required
@require_http_methods(GET_POST)
def endpoint_message(request: HttpRequest, key: UUID, pk: int) -> HttpResponse:
    """One message of the log: what was sent and what was answered. POST sends it again."""
    found, _organisation = find(request, key)
    message = get_object_or_404(endpoint_words.log_of(found), pk=pk)
    form = forms.Form(request.POST if request.method == "POST" else None)
    about = by_now(request)
    status = attempt(form, lambda: endpoint_verbs.replay(message, **about)) if form.is_valid() else 200
    if not status:
        messages.success(request, _("It goes again, with the same id: this page shows what becomes of it."))
        return redirect("channel-message", found.key, pk)
    context = {
        "form": form,
        "endpoint": found,
        "entry": endpoint_words.entry(message),
        "hidden": hidden_from(person_of(request), message),
    }
    return render(request, "portal/channels/message.html", context, status=status)


def hidden_from(user: User, message: OutboxMessage) -> str:
    """Staff read whatever was sent; a customer what may still be sent to them."""
    return "" if user.is_agent else endpoint_words.why_hidden(message)


# --- what receivers need to know ---


@login_required
@require_safe
def webhook_format(request: HttpRequest) -> HttpResponse:
    context = {"groups": endpoint_words.grouped_events(), "example": example()}
    return render(request, "portal/channels/format.html", context)


GUIDES = {
    "slack": gettext_lazy(
        "An app of yours in Slack. Either its incoming webhook, and we only write; or a bot token (chat:write), "
        "the channel's ID and the signing secret: each incident has a thread, and answers in it become replies."
    ),
    "teams": gettext_lazy(
        "A workflow in the channel, made from “Post to a channel when a webhook request is received”. Copy its "
        "address. Teams has no threads for it, and answers do not come back."
    ),
    "mattermost": gettext_lazy(
        "An incoming webhook, and we only write; or a bot's token and the channel's ID: each incident has a thread. "
        "For answers add an outgoing webhook, and give its token."
    ),
    "webhook": gettext_lazy(
        "Any program that takes HTTPS POST requests: JSON, signed by Standard Webhooks. For chat rooms that are "
        "none of these."
    ),
}
