import json

from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session

from backend.outbox.arrays import array

# PostgreSQL's text holds no NUL, and UTF-8 no lone surrogate.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@bounded(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.none() | TEXTS | st.text(alphabet='\\"\n\t{},NULun\x1f')))
def test_any_texts_arrive_as_they_were(
    session: Session, values: list[str | None]
) -> None:
    got = session.connection().execute(
        text("SELECT CAST(:them AS text[])"), {"them": array(values)}
    )

    assert got.scalar_one() == values


@bounded(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(TEXTS, TEXTS | st.integers(-9, 9)), max_size=5))
def test_documents_arrive_as_they_were(
    session: Session, documents: list[dict[str, object]]
) -> None:
    got = session.connection().execute(
        text("SELECT CAST(:them AS jsonb[])"),
        {"them": array(json.dumps(document) for document in documents)},
    )

    assert got.scalar_one() == documents
