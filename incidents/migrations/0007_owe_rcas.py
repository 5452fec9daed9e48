from django.db import migrations


def owe_what_is_owed(apps, schema_editor):
    """Incidents whose RCA clock runs already owe an RCA: later ones get their row with the clock."""
    Clock, RCA = apps.get_model("incidents", "Clock"), apps.get_model("incidents", "RCA")
    owed = Clock.objects.filter(kind="rca", ended_at=None).select_related("incident").order_by("pk")
    for clock in owed.iterator():
        subject = clock.incident.parent_id or clock.incident_id
        RCA.objects.get_or_create(incident_id=subject, defaults={"owed_since": clock.started_at})


class Migration(migrations.Migration):

    dependencies = [
        ('incidents', '0006_rca_remarks'),
    ]

    operations = [
        migrations.RunPython(owe_what_is_owed, migrations.RunPython.noop),
    ]
