from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IncidentsConfig(AppConfig):
    name = "incidents"
    verbose_name = _("Incidents")

    def ready(self) -> None:
        from incidents import (  # noqa: PLC0415 (needs loaded models)
            audit_source,
            checks,
            doctor_checks,
            erasure,
            figures,
            leaving,
            notify,
            oncall,
            privacy_map,
            rca_notify,
            rca_webhook_events,
            report_mail,
            retention,
            scans,
            summaries,
            webhook_events,
        )
        from incidents.intake import inbox, mail  # noqa: PLC0415
        from incidents.intake.alarms import heartbeat, record  # noqa: PLC0415
        from incidents.intake.chat import replies  # noqa: PLC0415
        from maintenance import audiences  # noqa: PLC0415

        assert checks  # importing registers them
        audit_source.register()
        privacy_map.declare()
        erasure.register()
        figures.register()
        doctor_checks.register()
        scans.register()
        retention.declare()
        notify.register()
        leaving.register()
        audiences.ask_rota(oncall.on_duty)
        rca_notify.register()
        webhook_events.register()
        rca_webhook_events.register()
        summaries.register()
        report_mail.register()
        heartbeat.register()
        inbox.register_read("mail", mail.handle, mail.read)
        inbox.register("alarm", record.handle)
        inbox.register("chat", replies.handle)
