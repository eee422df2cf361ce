# pyright: basic
"""The first schema."""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Attaching a ready table takes weaker locks on the parent than creating it as a
# partition would. The lock is the one that attaching takes: whoever waited for it sees
# what the holder has made, which an advisory lock would not ensure. Rows that reached
# the default partition first are moved over.
ENSURE_PARTITIONS = """
CREATE FUNCTION ensure_vital_partitions(first date, last date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  month timestamptz := date_trunc('month', first::timestamp) AT TIME ZONE 'UTC';
  until timestamptz := last::timestamp AT TIME ZONE 'UTC';
  next timestamptz;
  name text;
  added integer := 0;
BEGIN
  IF last - first > 366 * 150 THEN
    RAISE EXCEPTION 'partitions from % to % are more than 150 years', first, last;
  END IF;
  WHILE month <= until LOOP
    next := ((month AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    name := to_char(month AT TIME ZONE 'UTC', '"vital_segment_"YYYY"_"MM');
    IF to_regclass(name) IS NULL THEN
      LOCK TABLE vital_segment IN SHARE UPDATE EXCLUSIVE MODE;
    END IF;
    IF to_regclass(name) IS NULL THEN
      EXECUTE format('CREATE TABLE %I (LIKE vital_segment INCLUDING DEFAULTS '
                     'INCLUDING CONSTRAINTS INCLUDING STORAGE)', name);
      EXECUTE format('WITH moved AS (DELETE FROM vital_segment_default '
                     'WHERE start >= %L AND start < %L RETURNING *) '
                     'INSERT INTO %I SELECT * FROM moved', month, next, name);
      EXECUTE format('ALTER TABLE vital_segment ATTACH PARTITION %I '
                     'FOR VALUES FROM (%L) TO (%L)', name, month, next);
      added := added + 1;
    END IF;
    month := next;
  END LOOP;
  RETURN added;
END $$
"""


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
    )
    op.create_index(
        op.f("ix_account_subject_id"), "account", ["subject_id"], unique=False
    )
    op.create_table(
        "alert",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("finding", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("triggered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("snoozed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Uuid(), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("patient_id", "alert_id", name=op.f("pk_alert")),
    )
    op.create_index(
        "ix_alert_clinic", "alert", ["clinic_id", "triggered_at"], unique=False
    )
    op.create_index(
        "ux_alert_open",
        "alert",
        ["patient_id", "rule"],
        unique=True,
        postgresql_where=sa.text("state <> 'closed'"),
    )
    op.create_table(
        "alert_event",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", "event_id", name=op.f("pk_alert_event")),
    )
    op.create_index(
        op.f("ix_alert_event_alert_id"), "alert_event", ["alert_id"], unique=False
    )
    op.create_table(
        "attempts",
        sa.Column("bucket", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_attempts")),
    )
    op.create_index(op.f("ix_attempts_last_at"), "attempts", ["last_at"], unique=False)
    op.create_table(
        "audit_row",
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("patients", postgresql.ARRAY(sa.UUID()), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit_row")),
    )
    op.create_index(
        "ix_audit_patients",
        "audit_row",
        ["patients"],
        unique=False,
        postgresql_using="gin",
    )
    op.create_index("ix_audit_sealed", "audit_row", ["clinic_id", "n"], unique=True)
    op.create_index(
        "ix_audit_unsealed",
        "audit_row",
        ["recorded_at"],
        unique=False,
        postgresql_where=sa.text("n IS NULL"),
    )
    op.create_table(
        "audit_seal",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", name=op.f("pk_audit_seal")),
    )
    op.create_table(
        "care_team_member",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("clinician_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint(
            "patient_id", "clinician_id", "since", name=op.f("pk_care_team_member")
        ),
    )
    op.create_index(
        op.f("ix_care_team_member_clinician_id"),
        "care_team_member",
        ["clinician_id"],
        unique=False,
    )
    op.create_table(
        "clinic",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", name=op.f("pk_clinic")),
    )
    op.create_table(
        "consent",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("consent_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", "consent_id", name=op.f("pk_consent")),
    )
    op.create_table(
        "contact_point",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint(
            "patient_id", "contact_id", name=op.f("pk_contact_point")
        ),
    )
    op.create_table(
        "decision",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("inputs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("outcome", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Uuid(), nullable=True),
        sa.Column("undo_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("patient_id", "decision_id", name=op.f("pk_decision")),
    )
    op.create_table(
        "device_conflict",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.Column("item", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("bridge_id", sa.Uuid(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "device_id",
            "epoch",
            "sequence",
            "payload_hash",
            name=op.f("pk_device_conflict"),
        ),
    )
    op.create_table(
        "device_contact",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("heard_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("battery_percent", sa.Integer(), nullable=True),
        sa.Column("battery_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clock_offset_s", sa.Float(), nullable=True),
        sa.Column("clock_uncertainty_s", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_device_contact")),
    )
    op.create_table(
        "device_epoch",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("after_epoch", sa.Integer(), nullable=True),
        sa.Column("after_sequence", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "epoch", name=op.f("pk_device_epoch")),
    )
    op.create_table(
        "device_event",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("bridge_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("device_id", "event_id", name=op.f("pk_device_event")),
    )
    op.create_index(
        "ix_device_event_hole",
        "device_event",
        ["device_id"],
        unique=False,
        postgresql_where=sa.text("kind IN ('gap', 'quarantine', 'conflict')"),
    )
    op.create_table(
        "device_record",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("item", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("bridge_id", sa.Uuid(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "device_id", "epoch", "sequence", name=op.f("pk_device_record")
        ),
    )
    op.create_index(
        "ix_device_record_status",
        "device_record",
        ["status", "received_at"],
        unique=False,
    )
    op.create_table(
        "domain_clock_anchor",
        sa.Column("single", sa.Boolean(), nullable=False),
        sa.Column("anchor_real", sa.DateTime(timezone=True), nullable=False),
        sa.Column("anchor_domain", sa.DateTime(timezone=True), nullable=False),
        sa.Column("speed", sa.Float(), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "demo OR (speed = 1 AND anchor_domain = anchor_real)",
            name=op.f("ck_domain_clock_anchor_real_or_demo"),
        ),
        sa.CheckConstraint("single", name=op.f("ck_domain_clock_anchor_one_row")),
        sa.CheckConstraint("speed > 0", name=op.f("ck_domain_clock_anchor_forward")),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_domain_clock_anchor")),
    )
    op.create_table(
        "dose_correction",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("correction_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("dose_day", sa.Date(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint(
            "patient_id", "correction_id", name=op.f("pk_dose_correction")
        ),
    )
    op.create_table(
        "dose_event",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("dose_event_id", sa.Uuid(), nullable=False),
        sa.Column("regimen_id", sa.Uuid(), nullable=True),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("compartment", sa.Integer(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uncertainty_s", sa.Float(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint(
            "patient_id", "dose_event_id", name=op.f("pk_dose_event")
        ),
        sa.UniqueConstraint(
            "patient_id",
            "device_id",
            "epoch",
            "sequence",
            name=op.f("uq_dose_event_patient_id_device_id_epoch_sequence"),
        ),
    )
    op.create_index(
        "ix_dose_event_time",
        "dose_event",
        ["patient_id", "regimen_id", "occurred_at"],
        unique=False,
    )
    op.create_table(
        "feed_head",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("feed", name=op.f("pk_feed_head")),
    )
    op.create_table(
        "feed_key",
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("recipient_id", name=op.f("pk_feed_key")),
    )
    op.create_table(
        "feed_row",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("dedup_key", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("feed", "cursor", name=op.f("pk_feed_row")),
        sa.UniqueConstraint(
            "feed", "dedup_key", name=op.f("uq_feed_row_feed_dedup_key")
        ),
    )
    op.create_index(
        op.f("ix_feed_row_recipient_id"), "feed_row", ["recipient_id"], unique=False
    )
    op.create_table(
        "idempotency_key",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_table(
        "identifier_lookup",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint(
            "clinic_id", "system", "value", name=op.f("pk_identifier_lookup")
        ),
    )
    op.create_index(
        op.f("ix_identifier_lookup_patient_id"),
        "identifier_lookup",
        ["patient_id"],
        unique=False,
    )
    op.create_table(
        "job_beat",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_beat")),
    )
    op.create_table(
        "label_change",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("change_id", sa.Uuid(), nullable=False),
        sa.Column("regimen_id", sa.Uuid(), nullable=False),
        sa.Column("occurrence", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("dose_event_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("because", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint(
            "patient_id", "change_id", name=op.f("pk_label_change")
        ),
    )
    op.create_index(
        "ix_label_change_dose",
        "label_change",
        ["patient_id", "regimen_id", "occurrence"],
        unique=False,
    )
    op.create_table(
        "message_attempt",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(
            "message_id", "attempt", name=op.f("pk_message_attempt")
        ),
    )
    op.create_index(
        "ix_message_attempt_doubt",
        "message_attempt",
        ["started_at"],
        unique=False,
        postgresql_where=sa.text("outcome IN ('unknown', 'lost')"),
    )
    op.create_table(
        "non_monitored_span",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("span_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint(
            "patient_id", "span_id", name=op.f("pk_non_monitored_span")
        ),
    )
    op.create_table(
        "organization",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("gln", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_organization")),
        sa.UniqueConstraint("gln", name=op.f("uq_organization_gln")),
    )
    op.create_table(
        "outbox_message",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("dedup_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("recipient_kind", sa.Text(), nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("params", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("why", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_outbox_message")),
        sa.UniqueConstraint(
            "patient_id",
            "dedup_key",
            name=op.f("uq_outbox_message_patient_id_dedup_key"),
        ),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_message_clinic", "outbox_message", ["clinic_id", "due_at"], unique=False
    )
    op.create_index(
        "ix_message_due",
        "outbox_message",
        ["due_at", "message_id"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_message_open",
        "outbox_message",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state IN ('leased', 'unknown')"),
    )
    op.create_table(
        "pack_serial",
        sa.Column("gtin", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("gtin", "serial", name=op.f("pk_pack_serial")),
    )
    op.create_index(
        op.f("ix_pack_serial_patient_id"), "pack_serial", ["patient_id"], unique=False
    )
    op.create_table(
        "patient_identifier",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint(
            "patient_id", "system", "value", "since", name=op.f("pk_patient_identifier")
        ),
    )
    op.create_table(
        "patient_language",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "patient_id", "effective_from", name=op.f("pk_patient_language")
        ),
    )
    op.create_table(
        "patient_merge",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("merge_id", sa.Uuid(), nullable=False),
        sa.Column("merged_id", sa.Uuid(), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint(
            "patient_id", "merge_id", name=op.f("pk_patient_merge")
        ),
    )
    op.create_table(
        "patient_state",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("need", sa.Integer(), nullable=False),
        sa.Column("needs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("strip", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("last_dose_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heard_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run_out_on", sa.Date(), nullable=True),
        sa.Column("open_reorders", sa.Integer(), nullable=False),
        sa.Column("open_alerts", sa.Integer(), nullable=False),
        sa.Column("worst_alert", sa.Text(), nullable=True),
        sa.Column("resting_heart_rate", sa.Float(), nullable=True),
        sa.Column("vital_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("vitals", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("pk_patient_state")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_patient_state_need",
        "patient_state",
        ["clinic_id", "need", "patient_id"],
        unique=False,
    )
    op.create_table(
        "patient_zone",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "patient_id", "effective_from", name=op.f("pk_patient_zone")
        ),
    )
    op.create_table(
        "receipt",
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("provider_id", "status", name=op.f("pk_receipt")),
    )
    op.create_table(
        "regimen_version",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("regimen_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("timing", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("window_before_s", sa.Integer(), nullable=True),
        sa.Column("window_after_s", sa.Integer(), nullable=True),
        sa.Column("remind_after_s", sa.Integer(), nullable=True),
        sa.Column("prescribed_by", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "patient_id", "regimen_id", "version", name=op.f("pk_regimen_version")
        ),
    )
    op.create_table(
        "reorder_event",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("reorder_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "patient_id", "event_id", name=op.f("pk_reorder_event")
        ),
    )
    op.create_table(
        "scheduled_dose",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("regimen_id", sa.Uuid(), nullable=False),
        sa.Column("occurrence", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("dose_day", sa.Date(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("local_time", sa.Text(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("tzdb", sa.Text(), nullable=False),
        sa.Column("window_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("dose_event_id", sa.Uuid(), nullable=True),
        sa.Column("labelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint(
            "patient_id", "regimen_id", "occurrence", name=op.f("pk_scheduled_dose")
        ),
    )
    op.create_index(
        "ix_scheduled_dose_check",
        "scheduled_dose",
        ["check_at"],
        unique=False,
        postgresql_where=sa.text("check_at IS NOT NULL"),
    )
    op.create_index(
        "ix_scheduled_dose_day",
        "scheduled_dose",
        ["patient_id", "dose_day"],
        unique=False,
    )
    op.create_index(
        "ix_scheduled_dose_open",
        "scheduled_dose",
        ["patient_id", "window_until"],
        unique=False,
        postgresql_where=sa.text("label IN ('pending', 'late', 'unknown')"),
    )
    op.create_table(
        "screen_due",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("pk_screen_due")),
    )
    op.create_index(op.f("ix_screen_due_since"), "screen_due", ["since"], unique=False)
    op.create_table(
        "screen_mark",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("night", sa.Date(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("pk_screen_mark")),
    )
    op.create_table(
        "vital_key",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "patient_id", "source_id", "key", name=op.f("pk_vital_key")
        ),
    )
    op.create_index(
        "ix_vital_key_recorded",
        "vital_key",
        ["recorded_at"],
        unique=False,
        postgresql_using="brin",
    )
    op.create_table(
        "vital_quarantine",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("bridge_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "clinic_id", "digest", name=op.f("pk_vital_quarantine")
        ),
    )
    op.create_index(
        op.f("ix_vital_quarantine_device_id"),
        "vital_quarantine",
        ["device_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_vital_quarantine_patient_id"),
        "vital_quarantine",
        ["patient_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_vital_quarantine_recorded_at"),
        "vital_quarantine",
        ["recorded_at"],
        unique=False,
    )
    op.create_table(
        "vital_segment",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("step_ms", sa.Integer(), nullable=True),
        sa.Column("offsets_ms", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("values", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "patient_id", "code", "source_id", "start", name=op.f("pk_vital_segment")
        ),
        postgresql_partition_by="RANGE (start)",
    )
    op.create_table(
        "vital_series",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("fragments", sa.Integer(), nullable=False),
        sa.Column("open_from", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "patient_id", "source_id", "code", name=op.f("pk_vital_series")
        ),
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "vital_source",
        sa.Column("source_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("source_id", name=op.f("pk_vital_source")),
    )
    op.create_index(
        "ux_vital_source", "vital_source", ["clinic_id", "name"], unique=True
    )
    op.create_table(
        "void",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("void_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("patient_id", "void_id", name=op.f("pk_void")),
    )
    op.create_table(
        "access_token",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.account_id"],
            name=op.f("fk_access_token_account_id"),
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_access_token")),
    )
    op.create_index(
        op.f("ix_access_token_account_id"), "access_token", ["account_id"], unique=False
    )
    op.create_table(
        "bridge",
        sa.Column("bridge_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinic.clinic_id"], name=op.f("fk_bridge_clinic_id")
        ),
        sa.PrimaryKeyConstraint("bridge_id", name=op.f("pk_bridge")),
    )
    op.create_index(op.f("ix_bridge_clinic_id"), "bridge", ["clinic_id"], unique=False)
    op.create_table(
        "clinician",
        sa.Column("clinician_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinic.clinic_id"], name=op.f("fk_clinician_clinic_id")
        ),
        sa.PrimaryKeyConstraint("clinician_id", name=op.f("pk_clinician")),
    )
    op.create_index(
        op.f("ix_clinician_clinic_id"), "clinician", ["clinic_id"], unique=False
    )
    op.create_table(
        "device",
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("maker", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("udi", sa.Text(), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinic.clinic_id"], name=op.f("fk_device_clinic_id")
        ),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_device")),
        sa.UniqueConstraint("maker", "serial", name=op.f("uq_device_maker_serial")),
    )
    op.create_index(op.f("ix_device_clinic_id"), "device", ["clinic_id"], unique=False)
    op.create_table(
        "pairing_code",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("issued_by", sa.Uuid(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bridge_id", sa.Uuid(), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinic.clinic_id"], name=op.f("fk_pairing_code_clinic_id")
        ),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_pairing_code")),
    )
    op.create_table(
        "patient",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("given_name", sa.Text(), nullable=False),
        sa.Column("family_name", sa.Text(), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinic.clinic_id"], name=op.f("fk_patient_clinic_id")
        ),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("pk_patient")),
    )
    op.create_index(
        op.f("ix_patient_clinic_id"), "patient", ["clinic_id"], unique=False
    )
    op.create_table(
        "product",
        sa.Column("gtin", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("drug", sa.Text(), nullable=False),
        sa.Column("strength", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("pack_size", sa.Numeric(), nullable=False),
        sa.Column("manufacturer_id", sa.Uuid(), nullable=False),
        sa.Column("lead_time_days", sa.Integer(), nullable=False),
        sa.Column("safety_days", sa.Integer(), nullable=False),
        sa.Column("controlled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["manufacturer_id"],
            ["organization.organization_id"],
            name=op.f("fk_product_manufacturer_id"),
        ),
        sa.PrimaryKeyConstraint("gtin", name=op.f("pk_product")),
    )
    op.create_table(
        "sign_in_session",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.account_id"],
            name=op.f("fk_sign_in_session_account_id"),
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sign_in_session")),
    )
    op.create_index(
        op.f("ix_sign_in_session_account_id"),
        "sign_in_session",
        ["account_id"],
        unique=False,
    )
    op.create_table(
        "assignment",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("compartment", sa.Integer(), nullable=False),
        sa.Column("regimen_id", sa.Uuid(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.device_id"], name=op.f("fk_assignment_device_id")
        ),
        sa.PrimaryKeyConstraint(
            "patient_id", "assignment_id", name=op.f("pk_assignment")
        ),
    )
    op.create_index(
        "ix_assignment_device",
        "assignment",
        ["device_id", "compartment", "since"],
        unique=False,
    )
    op.create_table(
        "bridge_token",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("bridge_id", sa.Uuid(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["bridge_id"], ["bridge.bridge_id"], name=op.f("fk_bridge_token_bridge_id")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_bridge_token")),
    )
    op.create_index(
        op.f("ix_bridge_token_bridge_id"), "bridge_token", ["bridge_id"], unique=False
    )
    op.create_table(
        "pack",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("pack_id", sa.Uuid(), nullable=False),
        sa.Column("gtin", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("lot", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("dispensed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["gtin"], ["product.gtin"], name=op.f("fk_pack_gtin")),
        sa.PrimaryKeyConstraint("patient_id", "pack_id", name=op.f("pk_pack")),
    )
    op.create_table(
        "regimen",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("regimen_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("gtin", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("drug", sa.Text(), nullable=False),
        sa.Column("criticality", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["gtin"], ["product.gtin"], name=op.f("fk_regimen_gtin")
        ),
        sa.PrimaryKeyConstraint("patient_id", "regimen_id", name=op.f("pk_regimen")),
    )
    op.create_table(
        "reorder",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("reorder_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("gtin", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("packs", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("why", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["gtin"], ["product.gtin"], name=op.f("fk_reorder_gtin")
        ),
        sa.PrimaryKeyConstraint("patient_id", "reorder_id", name=op.f("pk_reorder")),
    )
    op.create_index("ix_reorder_gtin", "reorder", ["gtin", "opened_at"], unique=False)
    op.create_index(
        "ux_reorder_open",
        "reorder",
        ["patient_id", "gtin"],
        unique=True,
        postgresql_where=sa.text("state NOT IN ('delivered', 'cancelled')"),
    )
    op.create_table(
        "stock",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("gtin", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("on_hand", sa.Numeric(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("use_per_day", sa.Numeric(), nullable=True),
        sa.Column("run_out_on", sa.Date(), nullable=True),
        sa.Column("run_out_early", sa.Date(), nullable=True),
        sa.Column("run_out_late", sa.Date(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["gtin"], ["product.gtin"], name=op.f("fk_stock_gtin")),
        sa.PrimaryKeyConstraint("patient_id", "gtin", name=op.f("pk_stock")),
    )
    op.create_table(
        "stock_entry",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("gtin", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("dose_event_id", sa.Uuid(), nullable=True),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["gtin"], ["product.gtin"], name=op.f("fk_stock_entry_gtin")
        ),
        sa.PrimaryKeyConstraint("patient_id", "entry_id", name=op.f("pk_stock_entry")),
        sa.UniqueConstraint(
            "patient_id",
            "gtin",
            "kind",
            "cause",
            name=op.f("uq_stock_entry_patient_id_gtin_kind_cause"),
        ),
    )
    op.create_index(
        "ix_stock_entry_event",
        "stock_entry",
        ["patient_id", "dose_event_id"],
        unique=False,
    )
    op.create_index(
        "ix_stock_entry_time",
        "stock_entry",
        ["patient_id", "gtin", "occurred_at"],
        unique=False,
    )
    op.execute("CREATE TABLE vital_segment_default PARTITION OF vital_segment DEFAULT")
    op.execute(ENSURE_PARTITIONS)
    op.execute("REVOKE EXECUTE ON FUNCTION ensure_vital_partitions FROM PUBLIC")
    op.execute(
        "INSERT INTO domain_clock_anchor "
        "VALUES (true, transaction_timestamp(), transaction_timestamp(), 1, false)"
    )
