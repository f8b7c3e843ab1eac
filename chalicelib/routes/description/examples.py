"""Real answers, by the name of the view. tests/api/test_examples.py collects and compares them."""

from typing import Any, Final

EXAMPLES: Final[dict[str, Any]] = {
    "health": {"answers": {"200": {"ok": True}}},
    "create_friend": {
        "answers": {
            "201": {
                "ok": True,
                "id": "alice",
                "display_name": "Alice",
                "discord_id": "123456789012345678",
                "signal": None,
                "whatsapp": None,
                "preferred_channel": None,
                "namespace": "friend-alice",
                "phase": "ready",
                "cluster": "main",
            },
            "202": {
                "ok": True,
                "id": "bob",
                "display_name": "Bob",
                "discord_id": None,
                "signal": None,
                "whatsapp": None,
                "preferred_channel": None,
                "namespace": "friend-bob",
                "phase": "provisioning",
                "cluster": "main",
                "pending": [
                    {
                        "part": "namespace",
                        "error": "The cluster cannot be reached. Try again.",
                        "code": "cluster_unreachable",
                    }
                ],
            },
        },
        "request": {"id": "alice", "display_name": "Alice", "discord_id": "123456789012345678"},
    },
    "list_friends": {
        "answers": {
            "200": [
                {
                    "id": "alice",
                    "display_name": "Alice",
                    "discord_id": "123456789012345678",
                    "signal": None,
                    "whatsapp": None,
                    "preferred_channel": None,
                    "namespace": "friend-alice",
                    "phase": "ready",
                    "cluster": "main",
                }
            ]
        }
    },
    "update_friend": {
        "answers": {
            "200": {
                "ok": True,
                "id": "alice",
                "display_name": "Al",
                "discord_id": "123456789012345678",
                "signal": None,
                "whatsapp": None,
                "preferred_channel": "discord",
                "namespace": "friend-alice",
                "phase": "ready",
                "cluster": "main",
            },
            "202": {
                "ok": True,
                "id": "alice",
                "display_name": "Alice",
                "discord_id": "123456789012345678",
                "signal": None,
                "whatsapp": None,
                "preferred_channel": "discord",
                "namespace": "friend-alice",
                "phase": "ready",
                "cluster": "main",
                "pending": [
                    {
                        "part": "profile",
                        "error": "S3 refused a request of the API. "
                        "Ask an admin to look at its "
                        "logs.",
                        "code": "s3_failed",
                    }
                ],
            },
        },
        "request": {"display_name": "Al", "preferred_channel": "discord"},
    },
    "put_friendship": {
        "answers": {
            "200": {
                "ok": True,
                "agent_id": "mochi",
                "friend_id": "alice",
                "status": "active",
                "created_at": "2026-11-25T18:18:21.677794Z",
            }
        },
        "request": {"status": "active"},
    },
    "provision": {
        "answers": {
            "200": {
                "ok": True,
                "namespace": "friend-alice",
                "objects": [
                    {"kind": "Namespace", "name": "friend-alice", "result": "unchanged"},
                    {"kind": "RoleBinding", "name": "friend-manager", "result": "unchanged"},
                    {"kind": "ResourceQuota", "name": "friend-quota", "result": "unchanged"},
                    {"kind": "LimitRange", "name": "friend-limits", "result": "unchanged"},
                    {"kind": "NetworkPolicy", "name": "friend-netpol", "result": "unchanged"},
                    {"kind": "ServiceAccount", "name": "default", "result": "unchanged"},
                ],
            }
        }
    },
    "apply": {
        "answers": {
            "200": {
                "ok": True,
                "operation": {
                    "id": "1a213ee1c6d-00000001",
                    "type": "apply",
                    "status": "succeeded",
                    "progress": {"done": 1, "total": 1},
                    "results": [
                        {
                            "kind": "Deployment",
                            "name": "web",
                            "status": "applied",
                            "change": "created",
                            "generation": 1,
                        }
                    ],
                    "created_at": "2026-11-25T18:18:22.972869Z",
                    "finished_at": "2026-11-25T18:18:23.069572Z",
                    "requested_by": "agent:mochi",
                    "url": "/api/friends/alice/operations/1a213ee1c6d-00000001",
                },
                "results": [
                    {
                        "kind": "Deployment",
                        "name": "web",
                        "status": "applied",
                        "change": "created",
                        "generation": 1,
                    }
                ],
            },
            "202": {
                "ok": True,
                "operation": {
                    "id": "1a213ee1c6d-00000002",
                    "type": "apply",
                    "status": "pending",
                    "progress": {"done": 0, "total": 1},
                    "results": [],
                    "created_at": "2026-11-25T18:18:23.343615Z",
                    "finished_at": None,
                    "requested_by": "agent:mochi",
                    "url": "/api/friends/alice/operations/1a213ee1c6d-00000002",
                },
            },
        },
        "request": {
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {
                        "containers": [
                            {"name": "web", "image": "ghcr.io/nginxinc/nginx-unprivileged:1.27"}
                        ]
                    },
                },
            },
        },
    },
    "get_operation": {
        "answers": {
            "200": {
                "id": "1a213ee1c6d-00000002",
                "type": "apply",
                "status": "succeeded",
                "progress": {"done": 1, "total": 1},
                "results": [
                    {
                        "kind": "Deployment",
                        "name": "web",
                        "status": "applied",
                        "change": "unchanged",
                        "generation": 1,
                        "ready": True,
                    }
                ],
                "created_at": "2026-11-25T18:18:23.343615Z",
                "finished_at": "2026-11-25T18:18:23.709272Z",
                "requested_by": "agent:mochi",
                "url": "/api/friends/alice/operations/1a213ee1c6d-00000002",
            }
        }
    },
    "list_operations": {
        "answers": {
            "200": [
                {
                    "id": "1a213ee1c6d-00000002",
                    "type": "apply",
                    "status": "succeeded",
                    "progress": {"done": 1, "total": 1},
                    "results": [
                        {
                            "kind": "Deployment",
                            "name": "web",
                            "status": "applied",
                            "change": "unchanged",
                            "generation": 1,
                            "ready": True,
                        }
                    ],
                    "created_at": "2026-11-25T18:18:23.343615Z",
                    "finished_at": "2026-11-25T18:18:23.709272Z",
                    "requested_by": "agent:mochi",
                    "url": "/api/friends/alice/operations/1a213ee1c6d-00000002",
                }
            ]
        }
    },
    "expose": {
        "answers": {
            "200": {
                "ok": True,
                "name": "my-app",
                "hostname": "my-app-alice.friends.example",
                "url": "https://my-app-alice.friends.example",
                "service": "web",
                "port": 80,
                "domain": "friends.example",
                "created_at": "2026-11-25T18:18:25.089549Z",
                "checks": [
                    {"check": "record", "ok": True},
                    {"check": "route", "ok": True},
                    {"check": "service", "ok": True},
                    {"check": "endpoints", "ok": True},
                    {"check": "policy", "ok": True},
                ],
            }
        },
        "request": {"name": "my-app", "service": "web"},
    },
    "list_exposures": {
        "answers": {
            "200": [
                {
                    "name": "my-app",
                    "hostname": "my-app-alice.friends.example",
                    "url": "https://my-app-alice.friends.example",
                    "service": "web",
                    "port": 80,
                    "domain": "friends.example",
                    "created_at": "2026-11-25T18:18:25.089549Z",
                    "checks": [
                        {"check": "record", "ok": True},
                        {"check": "route", "ok": True},
                        {"check": "service", "ok": True},
                        {"check": "endpoints", "ok": True},
                        {"check": "policy", "ok": True},
                    ],
                }
            ]
        }
    },
    "list_domains": {"answers": {"200": [{"name": "friends.example"}]}},
    "get_friend": {
        "answers": {
            "200": {
                "id": "alice",
                "display_name": "Al",
                "discord_id": "123456789012345678",
                "signal": None,
                "whatsapp": None,
                "preferred_channel": "discord",
                "namespace": "friend-alice",
                "phase": "ready",
                "cluster": "main",
                "profile": {
                    "id": "alice",
                    "display_name": "Al",
                    "discord_id": "123456789012345678",
                    "signal": None,
                    "whatsapp": None,
                    "preferred_channel": "discord",
                    "namespace": "friend-alice",
                    "created_at": "2026-11-25T18:18:21.677794Z",
                    "updated_at": "2026-11-25T18:18:22.586836Z",
                },
                "friendships": [
                    {
                        "agent_id": "mochi",
                        "friend_id": "alice",
                        "status": "active",
                        "created_at": "2026-11-25T18:18:21.677794Z",
                    }
                ],
                "exposures": [
                    {
                        "name": "my-app",
                        "hostname": "my-app-alice.friends.example",
                        "url": "https://my-app-alice.friends.example",
                        "service": "web",
                        "port": 80,
                        "domain": "friends.example",
                        "created_at": "2026-11-25T18:18:25.089549Z",
                    }
                ],
            }
        }
    },
    "list_secrets": {"answers": {"200": []}},
    "list_pods": {
        "answers": {
            "200": [
                {
                    "name": "web-pccp6fg-s87v2",
                    "status": "Running",
                    "ready": True,
                    "restarts": 0,
                    "image": "ghcr.io/nginxinc/nginx-unprivileged:1.27",
                    "age": "2026-11-25T18:18:23Z",
                    "reason": None,
                    "containers": [
                        {
                            "name": "web",
                            "image": "ghcr.io/nginxinc/nginx-unprivileged:1.27",
                            "ready": True,
                            "restarts": 0,
                            "state": "running",
                            "reason": None,
                        }
                    ],
                }
            ]
        }
    },
    "status": {
        "answers": {
            "200": {
                "pods": [
                    {
                        "name": "web-pccp6fg-s87v2",
                        "status": "Running",
                        "ready": True,
                        "restarts": 0,
                        "image": "ghcr.io/nginxinc/nginx-unprivileged:1.27",
                        "age": "2026-11-25T18:18:23Z",
                        "reason": None,
                        "containers": [
                            {
                                "name": "web",
                                "image": "ghcr.io/nginxinc/nginx-unprivileged:1.27",
                                "ready": True,
                                "restarts": 0,
                                "state": "running",
                                "reason": None,
                            }
                        ],
                    }
                ],
                "services": [
                    {
                        "name": "web",
                        "type": "ClusterIP",
                        "clusterIP": "10.96.0.11",
                        "ports": [
                            {"name": None, "port": 80, "targetPort": 8080, "protocol": "TCP"}
                        ],
                    }
                ],
                "deployments": [
                    {
                        "name": "web",
                        "replicas": "1/1",
                        "image": "ghcr.io/nginxinc/nginx-unprivileged:1.27",
                        "age": "2026-11-25T18:18:23Z",
                    }
                ],
                "quota": {
                    "hard": {
                        "requests.cpu": "500m",
                        "requests.memory": "512Mi",
                        "limits.cpu": "500m",
                        "limits.memory": "512Mi",
                        "pods": "3",
                        "persistentvolumeclaims": "2",
                        "count/configmaps": "20",
                        "count/cronjobs.batch": "5",
                        "count/deployments.apps": "10",
                        "count/jobs.batch": "20",
                        "count/replicasets.apps": "110",
                        "count/secrets": "20",
                        "count/services": "10",
                        "services.loadbalancers": "0",
                        "services.nodeports": "0",
                    },
                    "used": {
                        "requests.cpu": "50m",
                        "requests.memory": "32Mi",
                        "limits.cpu": "100m",
                        "limits.memory": "64Mi",
                        "pods": "1",
                        "persistentvolumeclaims": "0",
                        "count/configmaps": "1",
                        "count/cronjobs.batch": "0",
                        "count/deployments.apps": "1",
                        "count/jobs.batch": "0",
                        "count/replicasets.apps": "1",
                        "count/secrets": "0",
                        "count/services": "1",
                        "services.loadbalancers": "0",
                        "services.nodeports": "0",
                    },
                },
                "ingressRoutes": [
                    {
                        "name": "expose-my-app",
                        "hostname": "my-app-alice.friends.example",
                        "service": "web",
                        "problem": None,
                    }
                ],
                "jobs": [],
                "cronjobs": [],
                "events": [],
            }
        }
    },
    "read_log": {
        "answers": {
            "200": {
                "pod": "web-pccp6fg-s87v2",
                "container": "web",
                "tail": 2,
                "logs": "2026-11-25T18:18:24Z line 599 from "
                "web-pccp6fg-s87v2/web\n"
                "2026-11-25T18:18:25Z line 600 from "
                "web-pccp6fg-s87v2/web\n",
            }
        }
    },
    "unexpose": {"answers": {"200": {"ok": True}}},
    "delete_deployment": {"answers": {"200": {"ok": True}}},
    "delete_friendship": {"answers": {"200": {"ok": True}}},
    "errors": {
        "answers": {
            "400": {
                "error": "id must be 1 to 40 lower-case letters, digits and "
                "hyphens, and start and end with a letter or digit.",
                "code": "invalid_input",
                "details": [
                    {
                        "path": "/id",
                        "message": "id must be 1 to 40 lower-case "
                        "letters, digits and hyphens, and "
                        "start and end with a letter or "
                        "digit.",
                    }
                ],
                "request_id": "e727f7f8-ad15-4091-a751-d7ac02d65dbd",
            },
            "401": {
                "error": "Send one header, Authorization: Bearer <token>, with "
                "a token as it was minted.",
                "code": "unauthenticated",
                "details": [],
                "request_id": "97c1492b-fdb0-46a5-934d-117b36cdc324",
            },
            "403": {
                "error": "This agent may not act for this friend. Ask an admin "
                "to change the relationship.",
                "code": "relationship_required",
                "details": [],
                "request_id": "eab7656a-2b57-496a-b381-5c885d460dca",
            },
            "404": {
                "error": "There is no pod with this name. GET "
                "/api/friends/<id>/namespace/pods lists them.",
                "code": "pod_not_found",
                "details": [],
                "request_id": "bfc14443-eeda-4c11-b4eb-33a782475a83",
            },
            "409": {
                "error": "Taken by another friend: id. Send another, or change that friend.",
                "code": "id_taken",
                "details": [{"path": "/id", "message": "This id belongs to another friend."}],
                "request_id": "c25b2543-22c1-4932-a30c-c52b0ac753ea",
            },
            "412": {
                "error": "The friend has changed since this ETag was given. "
                "Read it again, then decide.",
                "code": "precondition_failed",
                "details": [],
                "request_id": "26d513db-3fe5-4ded-8859-6a89d6456ba8",
            },
            "415": {
                "error": "Send the body as Content-Type: application/json, in UTF-8.",
                "code": "unsupported_media_type",
                "details": [],
                "request_id": "ed3b8ead-9bbd-4ae0-9a87-8958d567f947",
            },
            "413": {
                "error": "The body may be at most 256 KiB.",
                "code": "body_too_large",
                "details": [],
                "request_id": "03c62723-10c1-4885-80b1-97b6714c470e",
            },
            "422": {
                "error": "The request has 4 faults: apply the fixes in "
                "details, or correct them, and send it again. Nothing "
                "was applied.",
                "code": "manifest_refused",
                "details": [
                    {
                        "path": "/spec/template/spec/securityContext/runAsNonRoot",
                        "message": "runAsNonRoot must be true, for the "
                        "pod or for each of its containers.",
                        "fix": [
                            {
                                "op": "add",
                                "path": "/spec/template/spec/securityContext",
                                "value": {
                                    "runAsNonRoot": True,
                                    "seccompProfile": {"type": "RuntimeDefault"},
                                },
                            }
                        ],
                    },
                    {
                        "path": "/spec/template/spec/securityContext/seccompProfile",
                        "message": "seccompProfile.type must be "
                        "RuntimeDefault or Localhost, for the "
                        "pod or for each of its containers.",
                        "fix": [
                            {
                                "op": "add",
                                "path": "/spec/template/spec/securityContext",
                                "value": {
                                    "runAsNonRoot": True,
                                    "seccompProfile": {"type": "RuntimeDefault"},
                                },
                            }
                        ],
                    },
                    {
                        "path": "/spec/template/spec/containers/0/securityContext/allowPrivilegeEscalation",
                        "message": "allowPrivilegeEscalation must be false.",
                        "fix": [
                            {
                                "op": "add",
                                "path": "/spec/template/spec/containers/0/securityContext",
                                "value": {
                                    "allowPrivilegeEscalation": False,
                                    "capabilities": {"drop": ["ALL"]},
                                },
                            }
                        ],
                    },
                    {
                        "path": "/spec/template/spec/containers/0/securityContext/capabilities",
                        "message": 'capabilities.drop must be ["ALL"].',
                        "fix": [
                            {
                                "op": "add",
                                "path": "/spec/template/spec/containers/0/securityContext",
                                "value": {
                                    "allowPrivilegeEscalation": False,
                                    "capabilities": {"drop": ["ALL"]},
                                },
                            }
                        ],
                    },
                ],
                "request_id": "74e2017c-42a7-46ec-be26-f67320218a20",
            },
            "504": {
                "error": "The request ran out of time; what it recorded is kept. Try again.",
                "code": "out_of_time",
                "details": [],
                "request_id": "e61f4811-a760-451a-9337-be9cf8805a5d",
            },
            "502": {
                "error": "The cluster does not permit the API to do this. Ask "
                "an admin to check its roles.",
                "code": "cluster_forbidden",
                "details": [],
                "request_id": "a84fd88f-7f4f-4d4e-b3bb-b005a99abdbf",
            },
            "503": {
                "error": "The cluster cannot be reached. Try again.",
                "code": "cluster_unreachable",
                "details": [],
                "request_id": "22d50ad3-03bd-47ce-a284-3601b69df289",
            },
        }
    },
    "delete_friend": {
        "answers": {
            "202": {
                "ok": True,
                "operation": {
                    "id": "1a213ee1c6d-00000004",
                    "type": "delete",
                    "status": "pending",
                    "progress": {"done": 0, "total": 4},
                    "results": [],
                    "created_at": "2026-11-25T18:18:30.674905Z",
                    "finished_at": None,
                    "requested_by": "agent:mochi",
                    "url": "/api/friends/alice/operations/1a213ee1c6d-00000004",
                },
            }
        }
    },
}
