"""Who can sign in to the demo. The password protects nothing: the demo loads into development only."""

DEMO_PASSWORD = "briqmind-demo"  # noqa: S105
DEMO_LOGINS = [
    ("ada@acme.example", "Acme Bank, manager and P1 contact"),
    ("can@acme.example", "Acme Bank, member"),
    ("vera@acme.example", "Acme Bank, viewer"),
    ("bruno@nordwind.example", "Nordwind Logistik, manager"),
    ("chloe@harbor.example", "Harbor Health, manager"),
    ("deniz@briqmind.example", "staff: agent"),
    ("elif@briqmind.example", "staff: agent"),
    ("mert@briqmind.example", "staff: duty manager"),
    ("selin@briqmind.example", "staff: head of support"),
    ("admin@briqmind.example", "staff: administrator"),
]
