import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Each seal keeps the digests of its rows; each row that the purge door lets out is noted."""

    dependencies = [
        ("portal", "0012_seal_addresses"),
    ]

    operations = [
        migrations.AddField(
            model_name="auditseal",
            name="columns",
            field=models.JSONField(default=list, verbose_name="columns"),
        ),
        migrations.AddField(
            model_name="auditseal",
            name="row_digests",
            field=models.BinaryField(default=b"", verbose_name="digests of the rows"),
        ),
        migrations.CreateModel(
            name="PurgedRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("table", models.CharField(max_length=60, verbose_name="table")),
                ("row_id", models.BigIntegerField(verbose_name="row")),
                (
                    "purge",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rows",
                        to="portal.purge",
                        verbose_name="purge",
                    ),
                ),
            ],
            options={
                "verbose_name": "purged row",
                "verbose_name_plural": "purged rows",
                "ordering": ["pk"],
                "constraints": [
                    models.UniqueConstraint(fields=("table", "row_id"), name="one_purge_per_row")
                ],
            },
        ),
    ]
