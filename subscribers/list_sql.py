"""The SQL of lists coming in, which runs a million times: all of it, and on which index it leans.

Every statement finds its rows by primary key or by the unique index on `subscriber.address_key`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, bindparam, text
from sqlmodel.sql.sqltypes import UTCDateTime

_AT = bindparam("at", type_=UTCDateTime())
_KEYS: BindParameter[Any] = bindparam("keys", expanding=True)

KNOWN = text(
    "SELECT address_key, id, status FROM subscriber WHERE address_key IN :keys"
).bindparams(_KEYS)
# Lifted ones too: who came back by the front door is not shut out again by an old list.
SUPPRESSED = text(
    "SELECT address_key, reason, lifted_at IS NULL FROM suppression WHERE address_key IN :keys"
).bindparams(_KEYS)

# A list that comes into an empty house need not be compared with anything.
ANYBODY = text("SELECT EXISTS (SELECT 1 FROM subscriber)")
ANYTHING = text("SELECT EXISTS (SELECT 1 FROM suppression)")

ADD = text(
    "INSERT INTO subscriber"
    " (address, address_key, name, status, created_at, confirmed_at, confirmations_sent)"
    " VALUES (:address, :address_key, :name, :status, :at, :at, 0)"
    " ON CONFLICT (address_key) DO NOTHING"
).bindparams(_AT)
# Where a sign-up of the same address came between on another connection, its row stands and keeps
# its own records: hence "without a record so far".
ADDED = text(
    "SELECT s.address_key, s.id FROM subscriber s WHERE s.address_key IN :keys"
    " AND NOT EXISTS (SELECT 1 FROM consent_record c WHERE c.subscriber_id = s.id)"
).bindparams(_KEYS)
# The same of those who came since a chunk ago: a walk along the end of the table and of
# `ix_consent_record_subscriber_id`, where looking for a thousand keys would jump about.
LAST_ID = text("SELECT max(id) FROM subscriber")
ADDED_ABOVE = text(
    "SELECT s.address_key, s.id FROM subscriber s WHERE s.id > :last_id"
    " AND NOT EXISTS (SELECT 1 FROM consent_record c WHERE c.subscriber_id = s.id)"
)
ACTIVATE = text(
    "UPDATE subscriber SET status = :status, confirmed_at = COALESCE(confirmed_at, :at),"
    " name = CASE WHEN :name = '' THEN name ELSE :name END"
    " WHERE id = :id AND status = 'pending'"
).bindparams(_AT)
PROVE = text(
    "INSERT INTO consent_record"
    " (subscriber_id, action, at, source, wording, version, given_on, network)"
    " VALUES (:id, 'imported', :at, :source, :wording, :version, :given_on, '')"
).bindparams(_AT)
TAG = text(
    "INSERT INTO subscriber_tag (subscriber_id, tag) VALUES (:id, :label) ON CONFLICT DO NOTHING"
)
CHOOSE = text(
    "INSERT INTO subscriber_topic (subscriber_id, topic) VALUES (:id, :label)"
    " ON CONFLICT DO NOTHING"
)
SUPPRESS = text(
    "INSERT INTO suppression (address_key, reason, at, detail, lifted_because)"
    " VALUES (:address_key, :reason, :at, :detail, '')"
    " ON CONFLICT (address_key) WHERE lifted_at IS NULL DO NOTHING"
).bindparams(_AT)

# SQLite alone: the index on a million keys grows in memory, not page by page through the log.
CACHE_KIB = 65_536
MORE_CACHE = f"PRAGMA cache_size = -{CACHE_KIB}"
USUAL_CACHE = "PRAGMA cache_size = -2000"
