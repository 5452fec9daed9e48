"""Endpoints of organisations were rooms; each endpoint gets a key of its own."""

import uuid

from django.db import migrations


def fill(apps, schema_editor):
    Endpoint = apps.get_model("portal", "Endpoint")
    Endpoint.objects.filter(organisation__isnull=False).update(use="channel")
    for pk in Endpoint.objects.values_list("pk", flat=True):
        Endpoint.objects.filter(pk=pk).update(key=uuid.uuid4())


class Migration(migrations.Migration):
    dependencies = [("portal", "0005_channels")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
