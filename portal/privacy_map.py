"""The kernel's part of the map of personal data, and that of the libraries whose tables stand here."""

from __future__ import annotations

from django.db.models import Q

from portal.models import User
from portal.privacy import plain, table


def addresses_of(person: User) -> list[str]:
    """Every mail address that the person signs in by, in lower case."""
    known = {person.email.lower()}
    known |= {
        email.lower()
        for email in person.emailaddress_set.values_list("email", flat=True)  # type: ignore[attr-defined]
    }
    return sorted(known)


def invited(person: User) -> Q:
    """Invitations that the person accepted, or that were sent to an address of theirs."""
    wanted = Q(accepted_by=person)
    for address in addresses_of(person):
        wanted |= Q(email__iexact=address)
    return wanted


def declare() -> None:
    """For the kernel's ready()."""
    _people()
    _doing()
    _messages()
    _settings()
    _libraries()


def _people() -> None:
    # The row stays as a pseudonym: the verb says how (portal/privacy_verbs.py).
    table(
        "portal.User",
        own=lambda person: Q(pk=person.pk),
        export="email name staff_role is_active language time_zone has_daily_summary daily_summary_hour "
        "hears_all_incidents hears_maintenance hears_announcements date_joined last_login",
        goes="email name password",
        plain="time_zone",
    )
    table(
        "portal.Membership",
        own="user",
        export="organisation role visibility team is_p1_contact is_escalation_contact",
        goes="user",
        deleted=True,
    )
    table("portal.StaffLimit", own="user", export="organisation", goes="user", deleted=True)
    table(
        "portal.ApiToken",
        own="user",
        export="name scope created expiry last_used_at",
        goes="user name digest token_key",
        deleted=True,
    )
    table(
        "portal.Invitation",
        own=invited,
        export="organisation email role created_at accepted_at withdrawn_at",
        who="invited_by accepted_by",
        goes="email token_digest",
        deleted=True,
    )
    table(
        "portal.ChatIdentity",
        own="person",
        export="external_id external_name created_at",
        who="created_by",
        goes="person external_id external_name",
        deleted=True,
    )
    table("portal.StatusSubscription", own="person", export="service told_at", goes="person", deleted=True)
    table("portal.AnnouncementReading", own="person", export="announcement at", goes="person", deleted=True)
    table("portal.User_groups", own="user", goes="user", deleted=True)
    table("portal.User_user_permissions", own="user", goes="user", deleted=True)


def _doing() -> None:
    # Entries cannot be changed and hold ids only; where an act came from goes with the person.
    table(
        "portal.AuditEntry",
        own="by on_behalf_of",
        export="kind at subject",
        who="by on_behalf_of",
        plain="kind subject facts origin_digest",
    )
    table(
        "portal.AuditOrigin",
        own="entry__by",
        export="entry.kind entry.at address browser",
        goes="salt address browser",
        deleted=True,
    )
    plain("portal.AuditSeal")
    table(
        "portal.Impersonation",
        own="person",
        export="started_at ended_at",
        who="staff person",
        scrub="reason",
    )
    table(
        "portal.IdempotentRequest",
        own="person",
        export="key created_at",
        goes="person key fingerprint headers body",
        deleted=True,
    )
    table("portal.Erasure", who="person by", scrub="reason", plain="counts")
    table("portal.Purge", who="by", scrub="reason")


def _messages() -> None:
    table(
        "portal.OutboxMessage",
        own="recipient",
        export="kind channel subject_key address created_at sent_at",
        who="recipient",
        clear="address text html headers answer state_reason",
        scrub="subject facts",
        plain="kind channel next_channels instead subject_key dedupe_key collapse_key message_id request_id",
    )
    table("portal.DeliveryAttempt", scrub="answer")
    table(
        "portal.Endpoint",
        own="person",
        export="name service use created_at",
        who="person created_by",
        clear="name url secret previous_secret access_token room_id signing_secret disabled_reason",
        plain="events",
    )
    table("portal.ChatThread", plain="subject_key thread_id")
    table(
        "portal.Announcement",
        own="author",
        export="title text published_at",
        who="author",
        scrub="title text",
    )


def _settings() -> None:
    table("portal.Organisation", plain="name slug time_zone")
    table("portal.Team", scrub="name")
    table("portal.OrganisationDomain", who="verified_by", plain="domain challenge")
    plain(
        "portal.IdentityProvider portal.GroupRole portal.Heartbeat portal.RetentionRule portal.ServiceImpact"
    )
    plain("portal.Home portal.PurgedRow")
    plain("portal.Service portal.ServiceSubscription portal.Announcement_services")
    plain("portal.Announcement_organisations portal.BusinessCalendar portal.SpecialDate")
    table("portal.OwnDay", scrub="name", plain="spans")
    table(
        "portal.CalendarVersion",
        who="created_by",
        plain="time_zone week country subdivision half_day_until",
    )


def _libraries() -> None:
    table(
        "admin.LogEntry",
        own="user",
        export="action_time object_repr",
        who="user",
        scrub="object_repr change_message",
        plain="object_id",
    )
    plain("auth.Permission auth.Group auth.Group_permissions contenttypes.ContentType")
    # Whose a session is stands within its data: a step of the verb ends them.
    table("sessions.Session", plain="session_key session_data")
    table(
        "account.EmailAddress", own="user", export="email verified primary", goes="user email", deleted=True
    )
    table("account.EmailConfirmation", plain="key")
    table(
        "mfa.Authenticator", own="user", export="type created_at last_used_at", goes="user data", deleted=True
    )
    table(
        "usersessions.UserSession",
        own="user",
        export="created_at ip user_agent last_seen_at",
        goes="user ip session_key user_agent data",
        deleted=True,
    )
    plain("socialaccount.SocialApp")
    table(
        "socialaccount.SocialAccount",
        own="user",
        export="provider uid extra_data date_joined last_login",
        goes="user provider uid extra_data",
        deleted=True,
    )
    table("socialaccount.SocialToken", own="account__user", goes="token token_secret", deleted=True)
