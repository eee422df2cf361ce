"""`python -m backend inbound`: what unknown senders texted, for an operator to read."""

import argparse
from uuid import UUID


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--handled",
        type=UUID,
        metavar="ID",
        help="note that somebody saw to this one, so that it is shown no more",
    )


def run(asked: argparse.Namespace) -> list[str]:
    """Return the texts that wait, a line each, or mark one; raises NotFound."""
    from backend.clock import real_now
    from backend.database import transaction
    from backend.inbound.strangers import handled, waiting

    with transaction() as session:
        if asked.handled is not None:
            handled(session, asked.handled, real=real_now())
            return ["handled"]
        texts = waiting(session)
    return [
        f"{text.inbound_id}  {text.received_at:%Y-%m-%d %H:%M}Z  {text.address}  "
        f"{' '.join(text.body.split())}"
        for text in texts
    ] or ["none waits"]
