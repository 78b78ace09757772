"""The pure model of AWS: no I/O, no threads, no clock of its own.

ASSUMPTIONS: behaviour that AWS does not document. The operator must not depend on any of it.

- ModifyAddressAttribute with a name that does not resolve answers InvalidParameterValue, at call time,
  after one look-up; "does not resolve" means that the answer lacks this very address
  (`Settings.ptr_precondition`). The text is invented.
- A second modify (or a reset) while an update is PENDING replaces it and starts the wait again
  (`Settings.modify_while_pending`: or IncorrectState).
- Setting the value that is already there goes through PENDING like any other.
- A failed update leaves PtrRecord as it was and PtrRecordUpdate with Value, Status FAILED and a Reason,
  until the next modify or reset. No failed Status is documented.
- ResetAddressAttribute shows PtrRecordUpdate without a Value; on an address without PTR it succeeds and
  does nothing.
- DescribeAddressesAttribute without `Attribute` leaves PtrRecord and PtrRecordUpdate out.
- ReleaseAddress keeps answering InvalidAddress.PtrSet for `Delays.release_lock` after a reset has settled
  (seen in the wild, not documented); DryRun tells the same.
- A transferred address gets a new allocation ID.
- A regional NAT gateway in automatic mode begins with one address; an address that it loses is released at once, also
  with a PTR. Whether AWS takes a PTR for one is a switch (`Settings.rnat_ptr`); for those of load balancers it never
  does. Releasing an address of a service is refused; all of these with OperationNotPermitted.
- A batch of record-set changes is checked in its order: CREATE of an A before DELETE of the CNAME it
  replaces is refused. One set may be in a batch once, or as DELETE then CREATE.
- Too many record sets in a zone is InvalidChangeBatch with an invented text.
- Record sets sort by the unescaped characters of their names.
- A change request keeps its zone busy for `Delays.change_processing`; a second one meanwhile is
  PriorRequestNotComplete and costs no change tokens.
- All four name servers serve a change before it is INSYNC, unless a server is lagged by hand: then INSYNC
  comes all the same.
- Calls refused for want of permission cost quota; calls struck by an injected fault do not.
- A batch within the size limits costs change tokens also when it is refused; an oversized one costs none.
- Signatures are not checked: the access key and the session token alone tell who calls.
- Expired session keys: EC2 answers RequestExpired, Route 53 and STS answer ExpiredToken.
"""

from .aws import AwsModel
from .base import AwsFault, ConnectionCut, Context, GarbageReply, Principal
from .faults import FaultRule
from .policy import DenyRule
from .settings import Delays, Settings
from .sts import Role

__all__ = [
    "AwsFault",
    "AwsModel",
    "ConnectionCut",
    "Context",
    "Delays",
    "DenyRule",
    "FaultRule",
    "GarbageReply",
    "Principal",
    "Role",
    "Settings",
]
