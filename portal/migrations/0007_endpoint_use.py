import uuid

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("portal", "0006_each_endpoint_has_a_key")]

    operations = [
        migrations.AlterField(
            model_name="endpoint",
            name="key",
            field=models.UUIDField(default=uuid.uuid4, editable=False, unique=True),
        ),
        migrations.AddConstraint(
            model_name='endpoint',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('organisation', None), ('use', 'pager')), models.Q(models.Q(('use', 'pager'), _negated=True), ('organisation__isnull', False)), _connector='OR'), name='endpoint_use_fits_owner'),
        ),
    ]
