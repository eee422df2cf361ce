"""`python -m backend report emerge`: the report of a cohort as PDF or JSON."""

import argparse
import os
import sys
from pathlib import Path

WORDS = """\
Write the EMERGE report of a cohort: how it began, went on and stopped with doses.

Of the patients whom --by, a clinician, cares for while they consent: of one --study or
one --drug, or all. The four minimum criteria are filled in, of the 17 further items
what the data say. Whose data were read is audited.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", required=True, metavar="LOGIN", help="the clinician")
    parser.add_argument("--study", metavar="NAME", help="of an imported study")
    parser.add_argument("--drug", metavar="NAME", help="of one medicine")
    parser.add_argument(
        "--from", dest="first", metavar="D", help="who began before is left out"
    )
    parser.add_argument(
        "--to", dest="last", metavar="D", help="last dose-day, else today"
    )
    parser.add_argument("--days", type=int, default=365, help="length of the curves")
    parser.add_argument("--format", choices=["pdf", "json"], default="pdf")


def run(asked: argparse.Namespace) -> int:
    """Write the report; raises Unprocessable or NotFound where there is none."""
    from backend.clock import domain_now
    from backend.database import transaction
    from backend.errors import NotFound, Unprocessable
    from backend.people.accounts import find_account
    from backend.people.readers import reader_of
    from backend.regimens.fhir_time import read_day
    from backend.reports.cohort import Asked, report
    from backend.reports.document import emerge_document
    from backend.reports.told import told

    if not 1 <= asked.days <= 1096:
        raise Unprocessable(f"--days {asked.days}: want 1 to 1096")
    now = domain_now()
    which = Asked(
        last=read_day(asked.last, "--to") if asked.last else now.date(),
        first=read_day(asked.first, "--from") if asked.first else None,
        study=asked.study,
        drug=asked.drug,
        days=asked.days,
    )
    with transaction() as session:
        account = find_account(session, asked.by)
        if account is None or account.role != "clinician" or account.disabled_at:
            raise NotFound(f"No clinician signs in as {asked.by}.")
        found = report(session, reader_of(account), which, now=now)
    if asked.format == "json":
        _write(told(found).model_dump_json(indent=2).encode() + b"\n", asked.output)
    else:
        _write(emerge_document(found, at=now), asked.output)
    return 0


def _write(made: bytes, path: Path | None) -> None:
    """Write the file, whole or not at all, or print it."""
    from backend.errors import Unprocessable

    if path is None:
        sys.stdout.buffer.write(made)
        sys.stdout.flush()
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("xb") as file:
            file.write(made)
        unfinished.replace(path)
    except OSError as error:
        raise Unprocessable(f"cannot write {path}: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
