"""A large, realistic history for yardsticks: made by rule, written by COPY. See `manage.py seed_bulk`."""
