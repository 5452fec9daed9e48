from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MaintenanceConfig(AppConfig):
    name = "maintenance"
    verbose_name = _("Maintenance")

    def ready(self) -> None:
        from maintenance import notify, privacy_map, webhook_events  # noqa: PLC0415 (needs loaded models)
        from maintenance.audit_source import register  # noqa: PLC0415

        register()
        notify.register()
        privacy_map.declare()
        webhook_events.register()
