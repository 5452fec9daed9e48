"""How the incidents that alarms open are worded."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _

from incidents.intake.alarms.formats import TITLE_LENGTH, Alert
from incidents.models import AlarmSource
from portal.models import Organisation, Service


@dataclass(frozen=True)
class Texts:
    title: str
    description: str


def of(alert: Alert) -> Texts:
    """As the sender says it."""
    return Texts(alert.title, alert.description)


def storm(source: AlarmSource) -> Texts:
    """Many alarms at once: the incident lists them."""
    with translation.override(_language(source.organisation)):
        title = _("Alarm storm: many different alarms from %(source)s") % {"source": source.name}
        text = _(
            "%(source)s sent at least %(count)s different alarms within %(minutes)s minutes. This incident takes"
            " all further ones; they are listed beside it."
        ) % {"source": source.name, "count": source.storm_threshold, "minutes": source.storm_minutes}
    return Texts(title[:TITLE_LENGTH], text)


def for_customer(service: Service, organisation: Organisation) -> Texts:
    """What a customer reads of an alarm of the vendor's own monitoring: which service, and that we know."""
    with translation.override(_language(organisation)):
        title = _("%(service)s: our monitoring reports a problem") % {"service": service.name}
        text = _("Our own monitoring of %(service)s raised an alarm. You need not report it.") % {
            "service": service.name
        }
    return Texts(title[:TITLE_LENGTH], text)


def _language(organisation: Organisation | None) -> str:
    return organisation.language if organisation else settings.LANGUAGE_CODE
