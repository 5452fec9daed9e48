"""The addresses of endpoints are secrets, too: whoever has one of a chat or a pager can write to it."""

from django.db import migrations, models

import portal.models.fields
from portal.models.fields import sealed, unsealed


def through(change):
    def run(apps, schema_editor):
        rows = apps.get_model("portal", "Endpoint").objects.using(schema_editor.connection.alias)
        for pk, url in rows.values_list("pk", "url").iterator(chunk_size=500):
            rows.filter(pk=pk).update(url=change(url))

    return run


class Migration(migrations.Migration):
    dependencies = [("portal", "0011_home")]

    operations = [
        migrations.AlterField("endpoint", "url", models.TextField(max_length=500, verbose_name="address")),
        migrations.RunPython(through(sealed), through(unsealed)),
        migrations.AlterField(
            "endpoint", "url", portal.models.fields.SecretField(max_length=500, verbose_name="address")
        ),
    ]
