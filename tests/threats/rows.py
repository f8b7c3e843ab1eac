"""What is tried against the API, and what it answers: one row each, by an id that never changes.

A test proves a row by bearing its id in its name (naming.py). docs/threats.md shows them all.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Row:
    """One thing that is tried, and what comes of it; both may link, as seen from docs/."""

    id: str
    tried: str
    answer: str


SECTIONS: Final = {
    "A": "The body of an apply",
    "B": "A pod's spec, in every workload, in containers and init containers",
    "C": "Each kind of manifest",
    "D": "The wire",
    "E": "Paths and parameters",
    "F": "Secrets and leaks",
    "G": "Names on the web",
    "H": "Ids",
    "I": "Who gets in",
    "J": "The stored kubeconfig",
    "K": "Asynchronous work",
    "L": "Parts that fail",
}

_D02: Final = "[decision 2](decisions/0002-what-belongs-to-whom-in-the-cluster.md)"
_D05: Final = "[decision 5](decisions/0005-unknown-parameters-are-refused.md)"
_D08: Final = "[decision 8](decisions/0008-operations-run-in-line-under-a-lease.md)"
_D09: Final = "[decision 9](decisions/0009-admission-is-stricter-than-the-cluster.md)"
_D10: Final = "[decision 10](decisions/0010-a-host-name-has-one-owner-and-one-worker.md)"
_D11: Final = "[decision 11](decisions/0011-a-deletion-is-a-friends-last-operation.md)"
_D12: Final = "[decision 12](decisions/0012-a-pass-is-lists-and-a-second-look.md)"

_A: Final = (
    Row("A01", "another namespace, an empty one, null", "422; ours is always the one that is sent"),
    Row("A02", "an apiVersion that is not the kind's own", "422"),
    Row("A03", "a kind in other letters: case, blanks, full width", "422"),
    Row("A04", "a List, a DeploymentList, an array in the array", "422"),
    Row("A05", "a Pod, Secret, RoleBinding, IngressRoute, NetworkPolicy, any other kind", "422"),
    Row("A06", "generateName, with a name or without", "422"),
    Row("A07", "finalizers, on the object or the template", "422"),
    Row("A08", "ownerReferences", "422"),
    Row(
        "A09",
        "what the server sets: status, uid, managedFields, resourceVersion, ...",
        f"422, never dropped in silence ({_D09})",
    ),
    Row(
        "A10",
        "annotations that steer controllers: DNS, certificates, ingress, meshes, deployers",
        "422: annotations go by an allowlist",
    ),
    Row(
        "A11", "labels of ours, of the system, of Kubernetes' controllers", "422, in templates too"
    ),
    Row("A12", "a selector by a reserved label, or one that misses its own pods", "422"),
    Row(
        "A13",
        "the name of an object of the provisioner's; a field that somebody else manages",
        f"422; nothing is taken by force ({_D02})",
    ),
    Row("A14", "another selector on a Deployment that is there", "422 with the cluster's reason"),
    Row("A15", "a field that Kubernetes does not have", "422 with the nearest one that it has"),
    Row(
        "A16", "wrong types: null, [] or {} out of place, a number as text, true as a number", "422"
    ),
    Row(
        "A17",
        "a template that Pod Security would stop only when its pods start",
        f"422 before anything is sent ({_D09})",
    ),
)

_B: Final = (
    Row("B01", "hostNetwork, hostPID, hostIPC, host ports, hostPath", "422; hostAliases may be"),
    Row("B02", "privileged, privilege escalation, capabilities", "422, absence too"),
    Row(
        "B03",
        "procMount, sysctls, seccomp, AppArmor (field and annotation), SELinux",
        "422 for what the restricted standard forbids",
    ),
    Row("B04", "root: user 0, runAsNonRoot false or absent, group 0 beside", "422"),
    Row("B05", "Windows, which would relax the standard", "422"),
    Row("B06", "a probe or hook that makes the kubelet ask another host", "422"),
    Row(
        "B07",
        "another service account, its token, projected tokens and certificates",
        f"422; pods are sent without a token ({_D09})",
    ),
    Row("B08", "where a pod runs: nodes, tolerations, priority, runtime, scheduler, gates", "422"),
    Row("B09", "affinity to other namespaces", "422"),
    Row("B10", "a pod that takes more than five minutes to end", "422"),
    Row("B11", "volumes: csi, ephemeral, claims, images, nfs, memory without a limit", "422"),
    Row("B12", "ephemeral containers, a shared process namespace, hostUsers", "422"),
    Row("B13", "a volume or variable from a Secret of ours", "422"),
    Row(
        "B14",
        "resources: absent, too many, negative, NaN, 1e3",
        "422; what is absent, the LimitRange fills",
    ),
)

_C: Final = (
    Row("C01", "a Service of type NodePort, LoadBalancer, ExternalName", "422"),
    Row("C02", "externalIPs and all else by which a Service reaches further", "422"),
    Row("C03", "a Service without a selector", "422"),
    Row("C04", "a ConfigMap of the cluster's, an immutable, too large or garbled one", "422"),
    Row("C05", "a Job without end, without bounds, of another controller", "422"),
    Row("C06", "a CronJob every minute, with a zone in its schedule, that piles up", "422"),
    Row("C07", "a million replicas, a billion revisions, -1", "422"),
)

_D: Final = (
    Row("D01", "a body over 256 KiB", "413"),
    Row("D02", "a hundred thousand [", "400"),
    Row("D03", "NaN, Infinity, 1e999, a number of 5,000 digits", "400"),
    Row("D04", "a key twice", "400"),
    Row("D05", "lone surrogates, NUL, a byte order mark, bad UTF-8, UTF-16", "400"),
    Row("D06", "another or no Content-Type; a body that is no object", "415; 400"),
    Row("D07", "YAML", "415"),
    Row("D08", "a compressed body", "415"),
    Row("D09", "an unknown method or path", "405 here; 404 by API Gateway, which has all routes"),
)

_E: Final = (
    Row(
        "E01",
        "ids and names in the path: dots, slashes, NUL, look-alikes; encoded and decoded",
        "400, and nothing is called",
    ),
    Row(
        "E02",
        "tail: -1, 0, NaN, other digits, twice",
        "400; over 500 is 500, and bytes are bounded",
    ),
    Row(
        "E03",
        "follow, a container with more parameters in it, unknown parameters",
        f"400 ({_D05}); a log is never followed",
    ),
    Row("E04", "a cursor that is made up, or of another friend", "400; nobody else's rows"),
)

_F: Final = (
    Row("F01", "secrets: values, annotations", "names, types, keys and dates alone"),
    Row("F02", "pods: environment, arguments, annotations", "none of them"),
    Row(
        "F03", "what the cluster, Cloudflare or AWS write into an error", "a code and words of ours"
    ),
    Row("F04", "a kubeconfig whose parse error would quote the token", "our words"),
    Row("F05", "tokens, events and kubeconfigs in the log, at DEBUG", "none of them"),
    Row("F06", "a log that a browser takes for a page", "text/plain or JSON, nosniff, no-store"),
    Row("F07", "a bug's traceback", "a plain 500"),
)

_G: Final = (
    Row("G01", "two friends whose names spell one host", f"409 for the second ({_D10})"),
    Row("G02", "names that are no label: too long, xn--, hyphens at an end, *, @", "400"),
    Row("G03", "a domain that is not configured, or written otherwise", "400"),
    Row("G04", "a port that is none, or not the Service's", "400; 404"),
    Row("G05", "a Service that is absent, elsewhere or of Traefik's own", "404; 400"),
    Row("G06", "a router's rule in a name", "400; a rule is made of checked labels alone"),
    Row("G07", "a host whose DNS record is not ours", "409, and the record stays as it is"),
    Row("G08", "Cloudflare says that the record is there already", "looked at again; ours or 409"),
    Row("G09", "expose against expose, removal and the friend's end", "one winner, one record"),
    Row("G10", "a Service or friend that goes", "record, route, claim, in this order; a pause"),
    Row("G11", "a Service that turns into an ExternalName", "409; never routed to"),
    Row("G12", "two records of one name, from a race", "one is kept"),
)

_H: Final = (
    Row("H01", "reserved ids", "400"),
    Row("H02", "ids in other letters, look-alikes, too long", "400"),
    Row("H03", "a namespace of the name that is not ours", f"409, never adopted ({_D02})"),
    Row("H04", "one registration twice, or at once; one key for two bodies", "one 201, 409; 422"),
    Row("H05", "the id of a friend whose namespace is terminating", f"409, Retry-After ({_D11})"),
    Row("H06", "the id of a friend who is gone", "nothing is inherited"),
)

_I: Final = (
    Row("I01", "no token, Basic, bearer, blanks, two headers, 8 KB", "401"),
    Row("I02", "a token that is not ASCII; a clock on the comparison", "401; all are compared"),
    Row("I03", "a token in the query, the body, a cookie", "401"),
    Row(
        "I04",
        "an agent where it may not; a route that nobody thought of",
        f"403; every route is in the matrix. Agents may create and delete friends ({_D11})",
    ),
    Row("I05", "a token that is rotated or revoked", "both work; 401 within a minute"),
    Row("I06", "no tokens, empty ones, placeholders", "nobody gets in"),
    Row(
        "I07",
        "guessing tokens",
        "no call upstream for each; 429 by the instance, and by API Gateway",
    ),
    Row("I08", "what exists, without a token", "401 before 400 and 404"),
)

_J_ANSWER: Final = "502 `cluster_misconfigured`, and it is never used"
_J: Final = (
    Row("J01", "exec, auth-provider", f"{_J_ANSWER}; no program is started"),
    Row("J02", "paths of files: token, certificate, authority", _J_ANSWER),
    Row("J03", "no TLS, TLS unverified, a proxy, another server's name", _J_ANSWER),
    Row(
        "J04",
        "a server at a metadata or loopback address, however it is spelled; a redirect",
        f"{_J_ANSWER}; a redirect is not followed",
    ),
    Row("J05", "impersonation", _J_ANSWER),
    Row("J06", "several contexts or none, 64 KiB, aliases, a key twice", _J_ANSWER),
    Row("J07", "a client key", "no file is left"),
    Row("J08", "credentials that the cluster refuses", "read again once, then 502 `cluster_auth`"),
)

_K: Final = (
    Row("K01", "an event two to five times, also at once", "one set of effects"),
    Row("K02", "events in any order", f"the newest apply is what is there ({_D08})"),
    Row(
        "K03",
        "an operation that always fails, or kills its runner",
        "failed in the end; blocks nobody",
    ),
    Row("K04", "an apply larger than an event may be", "413, or an event of two ids"),
    Row("K05", "an event made by hand", "validated as a request is"),
    Row("K06", "an event that is lost", "made up for by the next one, or one pass"),
    Row("K07", "a worker that dies midway", "its lease ends, and another goes on"),
    Row("K08", "an apply behind which its friend is deleted", f"not applied any more ({_D11})"),
)

_WHOLE: Final = "a repeat or a pass makes it whole; nothing is left over"
_L: Final = (
    Row("L01", "the namespace is made, the row is not updated", _WHOLE),
    Row("L02", "the row is there, the namespace failed", _WHOLE),
    Row("L03", "the DNS record is made, the route failed", _WHOLE),
    Row("L04", "the route is made, the claim is lost", _WHOLE),
    Row("L05", "the profile is written, the row is not updated (we make no Secrets)", _WHOLE),
    Row("L06", "a write whose answer is lost", "it is looked for, or made again"),
    Row("L07", "Cloudflare: 429, 5xx, HTML, 200 without success", "tried again, or 502, 503"),
    Row("L08", "the API server: 4xx, 5xx, a shape of its own, terminating", "409, 422, 502, 503"),
    Row(
        "L09", "DynamoDB: throttled, a condition, a transaction in conflict", "tried again, or 503"
    ),
    Row(
        "L10",
        "a secret that is missing, on its way out, or rotated",
        "a clear 502; the current one",
    ),
    Row("L11", "a pass that cannot read, or would delete many", f"deletes nothing ({_D12})"),
    Row(
        "L12", "a pass and a request at once", "the older one yields; a second pass writes nothing"
    ),
)

ROWS: Final = (*_A, *_B, *_C, *_D, *_E, *_F, *_G, *_H, *_I, *_J, *_K, *_L)
