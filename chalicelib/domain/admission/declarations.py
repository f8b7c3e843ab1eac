"""Every field of the five kinds, with its type: Kubernetes 1.36's OpenAPI schema, as declarations.

Server-side apply answers a field that it does not know with a 500, so we must know them all. A
field is `name:type`, or a string where none is said; `!` requires it; `-` refuses it, whatever it
holds (see refusals); `any` leaves all of it to a rule, which must refuse it; `<A|B>` is one of
these words; `mode` is a file's; `[X]@key` is a list that the cluster merges by that key, so that
it must be unique.
"""

from collections.abc import Mapping
from typing import Final

_METADATA: Final = (
    "annotations:{string} creationTimestamp:- deletionGracePeriodSeconds:- deletionTimestamp:-"
    " finalizers:- generateName:- generation:- labels:{string} managedFields:- name"
    " ownerReferences:- resourceVersion:- selfLink:- uid:-"
)
_HANDLERS: Final = "exec:ExecAction httpGet:HTTPGetAction tcpSocket:TCPSocketAction"
_PROFILE: Final = "localhostProfile type!:<RuntimeDefault|Localhost|Unconfined>"
_SECURITY: Final = (
    "appArmorProfile:Profile runAsGroup:int64 runAsNonRoot:bool runAsUser:int64"
    " seLinuxOptions:SELinuxOptions seccompProfile:Profile windowsOptions:-"
)

DECLARED: Final[Mapping[str, str]] = {
    "ObjectMeta": f"{_METADATA} namespace",
    "TemplateMeta": f"{_METADATA} namespace:-",
    # Deployments, Jobs and CronJobs
    "DeploymentSpec": (
        "minReadySeconds:int32 paused:bool progressDeadlineSeconds:int32 replicas:int32"
        " revisionHistoryLimit:int32 selector:LabelSelector strategy:DeploymentStrategy"
        " template:PodTemplateSpec"
    ),
    "DeploymentStrategy": "rollingUpdate:RollingUpdateDeployment type",
    "RollingUpdateDeployment": "maxSurge:port maxUnavailable:port",
    "LabelSelector": "matchExpressions:[LabelSelectorRequirement] matchLabels:{string}",
    "LabelSelectorRequirement": ("key! operator!:<In|NotIn|Exists|DoesNotExist> values:[string]"),
    "JobSpec": (
        "activeDeadlineSeconds:int64 backoffLimit:int32 backoffLimitPerIndex:any completionMode"
        " completions:int32 managedBy:any manualSelector:any maxFailedIndexes:any"
        " parallelism:int32 podFailurePolicy:any podReplacementPolicy:any selector:any"
        " successPolicy:any suspend:bool template:PodTemplateSpec ttlSecondsAfterFinished:int32"
    ),
    "CronJobSpec": (
        "concurrencyPolicy failedJobsHistoryLimit:int32 jobTemplate:JobTemplateSpec schedule"
        " startingDeadlineSeconds:int64 successfulJobsHistoryLimit:int32 suspend:bool timeZone"
    ),
    "JobTemplateSpec": "metadata:TemplateMeta spec:JobSpec",
    # Services
    "ServiceSpec": (
        "allocateLoadBalancerNodePorts:any clusterIP clusterIPs:[string] externalIPs:any"
        " externalName:any externalTrafficPolicy:any healthCheckNodePort:any"
        " internalTrafficPolicy ipFamilies:- ipFamilyPolicy:- loadBalancerClass:any"
        " loadBalancerIP:any loadBalancerSourceRanges:any ports:[ServicePort]"
        " publishNotReadyAddresses:bool selector:{string} sessionAffinity"
        " sessionAffinityConfig:SessionAffinityConfig trafficDistribution:any type"
    ),
    "ServicePort": "appProtocol:qualified name nodePort:any port:int32 protocol targetPort:port",
    "SessionAffinityConfig": "clientIP:ClientIPConfig",
    "ClientIPConfig": "timeoutSeconds:int32",
    # Pods
    "PodTemplateSpec": "metadata:TemplateMeta spec!:PodSpec",
    "PodSpec": (
        "activeDeadlineSeconds:int64 affinity:Affinity automountServiceAccountToken:bool"
        " containers!:[Container]@name dnsConfig:PodDNSConfig dnsPolicy enableServiceLinks:bool"
        " ephemeralContainers:- hostAliases:[HostAlias]@ip hostIPC:bool hostNetwork:bool"
        " hostPID:bool hostUsers:- hostname hostnameOverride:-"
        " imagePullSecrets:[LocalObjectReference]@name initContainers:[Container]@name nodeName:-"
        " nodeSelector:- os:PodOS overhead:- preemptionPolicy:- priority:- priorityClassName:-"
        " readinessGates:- resourceClaims:- resources:- restartPolicy runtimeClassName:-"
        " schedulerName schedulingGates:- schedulingGroup:- securityContext:PodSecurityContext"
        " serviceAccount serviceAccountName setHostnameAsFQDN:bool shareProcessNamespace:bool"
        " subdomain terminationGracePeriodSeconds:int64 tolerations:-"
        " topologySpreadConstraints:[TopologySpreadConstraint]@topologyKey,whenUnsatisfiable"
        " volumes:[Volume]@name"
    ),
    "PodSecurityContext": (
        f"{_SECURITY} fsGroup:int64 fsGroupChangePolicy:<OnRootMismatch|Always>"
        " seLinuxChangePolicy:<Recursive> supplementalGroups:[int64]"
        " supplementalGroupsPolicy:<Merge|Strict> sysctls:[Sysctl]"
    ),
    "Profile": _PROFILE,
    "SELinuxOptions": "level role type user",
    "Sysctl": "name! value!",
    "PodOS": "name!:<linux|windows>",
    "PodDNSConfig": "nameservers:[string] options:[PodDNSConfigOption] searches:[string]",
    "PodDNSConfigOption": "name value",
    "HostAlias": "hostnames:[string] ip!",
    "LocalObjectReference": "name!",
    "Affinity": "nodeAffinity:- podAffinity:PodAffinity podAntiAffinity:PodAffinity",
    "PodAffinity": (
        "preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]"
        " requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]"
    ),
    "WeightedPodAffinityTerm": "podAffinityTerm!:PodAffinityTerm weight!:int32",
    "PodAffinityTerm": (
        "labelSelector:LabelSelector matchLabelKeys:[string] mismatchLabelKeys:[string]"
        " namespaceSelector:- namespaces:- topologyKey!"
    ),
    "TopologySpreadConstraint": (
        "labelSelector:LabelSelector matchLabelKeys:[string] maxSkew!:int32 minDomains:int32"
        " nodeAffinityPolicy:<Honor|Ignore> nodeTaintsPolicy:<Honor|Ignore> topologyKey!"
        " whenUnsatisfiable!:<DoNotSchedule|ScheduleAnyway>"
    ),
    # Containers
    "Container": (
        "args:[string] command:[string] env:[EnvVar]@name envFrom:[EnvFromSource] image!"
        " imagePullPolicy:<Always|IfNotPresent|Never> lifecycle:Lifecycle livenessProbe:Probe"
        " name! ports:[ContainerPort]@containerPort,protocol readinessProbe:Probe resizePolicy:-"
        " resources:ResourceRequirements restartPolicy restartPolicyRules:-"
        " securityContext:SecurityContext startupProbe:Probe stdin:bool stdinOnce:bool"
        " terminationMessagePath terminationMessagePolicy:<File|FallbackToLogsOnError> tty:bool"
        " volumeDevices:- volumeMounts:[VolumeMount]@mountPath workingDir"
    ),
    "EnvVar": "name! value valueFrom:EnvVarSource",
    "EnvVarSource": (
        "configMapKeyRef:KeySelector fieldRef:ObjectFieldSelector fileKeyRef:any"
        " resourceFieldRef:ResourceFieldSelector secretKeyRef:KeySelector"
    ),
    "KeySelector": "key! name! optional:bool",
    "ObjectFieldSelector": "apiVersion fieldPath!",
    "ResourceFieldSelector": "containerName divisor:quantity resource!",
    "EnvFromSource": "configMapRef:EnvSource prefix secretRef:EnvSource",
    "EnvSource": "name! optional:bool",
    "Lifecycle": "postStart:LifecycleHandler preStop:LifecycleHandler stopSignal:-",
    "LifecycleHandler": f"{_HANDLERS} sleep:SleepAction",
    "ExecAction": "command:[string]",
    "HTTPGetAction": "host:- httpHeaders:[HTTPHeader] path port!:port scheme:<HTTP|HTTPS>",
    "HTTPHeader": "name! value!",
    "SleepAction": "seconds!:int64",
    "TCPSocketAction": "host:- port!:port",
    "Probe": (
        f"{_HANDLERS} failureThreshold:int32 grpc:GRPCAction initialDelaySeconds:int32"
        " periodSeconds:int32 successThreshold:int32 terminationGracePeriodSeconds:int64"
        " timeoutSeconds:int32"
    ),
    "GRPCAction": "port!:int32 service",
    "ContainerPort": ("containerPort!:int32 hostIP:- hostPort:- name protocol:<TCP|UDP|SCTP>"),
    "ResourceRequirements": "claims:- limits:{quantity} requests:{quantity}",
    "SecurityContext": (
        f"{_SECURITY} allowPrivilegeEscalation:bool capabilities:Capabilities privileged:bool"
        " procMount:<Default|Unmasked> readOnlyRootFilesystem:bool"
    ),
    "Capabilities": "add:[string] drop:[string]",
    "VolumeMount": (
        "mountPath! mountPropagation:<None|HostToContainer|Bidirectional> name! readOnly:bool"
        " recursiveReadOnly:<Disabled|IfPossible|Enabled> subPath subPathExpr"
    ),
    # Volumes
    "Volume": (
        "awsElasticBlockStore:any azureDisk:any azureFile:any cephfs:any cinder:any"
        " configMap:ConfigMapVolumeSource csi:any downwardAPI:DownwardAPIVolumeSource"
        " emptyDir:EmptyDirVolumeSource ephemeral:any fc:any flexVolume:any flocker:any"
        " gcePersistentDisk:any gitRepo:any glusterfs:any hostPath:any image:any iscsi:any name!"
        " nfs:any persistentVolumeClaim:any photonPersistentDisk:any portworxVolume:any"
        " projected:ProjectedVolumeSource quobyte:any rbd:any scaleIO:any"
        " secret:SecretVolumeSource storageos:any vsphereVolume:any"
    ),
    "ConfigMapVolumeSource": "defaultMode:mode items:[KeyToPath] name! optional:bool",
    "SecretVolumeSource": "defaultMode:mode items:[KeyToPath] optional:bool secretName!",
    "KeyToPath": "key! mode:mode path!",
    "DownwardAPIVolumeSource": "defaultMode:mode items:[DownwardAPIVolumeFile]",
    "DownwardAPIVolumeFile": (
        "fieldRef:ObjectFieldSelector mode:mode path! resourceFieldRef:ResourceFieldSelector"
    ),
    "EmptyDirVolumeSource": "medium sizeLimit:quantity",
    "ProjectedVolumeSource": "defaultMode:mode sources:[VolumeProjection]",
    "VolumeProjection": (
        "clusterTrustBundle:any configMap:NamedProjection downwardAPI:DownwardAPIProjection"
        " podCertificate:any secret:NamedProjection serviceAccountToken:any"
    ),
    "NamedProjection": "items:[KeyToPath] name! optional:bool",
    "DownwardAPIProjection": "items:[DownwardAPIVolumeFile]",
}
