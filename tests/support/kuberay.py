"""The fields of KubeRay's custom resources (its v1.6 API reference) as a JSON schema.

Of pods only the frame is here: Kubernetes has schemas of its own for what is inside.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


TEXT, NUMBER, YES = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
POD = _closed(["spec"], metadata={"type": "object"}, spec={"type": "object"})
HEAD = _closed(
    ["rayStartParams", "template"],
    template=POD, headService={"type": "object"}, enableIngress=YES, rayStartParams=TEXTS,
    serviceType=TEXT, resources=TEXTS, labels=TEXTS,
)  # fmt: skip
WORKERS = _closed(
    ["groupName", "rayStartParams", "template", "minReplicas", "maxReplicas"],
    suspend=YES, groupName=TEXT, replicas=NUMBER, minReplicas=NUMBER, maxReplicas=NUMBER,
    idleTimeoutSeconds=NUMBER, resources=TEXTS, labels=TEXTS, rayStartParams=TEXTS, template=POD,
    scaleStrategy={"type": "object"}, numOfHosts=NUMBER,
)  # fmt: skip
CLUSTER = _closed(
    ["headGroupSpec", "rayVersion", "authOptions"],
    suspend=YES, managedBy=TEXT, headServiceAnnotations=TEXTS, enableInTreeAutoscaling=YES,
    autoscalerOptions=_closed(
        [], version={"enum": ["v1", "v2"]}, idleTimeoutSeconds=NUMBER, image=TEXT,
        imagePullPolicy=TEXT, resources={"type": "object"}, upscalingMode=TEXT,
    ),
    gcsFaultToleranceOptions={"type": "object"}, headGroupSpec=HEAD, rayVersion=TEXT,
    workerGroupSpecs={"type": "array", "items": WORKERS},
    authOptions=_closed(["mode"], mode={"enum": ["disabled", "token"]}, secretName=TEXT),
)  # fmt: skip
SPECS = {
    "RayJob": _closed(
        ["entrypoint", "rayClusterSpec"],
        activeDeadlineSeconds=NUMBER, backoffLimit=NUMBER, rayClusterSpec=CLUSTER,
        submitterPodTemplate=POD, metadata=TEXTS, clusterSelector=TEXTS, managedBy=TEXT,
        entrypoint=TEXT, runtimeEnvYAML=TEXT, jobId=TEXT, entrypointResources=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        entrypointNumCpus={"type": "number"}, entrypointNumGpus={"type": "number"},
        ttlSecondsAfterFinished=NUMBER, shutdownAfterJobFinishes=YES, suspend=YES,
        preRunningDeadlineSeconds=NUMBER, deletionStrategy={"type": "object"},
    ),
    "RayService": _closed(
        ["serveConfigV2", "rayClusterConfig"],
        rayClusterDeletionDelaySeconds=NUMBER, serveService={"type": "object"}, suspend=YES,
        upgradeStrategy={"type": "object"}, serveConfigV2=TEXT, rayClusterConfig=CLUSTER,
        excludeHeadPodFromServeSvc=YES,
    ),
}  # fmt: skip


def resource_schema(kind: str) -> dict[str, Any]:
    """The schema of a resource of that kind."""
    return _closed(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "ray.io/v1"},
        kind={"const": kind},
        metadata=_closed(["name"], name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS),
        spec=SPECS[kind],
    )


def pods(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """The pods that the operator makes of a cluster's groups, as Kubernetes is asked for them."""
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    frame = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}}
    return [deepcopy({**frame, **group["template"]}) for group in groups]
