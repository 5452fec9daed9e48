"""The secrets of endpoints, which stood in the database as they are, are encrypted under SECRET_KEY."""

from django.db import migrations

import portal.models.endpoints
import portal.models.fields
from portal.models.fields import sealed, unsealed

COLUMNS = ("secret", "previous_secret", "access_token", "signing_secret")


def through(change):
    def run(apps, schema_editor):
        Endpoint = apps.get_model("portal", "Endpoint")
        for row in Endpoint.objects.using(schema_editor.connection.alias).iterator(chunk_size=500):
            changed = {name: change(getattr(row, name)) for name in COLUMNS}
            Endpoint.objects.using(schema_editor.connection.alias).filter(pk=row.pk).update(**changed)

    return run


class Migration(migrations.Migration):
    dependencies = [("portal", "0009_enterprise_doors")]

    operations = [
        migrations.RunPython(through(sealed), through(unsealed)),
        migrations.AlterField(
            model_name='endpoint',
            name='access_token',
            field=portal.models.fields.SecretField(blank=True, help_text='Of a bot in Slack or Mattermost: with it, each incident has a thread of its own.', max_length=300, verbose_name='access token'),
        ),
        migrations.AlterField(
            model_name='endpoint',
            name='previous_secret',
            field=portal.models.fields.SecretField(blank=True, editable=False),
        ),
        migrations.AlterField(
            model_name='endpoint',
            name='secret',
            field=portal.models.fields.SecretField(default=portal.models.endpoints.new_secret, editable=False, verbose_name='secret'),
        ),
        migrations.AlterField(
            model_name='endpoint',
            name='signing_secret',
            field=portal.models.fields.SecretField(blank=True, help_text='Of the app in Slack, or the token in Mattermost: what is written there becomes replies.', max_length=200, verbose_name='signing secret'),
        ),
    ]
