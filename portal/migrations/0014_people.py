from django.db import migrations, models


class Migration(migrations.Migration):
    """A message may go to the address of somebody who has no account: an invitation."""

    dependencies = [('portal', '0013_audit')]

    operations = [
        migrations.RemoveConstraint(model_name="outboxmessage", name="outbox_goes_somewhere"),
        migrations.AddConstraint(
            model_name="outboxmessage",
            constraint=models.CheckConstraint(
                condition=models.Q(recipient__isnull=False)
                | models.Q(endpoint__isnull=False)
                | ~models.Q(address=""),
                name="outbox_goes_somewhere",
            ),
        ),
    ]
