"""Breaches of the last day are found without looking at every clock; writers are not kept waiting meanwhile."""

from django.db import migrations, models

from portal.online import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("incidents", "0013_scale")]

    operations = [
        AddIndexOnline(
            model_name="clock",
            index=models.Index(
                fields=["breached_at"], name="clock_breached", condition=models.Q(breached_at__isnull=False)
            ),
        ),
    ]
