from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IncidentsConfig(AppConfig):
    name = "incidents"
    verbose_name = _("Incidents")

    def ready(self) -> None:
        from incidents import checks, notify, oncall, rca_notify, report_mail, summaries  # noqa: PLC0415 (needs loaded models)
        from incidents.intake import inbox, mail  # noqa: PLC0415
        from incidents.intake.alarms import heartbeat, record  # noqa: PLC0415
        from maintenance import audiences  # noqa: PLC0415

        assert checks  # importing registers them
        notify.register()
        audiences.ask_rota(oncall.on_duty)
        rca_notify.register()
        summaries.register()
        report_mail.register()
        heartbeat.register()
        inbox.register_read("mail", mail.handle, mail.read)
        inbox.register("alarm", record.handle)
