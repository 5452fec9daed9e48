from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = _("Organisations and service")

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in  # noqa: PLC0415

        from portal import (  # noqa: PLC0415 (needs loaded models)
            announcement_events,
            audit_wires,
            deployment,  # noqa: F401 (its checks register themselves)
            doctor_checks,
            doctor_figures,
            figures,
            privacy_map,
            retention_kinds,
            second_factor,
            sentry,
            sessions,
        )
        from portal.announcing import ANNOUNCED  # noqa: PLC0415
        from portal.mails import ENDPOINT_DISABLED, ENDPOINT_TEST, OUTBOX_ALARM  # noqa: PLC0415
        from portal.outbox import register  # noqa: PLC0415
        from portal.people_mails import INVITATION  # noqa: PLC0415
        from portal.status_mails import STATUS_CHANGED  # noqa: PLC0415
        from portal.timeline import install_append_only_triggers  # noqa: PLC0415

        register(OUTBOX_ALARM)
        register(ENDPOINT_TEST)
        register(ENDPOINT_DISABLED)
        register(STATUS_CHANGED)
        register(ANNOUNCED)
        register(INVITATION)
        announcement_events.register()
        user_logged_in.connect(sessions.begin, dispatch_uid="sessions")
        checks.register(second_factor.staff_have_second_factors, checks.Tags.security, deploy=True)
        audit_wires.connect()
        figures.register()
        doctor_checks.register()
        doctor_figures.register()
        if settings.SENTRY_DSN:
            sentry.start(settings.SENTRY_DSN, settings.SENTRY_ENVIRONMENT)
        privacy_map.declare()
        retention_kinds.declare()
        post_migrate.connect(install_append_only_triggers, dispatch_uid="append_only_triggers")
