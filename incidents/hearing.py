"""Somebody who hears, and how: people by mail or pager, an organisation by its own channel, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incidents.present import channel_word, service_word
from portal.models import Endpoint, OutboxMessage, User


@dataclass(frozen=True)
class Heard:
    """Somebody who hears, and how: a person, or (without one) the organisation's own channel.

    `instead` are the people who get the mail if the channel fails.
    """

    person: User | None
    channels: tuple[str, ...] = ("email",)
    is_every_channel: bool = False
    endpoint: Endpoint | None = None
    instead: tuple[User, ...] = ()

    def __str__(self) -> str:
        if self.person is None and self.endpoint is not None:
            return channel_words_of(self.endpoint, self.instead)
        words = [channel_word(channel, self.endpoint) for channel in usable_channels(self)]
        return f"{self.person} ({', '.join(words if self.is_every_channel else words[:1])})"

    @property
    def key(self) -> str:
        """Whom a dedupe key names at its end."""
        return str(self.person.pk) if self.person else f"endpoint-{self.endpoint.pk if self.endpoint else 0}"

    @property
    def now(self) -> list[str]:
        """The channels that are used at once; the others only if these fail."""
        usable = usable_channels(self)
        return usable if self.is_every_channel else usable[:1]

    @property
    def is_in_room(self) -> bool:
        """Whether it is posted to an organisation's own channel."""
        is_rooms = self.endpoint is not None and self.endpoint.organisation_id is not None
        return is_rooms and "webhook" in self.now


def usable_channels(heard: Heard) -> list[str]:
    """The channels that lead somewhere; e-mail where none of them does."""
    usable = [name for name in heard.channels if (heard.person if name == "email" else heard.endpoint)]
    return usable or (["email"] if heard.person else ["webhook"])


def channel_words_of(endpoint: Endpoint, instead: Iterable[User]) -> str:
    """“Acme on Slack (Ada One and 2 others by e-mail if it fails)”."""
    where = _("%(organisation)s on %(service)s") % {
        "organisation": endpoint.organisation or endpoint.name,
        "service": service_word(endpoint),
    }
    people = list(instead)
    if not people:
        return where
    others = len(people) - 1
    told = {"where": where, "name": people[0], "count": others}
    if not others:
        return _("%(where)s (%(name)s by e-mail if it fails)") % told
    return (
        ngettext(
            "%(where)s (%(name)s and %(count)s other by e-mail if it fails)",
            "%(where)s (%(name)s and %(count)s others by e-mail if it fails)",
            others,
        )
        % told
    )


def whom(message: OutboxMessage) -> str:
    """Whom a queued message is for, in words; of a channel also who hears should it fail."""
    if message.recipient is None and message.endpoint is not None and message.endpoint.organisation_id:
        people = User.objects.filter(pk__in=message.instead).order_by("pk")
        return channel_words_of(message.endpoint, people)
    return message.whom


def once_each(audience: Iterable[Heard]) -> list[Heard]:
    """Each person and room once, by the most channels that any of their roles gives them."""
    found: dict[str, Heard] = {}
    for heard in audience:
        before = found.get(heard.key)
        weight = (heard.is_every_channel, len(heard.channels))
        if before is None or weight > (before.is_every_channel, len(before.channels)):
            found[heard.key] = heard
    return list(found.values())


def room_once(audience: Iterable[Heard], stand_ins: Callable[[], Iterable[User]]) -> list[Heard]:
    """Each person once, and an organisation's channel once, however many rules and people name it.

    Whoever would hear there first gets the mail if it fails. Where nobody hears by mail, and nobody would
    then, `stand_ins` do: nobody stays unheard.
    """
    audience = list(audience)
    found = once_each(audience)
    room = next((heard.endpoint for heard in audience if heard.is_in_room), None)
    if room is None:
        return found
    by_mail = {heard.person for heard in audience if heard.person and "email" in heard.now}
    instead = [heard.person for heard in found if heard.person and heard.person not in by_mail]
    rest = [_by_mail(heard) for heard in found if heard.person in by_mail]
    if not by_mail and not instead:
        instead = list(dict.fromkeys(stand_ins()))
    return [*rest, Heard(None, ("webhook",), endpoint=room, instead=tuple(instead))]


def _by_mail(heard: Heard) -> Heard:
    """What is left for a person once the channel is posted to for all of them."""
    return replace(heard, channels=("email",), is_every_channel=False) if heard.is_in_room else heard
