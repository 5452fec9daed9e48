"""Whoever has a channel keeps it, and hears there what goes to the customer: as a new plan has it."""

from django.db import migrations

TOPICS = ("receipt", "level", "answer", "status_update", "progress", "solution", "rca", "lateness")


def fill(apps, schema_editor):
    Endpoint = apps.get_model("portal", "Endpoint")
    with_channel = Endpoint.objects.filter(use="channel").values("organisation")
    apps.get_model("incidents", "SupportPlan").objects.filter(organisation__in=with_channel).update(
        has_dedicated_channel=True
    )
    Rule = apps.get_model("incidents", "CommunicationRule")
    for plan in apps.get_model("incidents", "CommunicationPlan").objects.exclude(rules=None):
        if plan.rules.filter(role="room").exists():
            continue  # somebody has decided what goes there
        Rule.objects.bulk_create(
            Rule(plan=plan, level=level, topic=topic, role="room", channels=["webhook"])
            for level in ("P1", "P2", "P3")
            for topic in TOPICS
        )


class Migration(migrations.Migration):
    dependencies = [("incidents", "0009_bridge_and_channels")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
