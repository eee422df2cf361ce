"""The sign-ins of a demonstration, printed and shown to everybody."""

PASSWORD = "doseloop-demo"  # noqa: S105 (shown on the sign-in page of the demo)
SIGN_INS = (
    ("clinician", "anna@seefeld.example", "Dr. Anna Weiss"),
    ("operator", "ops@seefeld.example", "Olaf Bader"),
    ("manufacturer", "orders@acme.example", "Acme Pharma"),
    ("patient", "rosa@home.example", "Rosa Keller"),
)
