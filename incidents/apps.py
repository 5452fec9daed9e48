from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IncidentsConfig(AppConfig):
    name = "incidents"
    verbose_name = _("Incidents")

    def ready(self) -> None:
        from incidents import notify, rca_notify, summaries  # noqa: PLC0415 (needs loaded models)
        from incidents.intake import inbox, mail  # noqa: PLC0415
        from incidents.intake.alarms import heartbeat, record  # noqa: PLC0415

        notify.register()
        rca_notify.register()
        summaries.register()
        heartbeat.register()
        inbox.register_read("mail", mail.handle, mail.read)
        inbox.register("alarm", record.handle)
