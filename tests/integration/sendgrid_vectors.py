"""The two signed posts that were published with SendGrid's own libraries, Python and Node."""

from __future__ import annotations

from typing import NamedTuple


class Vector(NamedTuple):
    """A public key, and a body to the byte with what was signed beside it."""

    key: str
    signature: str
    timestamp: str
    body: bytes


PYTHON = Vector(
    (
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRq"
        "e62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
    ),
    (
        "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15"
        "TluLtEZtM="
    ),
    "1600112502",
    (
        b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id"'
        b':"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA","sg_message_id":"LRzXl_NHStOGhQ'
        b'4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","smtp-id":"<LRzXl_NHStOG'
        b'hQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
    ),
)
NODE = Vector(
    (
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEQ4LIFtWztlsF7skFqOncjD1lun4H5w8XOhyOArHW9RcIx/FfEz"
        "x6cikC/yPfUvwaX/JScE7Fc9CJD2afQ9Ok3Q=="
    ),
    (
        "MEYCIQC/I4o6vCgqRYrTljjoVWB/GRWNtxeePlLMHr3x9ETeRQIhAIpV+03nREPTTHWSW0wIOA0EoMPdcNgXa7"
        "0yCaqDJlu5"
    ),
    "1619651159",
    (
        b'[{"email":"invalid@gmail.com","event":"processed","send_at":0,"sg_event_id":"cHJvY2Vzc'
        b'2VkLTE5OTQyMTEyLXFOd0JMZ1BRUWpXNkRKdktRd1NBYnctMA","sg_message_id":"qNwBLgPQQjW6DJvKQw'
        b'SAbw.filterdrecv-canary-547b64655b-cw6zx-1-6089EA4A-56.0","smtp-id":"<qNwBLgPQQjW6DJvK'
        b'QwSAbw@ismtpd0178p1mdw1.sendgrid.net>","timestamp":1619651146},\r\n{"email":"invalid@g'
        b'mail.com","event":"bounce","ip":"167.89.101.76","reason":"552 5.2.2 The email account '
        b"that you tried to reach is over quota and inactive. Please direct the recipient to htt"
        b'ps://support.google.com/mail/?p=OverQuotaPerm c17si1130468pgv.34 - gsmtp","sg_event_id'
        b'":"Ym91bmNlLTAtMTk5NDIxMTItcU53QkxnUFFRalc2REp2S1F3U0Fidy0w","sg_message_id":"qNwBLgPQ'
        b'QjW6DJvKQwSAbw.filterdrecv-canary-547b64655b-cw6zx-1-6089EA4A-56.0","smtp-id":"<qNwBLg'
        b'PQQjW6DJvKQwSAbw@ismtpd0178p1mdw1.sendgrid.net>","status":"5.2.2","timestamp":16196511'
        b'47,"tls":1,"type":"blocked"}]\r\n'
    ),
)
