"""Fields that exist in Kubernetes and that no friend's manifest may set, and what to do instead.

They are refused unread, so that one fault stands for all that is inside.
"""

from typing import Final

_BY_SERVER: Final = "the cluster sets it."
_NO_OWNER: Final = "nobody else may hold on to a friend's objects."
_SCHEDULER: Final = "where a pod runs is the cluster's choice."
_PRIORITY: Final = "all friends' pods have the same priority."
_DEVICES: Final = "friends' pods have no devices."
_HOST: Final = "leave it out, so that the pod itself is asked."
_OWN_NAMESPACE: Final = "affinity looks at the friend's own pods."
_ADDRESSES: Final = "the cluster knows which addresses it has."
_WINDOWS: Final = "friends' pods run on Linux."

_METADATA: Final = {
    "creationTimestamp": _BY_SERVER,
    "deletionGracePeriodSeconds": _BY_SERVER,
    "deletionTimestamp": _BY_SERVER,
    "finalizers": _NO_OWNER,
    "generateName": "give the object a name, so that applying it again finds it.",
    "generation": _BY_SERVER,
    "managedFields": _BY_SERVER,
    "ownerReferences": _NO_OWNER,
    "resourceVersion": _BY_SERVER,
    "selfLink": _BY_SERVER,
    "uid": _BY_SERVER,
}

REFUSED: Final = {
    "Object": {"status": _BY_SERVER},
    "ObjectMeta": _METADATA,
    "TemplateMeta": {
        **_METADATA,
        "namespace": "what a workload makes is in the workload's own namespace.",
    },
    "ServiceSpec": {"ipFamilies": _ADDRESSES, "ipFamilyPolicy": _ADDRESSES},
    "PodSpec": {
        "ephemeralContainers": "they are for pods that run already.",
        "hostUsers": "the cluster decides about user namespaces.",
        "hostnameOverride": "use hostname.",
        "nodeName": _SCHEDULER,
        "nodeSelector": _SCHEDULER,
        "overhead": _BY_SERVER,
        "preemptionPolicy": _PRIORITY,
        "priority": _PRIORITY,
        "priorityClassName": _PRIORITY,
        "readinessGates": "nothing in a friend's namespace would ever open one.",
        "resourceClaims": _DEVICES,
        "resources": "set the resources of each container.",
        "runtimeClassName": "friends' pods run under the cluster's own runtime.",
        "schedulingGates": "nothing in a friend's namespace would ever open one.",
        "schedulingGroup": _SCHEDULER,
        "tolerations": _SCHEDULER,
    },
    "PodSecurityContext": {"windowsOptions": _WINDOWS},
    "SecurityContext": {"windowsOptions": _WINDOWS},
    "Affinity": {"nodeAffinity": _SCHEDULER},
    "PodAffinityTerm": {"namespaceSelector": _OWN_NAMESPACE, "namespaces": _OWN_NAMESPACE},
    "Container": {
        "resizePolicy": "friends' pods are not resized in place.",
        "restartPolicyRules": "a container restarts as its pod does.",
        "volumeDevices": _DEVICES,
    },
    "ResourceRequirements": {"claims": _DEVICES},
    "ContainerPort": {
        "hostIP": "a Service leads to the port.",
        "hostPort": "a Service leads to the port.",
    },
    "HTTPGetAction": {"host": _HOST},
    "TCPSocketAction": {"host": _HOST},
    "Lifecycle": {"stopSignal": "an image's STOPSIGNAL says so."},
}
