"""The web application: every slice's routes behind one set of limits."""

from backend.app.create import create_app

__all__ = ["create_app"]
