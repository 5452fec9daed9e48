from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = _("Organisations and service")

    def ready(self) -> None:
        from portal import announcement_events, privacy_map, retention_kinds  # noqa: PLC0415 (needs loaded models)
        from portal.announcing import ANNOUNCED  # noqa: PLC0415
        from portal.mails import ENDPOINT_DISABLED, ENDPOINT_TEST, OUTBOX_ALARM  # noqa: PLC0415
        from portal.outbox import register  # noqa: PLC0415
        from portal.status_mails import STATUS_CHANGED  # noqa: PLC0415
        from portal.timeline import install_append_only_triggers  # noqa: PLC0415

        register(OUTBOX_ALARM)
        register(ENDPOINT_TEST)
        register(ENDPOINT_DISABLED)
        register(STATUS_CHANGED)
        register(ANNOUNCED)
        announcement_events.register()
        privacy_map.declare()
        retention_kinds.declare()
        post_migrate.connect(install_append_only_triggers, dispatch_uid="append_only_triggers")
