"""What SendGrid documents about a request, written by us: a JSON Schema and what it cannot say.

From "Mail Send", "Personalizations" and "Errors" in Twilio's reference. Stricter than SendGrid in
one way: what we never use is not allowed.
"""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator

RESERVED = (
    "x-sg-id|x-sg-eid|received|dkim-signature|content-type|content-transfer-encoding"
    "|to|from|subject|reply-to|cc|bcc"
)
MAILBOX = {
    "type": "object",
    "required": ["email"],
    "additionalProperties": False,
    "properties": {
        "email": {"type": "string", "pattern": "^[^@\\s]+@[^@\\s]+$", "maxLength": 320},
        "name": {"type": "string", "minLength": 1, "pattern": "^[^\\r\\n]*$"},
    },
}
OFF = {"type": "object", "required": ["enable"], "properties": {"enable": {"const": False}}}
PERSONALIZATION = {
    "type": "object",
    "required": ["to", "headers", "substitutions", "custom_args"],
    "additionalProperties": False,
    "properties": {
        # SendGrid takes up to 1,000 here; they would see each other.
        "to": {"type": "array", "items": MAILBOX, "minItems": 1, "maxItems": 1},
        "headers": {
            "type": "object",
            "propertyNames": {"not": {"pattern": f"^(?i:{RESERVED})$"}},
            "additionalProperties": {"type": "string", "pattern": "^[^\\r\\n]+$"},
        },
        "substitutions": {"type": "object", "maxProperties": 10_000},  # of strings: see `faults`
        "custom_args": {
            "type": "object",
            "required": ["nl_delivery"],
            "additionalProperties": False,
            "properties": {"nl_delivery": {"type": "string", "pattern": "^[^@\\s]{1,200}$"}},
        },
    },
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["personalizations", "from", "subject", "content", "tracking_settings"],
    "additionalProperties": False,
    "properties": {
        "personalizations": {
            "type": "array",
            "items": PERSONALIZATION,
            "minItems": 1,
            "maxItems": 1_000,
        },
        "from": MAILBOX,
        "reply_to": MAILBOX,
        "custom_args": {
            "type": "object",
            "required": ["nl_request"],
            "additionalProperties": False,
            "properties": {"nl_request": {"type": "string", "pattern": "^[^@\\s]{1,100}$"}},
        },
        "subject": {"type": "string", "minLength": 1, "pattern": "^[^\\r\\n]*$"},
        "content": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            # "text/plain must come first, followed by text/html".
            "prefixItems": [
                {
                    "type": "object",
                    "required": ["type", "value"],
                    "properties": {
                        "type": {"const": kind},
                        "value": {"type": "string", "minLength": 1},
                    },
                }
                for kind in ("text/plain", "text/html")
            ],
        },
        "tracking_settings": {
            "type": "object",
            "required": [
                "click_tracking",
                "open_tracking",
                "subscription_tracking",
                "ganalytics",
            ],
            "additionalProperties": OFF,
        },
        "mail_settings": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "sandbox_mode": {"type": "object", "properties": {"enable": {"type": "boolean"}}}
            },
        },
    },
}
_VALIDATOR = Draft202012Validator(SCHEMA)


def faults(payload: Any) -> list[str]:
    """Every way in which a request breaks a documented limit; none for a good one."""
    found = [
        f"{error.json_path}: {error.message[:200]}" for error in _VALIDATOR.iter_errors(payload)
    ]
    if found:
        return found
    if len(json.dumps(payload)) >= 30_000_000:
        found.append("30 MB or more")
    people = payload["personalizations"]
    # By hand, for the schema takes longest over what a thousand readers have in their letters.
    if any(not isinstance(value, str) for one in people for value in one["substitutions"].values()):
        return ["a substitution is no string"]
    addresses = [to["email"].lower() for one in people for to in one["to"]]
    if len(addresses) > 1_000:
        found.append("more than 1,000 recipients")
    if len(set(addresses)) < len(addresses):
        found.append("an address comes twice")
    shared = payload.get("custom_args", {})
    for one in people:
        for kind, values in (
            ("substitutions", one["substitutions"]),
            ("custom_args", shared | one["custom_args"]),
        ):
            if sum(len(k.encode()) + len(v.encode()) for k, v in values.items()) >= 10_000:
                found.append(f"10,000 bytes of {kind} or more")
    return found
