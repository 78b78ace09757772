"""Bounds of the MailEgress schema. Equal to those of the CRD (a test compares them); lengths are in
characters.
"""

from typing import Final

# spec. HOSTNAME_LENGTH leaves room for the label `_mailegress.` in a name of at most 253 characters (RFC
# 1035, section 2.3.4).
HOSTNAME_LENGTH: Final = 241
DNS_NAME_LENGTH: Final = 253
SELECTORS: Final = 16
IDENTIFIER_LENGTH: Final = 64
# Of one selector; key and value as AWS bounds them (EC2 User Guide, "Tag restrictions").
SELECTOR_TAGS: Final = 8
TAG_KEY_LENGTH: Final = 128
TAG_VALUE_LENGTH: Final = 256
SENDER_DOMAINS: Final = 16
MIN_TTL_SECONDS: Final = 1
MAX_TTL_SECONDS: Final = 86_400

# Together, after resolution; not expressible in the schema (a NAT gateway stands for all addresses it has).
ADDRESSES: Final = 64

# status. An address list entry for every Elastic IP and one for every selector that resolved to none.
STATUS_ADDRESSES: Final = ADDRESSES + SELECTORS
# Names and zones that an object had before and whose records are still there.
FORMER_RECORDS: Final = 64
ENDPOINT_HOSTNAMES: Final = 64
# During a change of addresses the record holds old and new ones together.
FORWARD_VALUES: Final = 2 * ADDRESSES
STATUS_NAME_LENGTH: Final = 255
DISPLAY_ADDRESSES_LENGTH: Final = 64
DISPLAY_ADVISORIES_LENGTH: Final = 256
ADVISORIES: Final = 16
SELECTOR_LENGTH: Final = 160
ATTACHED_TO_LENGTH: Final = 128
WORD_LENGTH: Final = 16
REASON_LENGTH: Final = 64
MESSAGE_LENGTH: Final = 1024
CONDITIONS: Final = 8
RECONCILE_REQUEST_LENGTH: Final = 256
# A TTL on the wire is 32 bits (RFC 2181, section 8, would stop at 31; what is shown is what was seen).
MAX_STATUS_TTL_SECONDS: Final = 4_294_967_295
# Kubernetes stores generations as signed 64-bit integers.
MAX_GENERATION: Final = 2**63 - 1

# MailEgressPolicy.
POLICY_NAMESPACES: Final = 100
POLICY_LABELS: Final = 8
POLICY_SUFFIXES: Final = 32
POLICY_NAMES: Final = 64
POLICY_ZONES: Final = 32
POLICY_ALLOCATIONS: Final = 256
POLICY_GATEWAYS: Final = 64
POLICY_REGIONS: Final = 32
POLICY_MAXIMUM: Final = 10_000
