"""Server-rendered pages: patient, clinician, manufacturer."""
