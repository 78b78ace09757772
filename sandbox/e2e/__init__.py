"""``make e2e``: the chart, installed by Helm on a real node, from the first apply to the last trace gone.

One scenario on two backends: kind where a container engine answers, else a node of our own (`sandbox.node`).
"""

from __future__ import annotations
