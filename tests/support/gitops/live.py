"""A scene in a real API server."""

from __future__ import annotations

from typing import Any

from kubernetes import client as k8s
from kubernetes import config

from mailegress.api.names import GROUP, PLURAL, VERSION
from sandbox.controlplane import ControlPlane
from tests.support.gitops.scene import Json, Scene


class Live(Scene):
    def __init__(self, plane: ControlPlane, name: str, namespace: str = "mail") -> None:
        super().__init__(name, namespace)
        configuration = k8s.Configuration()
        config.load_kube_config(config_file=str(plane.kubeconfig), client_configuration=configuration)
        self._api: Any = k8s.CustomObjectsApi(k8s.ApiClient(configuration))
        self._where = (GROUP, VERSION, namespace, PLURAL)

    @property
    def body(self) -> Json:
        found: Json = self._api.get_namespaced_custom_object(*self._where, self.name)
        return found

    def create(self, manifest: Json) -> None:
        self._api.create_namespaced_custom_object(*self._where, manifest)

    def edit(self, **spec: Any) -> None:
        self._patch({"spec": spec})

    def annotate(self, name: str, value: str) -> None:
        self._patch({"metadata": {"annotations": {name: value}}})

    def delete(self) -> None:
        self._api.delete_namespaced_custom_object(*self._where, self.name)

    def release(self) -> None:
        """The operator has cleaned up and takes its finalizer off."""
        self._patch({"metadata": {"finalizers": None}})

    def store(self, status: Json) -> None:
        body = self.body | {"status": status}
        stored = self._api.replace_namespaced_custom_object_status(*self._where, self.name, body)
        assert stored["status"] == status, "the schema keeps all of it and adds nothing"

    def _patch(self, body: Json) -> None:
        self._api.patch_namespaced_custom_object(
            *self._where, self.name, body, _content_type="application/merge-patch+json"
        )
