"""People and the things that speak for them: what is stored.

A person of a clinic carries `clinic_id`. What must be unique across patients (a login,
an identifier) lives in a lookup table of its own, so that the per-patient tables can be
spread over machines by `patient_id`.
"""

from datetime import date, datetime
from uuid import UUID, uuid4

from sqlalchemy import Index
from sqlmodel import Field

from backend.database.columns import Row, document, instant, octets, text, uuids


class Clinic(Row, table=True):
    clinic_id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = text()
    zone: str = text()
    recorded_at: datetime = instant()


class Patient(Row, table=True):
    """A patient. After erasure only the two ids and the instants are left."""

    patient_id: UUID = Field(default_factory=uuid4, primary_key=True)
    clinic_id: UUID = Field(foreign_key="clinic.clinic_id", index=True)
    given_name: str = text(default="")
    family_name: str = text(default="")
    birth_date: date | None = None
    recorded_at: datetime = instant()
    erased_at: datetime | None = instant(default=None)


class PatientIdentifier(Row, table=True):
    """A (system, value) pair that named this patient from `since` to `until`."""

    patient_id: UUID = Field(primary_key=True)
    system: str = text(primary_key=True)
    value: str = text(primary_key=True)
    since: datetime = instant(primary_key=True)
    until: datetime | None = instant(default=None)


class IdentifierLookup(Row, table=True):
    """Which patient an identifier of a clinic names now."""

    clinic_id: UUID = Field(primary_key=True)
    system: str = text(primary_key=True)
    value: str = text(primary_key=True)
    patient_id: UUID = Field(index=True)


class PatientMerge(Row, table=True):
    """`merged_id` was found to be the same person as `patient_id`; it can be undone."""

    patient_id: UUID = Field(primary_key=True)
    merge_id: UUID = Field(default_factory=uuid4, primary_key=True)
    merged_id: UUID
    by: UUID
    reason: str = text()
    at: datetime = instant()
    undone_at: datetime | None = instant(default=None)
    undone_by: UUID | None = None


class PatientZone(Row, table=True):
    """The IANA zone the patient lives by from `effective_from` on."""

    patient_id: UUID = Field(primary_key=True)
    effective_from: datetime = instant(primary_key=True)
    zone: str = text()
    recorded_at: datetime = instant()


class PatientLanguage(Row, table=True):
    """The BCP 47 language the patient is addressed in from `effective_from` on."""

    patient_id: UUID = Field(primary_key=True)
    effective_from: datetime = instant(primary_key=True)
    language: str = text()
    recorded_at: datetime = instant()


class ContactPoint(Row, table=True):
    """Where a patient can be reached: `sms`, `voice`, `email`, `push`; best first."""

    patient_id: UUID = Field(primary_key=True)
    contact_id: UUID = Field(default_factory=uuid4, primary_key=True)
    channel: str = text()
    address: str = text()
    rank: int = 1
    since: datetime = instant()
    until: datetime | None = instant(default=None)

    # A reminder finds its number in the index alone.
    __table_args__ = (
        Index(
            "ix_contact_point_channel",
            "patient_id",
            "channel",
            postgresql_include=["address", "rank", "since", "until"],
        ),
        Index("ix_contact_point_address", "address"),
    )


class PatientReach(Row, table=True):
    """What language, contacts and consents come to after the last known change.

    It holds from `since`, the instant of that change. `addresses` lists those of a
    channel, best first; `reminders` and `naming` who may remind, and name the drug.
    See `reachable`, which alone writes it.
    """

    patient_id: UUID = Field(primary_key=True)
    since: datetime = instant()
    language: str | None = text(default=None)
    addresses: dict[str, list[str]] = document(default_factory=dict)
    reminders: list[UUID] = uuids()
    naming: list[UUID] = uuids()


class CareTeamMember(Row, table=True):
    patient_id: UUID = Field(primary_key=True)
    clinician_id: UUID = Field(primary_key=True, index=True)
    since: datetime = instant(primary_key=True)
    until: datetime | None = instant(default=None)


class Consent(Row, table=True):
    """What a patient allowed: a purpose, for one recipient, in one wording.

    Purposes: `care` (recipient: the clinic), `reminders` (the clinic), `naming` (the
    clinic: messages name the drug), `supply` and `in_use` (a manufacturer), `caregiver`
    (somebody they named). Withdrawal sets `until`; a later yes is a new row.
    """

    patient_id: UUID = Field(primary_key=True)
    consent_id: UUID = Field(default_factory=uuid4, primary_key=True)
    purpose: str = text()
    recipient_id: UUID
    version: int
    wording: str = text()
    since: datetime = instant()
    until: datetime | None = instant(default=None)
    recorded_at: datetime = instant()

    # Every read asks for a consent; it finds it in the index alone.
    __table_args__ = (
        Index(
            "ix_consent_given",
            "patient_id",
            "purpose",
            "recipient_id",
            "since",
            postgresql_include=["until"],
        ),
    )


class Clinician(Row, table=True):
    """Somebody who works at a clinic; role `clinician`, `technician` or `operator`."""

    clinician_id: UUID = Field(default_factory=uuid4, primary_key=True)
    clinic_id: UUID = Field(foreign_key="clinic.clinic_id", index=True)
    name: str = text()
    role: str = text(default="clinician")


class Organization(Row, table=True):
    """A manufacturer, by its GLN."""

    organization_id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = text()
    gln: str = text(unique=True)


class Account(Row, table=True):
    """A sign-in that speaks for `subject_id`: patient, clinician or organization."""

    account_id: UUID = Field(default_factory=uuid4, primary_key=True)
    login: str = text(unique=True)
    password_hash: str = text()
    role: str = text()
    subject_id: UUID = Field(index=True)
    clinic_id: UUID | None = None
    disabled_at: datetime | None = instant(default=None)


class Attempts(Row, table=True):
    """How often somebody tried a secret lately: one row a sign-in name or network.

    Whether an account of that name exists does not matter, so nothing can be learnt.
    The failures are forgotten one by one from `last_at` on.
    """

    bucket: bytes = octets(primary_key=True)
    failures: int = 0
    last_at: datetime = instant(index=True)
    locked_until: datetime | None = instant(default=None)


class SignInSession(Row, table=True):
    """A signed-in browser. Only the hash of the cookie is kept."""

    token_hash: bytes = octets(primary_key=True)
    account_id: UUID = Field(foreign_key="account.account_id", index=True)
    csrf: str = text()
    created_at: datetime = instant()
    seen_at: datetime = instant()
    expires_at: datetime = instant()


class AccessToken(Row, table=True):
    """A bearer token of a program that reads for an account, such as a feed reader."""

    token_hash: bytes = octets(primary_key=True)
    account_id: UUID = Field(foreign_key="account.account_id", index=True)
    name: str = text()
    issued_at: datetime = instant()
    expires_at: datetime = instant()
    revoked_at: datetime | None = instant(default=None)


class IdempotencyKey(Row, table=True):
    """What an unsafe call of a person was answered, of whom it told; kept for a day.

    A lookup over all patients: a key is its account's, whoever the call was about.
    """

    account_id: UUID = Field(primary_key=True)
    key: str = text(primary_key=True)
    request_hash: bytes = octets()
    patient_id: UUID
    answer: dict[str, object] = document()
    recorded_at: datetime = instant()


class Bridge(Row, table=True):
    """A sender of device data: a `gateway` (radio) or a `cloud` (vendor export)."""

    bridge_id: UUID = Field(default_factory=uuid4, primary_key=True)
    clinic_id: UUID = Field(foreign_key="clinic.clinic_id", index=True)
    name: str = text()
    kind: str = text(default="gateway")
    created_at: datetime = instant()
    seen_at: datetime | None = instant(default=None)
    revoked_at: datetime | None = instant(default=None)


class BridgeToken(Row, table=True):
    token_hash: bytes = octets(primary_key=True)
    bridge_id: UUID = Field(foreign_key="bridge.bridge_id", index=True)
    issued_at: datetime = instant()
    expires_at: datetime = instant()
    revoked_at: datetime | None = instant(default=None)


class PairingCode(Row, table=True):
    """A short-lived, single-use code with which a new bridge gets its first token."""

    code_hash: bytes = octets(primary_key=True)
    clinic_id: UUID = Field(foreign_key="clinic.clinic_id")
    kind: str = text(default="gateway")
    issued_by: UUID
    issued_at: datetime = instant()
    expires_at: datetime = instant()
    bridge_id: UUID | None = None
    used_at: datetime | None = instant(default=None)
