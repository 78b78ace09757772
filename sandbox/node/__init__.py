"""A Kubernetes node on a bare Linux machine: kubelet, containerd and runc in namespaces of their own.

For machines without a container engine, where kind cannot run. Everything happens in a network, mount and process
namespace whose end takes all of it along: nothing of the machine's own network can be reached from a pod, and no
interface, mount or process stays behind. Needs root, and an image built beforehand.
"""

from __future__ import annotations
