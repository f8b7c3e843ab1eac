"""Real answers, by the name of the view. tests/api/test_examples.py collects and compares them."""

from typing import Any, Final

EXAMPLES: Final[dict[str, Any]] = {
    "health": {
        "answers": {
            "200": {"ok": True, "status": "healthy", "timestamp": "2026-11-27T01:06:02.834011Z"}
        }
    },
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
                "created_at": "2026-11-27T13:19:39.895660Z",
            }
        },
        "request": {"status": "active"},
    },
    "list_friendships": {
        "answers": {
            "200": [
                {
                    "agent_id": "mochi",
                    "friend_id": "alice",
                    "status": "active",
                    "created_at": "2026-11-27T13:19:39.895660Z",
                }
            ]
        }
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
                    "id": "1a21d295d77-00000001",
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
                    "created_at": "2026-11-27T13:19:40.961331Z",
                    "finished_at": "2026-11-27T13:19:41.001624Z",
                    "requested_by": "agent:mochi",
                    "url": "/api/friends/alice/operations/1a21d295d77-00000001",
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
                    "id": "1a21d295d77-00000002",
                    "type": "apply",
                    "status": "pending",
                    "progress": {"done": 0, "total": 1},
                    "results": [],
                    "created_at": "2026-11-27T13:19:41.052651Z",
                    "finished_at": None,
                    "requested_by": "agent:mochi",
                    "url": "/api/friends/alice/operations/1a21d295d77-00000002",
                },
                "results": [],
            },
        },
        "request": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {
                        "automountServiceAccountToken": False,
                        "securityContext": {
                            "runAsNonRoot": True,
                            "seccompProfile": {"type": "RuntimeDefault"},
                        },
                        "containers": [
                            {
                                "name": "web",
                                "image": "ghcr.io/friends/web:1.4.2",
                                "securityContext": {
                                    "allowPrivilegeEscalation": False,
                                    "capabilities": {"drop": ["ALL"]},
                                },
                                "resources": {
                                    "requests": {"cpu": "10m", "memory": "16Mi"},
                                    "limits": {"cpu": "50m", "memory": "32Mi"},
                                },
                            }
                        ],
                    },
                },
            },
        },
    },
    "get_operation": {
        "answers": {
            "200": {
                "id": "1a21d295d77-00000002",
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
                "created_at": "2026-11-27T13:19:41.052651Z",
                "finished_at": "2026-11-27T13:19:41.228191Z",
                "requested_by": "agent:mochi",
                "url": "/api/friends/alice/operations/1a21d295d77-00000002",
            }
        }
    },
    "list_operations": {
        "answers": {
            "200": [
                {
                    "id": "1a21d295d77-00000002",
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
                    "created_at": "2026-11-27T13:19:41.052651Z",
                    "finished_at": "2026-11-27T13:19:41.228191Z",
                    "requested_by": "agent:mochi",
                    "url": "/api/friends/alice/operations/1a21d295d77-00000002",
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
                "created_at": "2026-11-27T13:19:41.405871Z",
                "checks": [
                    {"check": "record", "ok": True},
                    {"check": "route", "ok": True},
                    {"check": "service", "ok": True},
                    {"check": "endpoints", "ok": True},
                    {"check": "policy", "ok": True},
                ],
                "checked_at": "2026-11-27T13:19:41.602317Z",
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
                    "created_at": "2026-11-27T13:19:41.405871Z",
                    "checks": [
                        {"check": "record", "ok": True},
                        {"check": "route", "ok": True},
                        {"check": "service", "ok": True},
                        {"check": "endpoints", "ok": True},
                        {"check": "policy", "ok": True},
                    ],
                    "checked_at": "2026-11-27T13:19:41.602317Z",
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
                    "created_at": "2026-11-27T13:19:39.895660Z",
                    "updated_at": "2026-11-27T13:19:40.498200Z",
                },
                "friendships": [
                    {
                        "agent_id": "mochi",
                        "friend_id": "alice",
                        "status": "active",
                        "created_at": "2026-11-27T13:19:39.895660Z",
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
                        "created_at": "2026-11-27T13:19:41.405871Z",
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
                    "name": "web-5cbkvtm-szdzs",
                    "status": "Running",
                    "ready": True,
                    "restarts": 0,
                    "image": "ghcr.io/friends/web:1.4.2",
                    "age": "2026-11-27T13:19:40Z",
                    "reason": None,
                    "containers": [
                        {
                            "name": "web",
                            "image": "ghcr.io/friends/web:1.4.2",
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
                        "name": "web-5cbkvtm-szdzs",
                        "status": "Running",
                        "ready": True,
                        "restarts": 0,
                        "image": "ghcr.io/friends/web:1.4.2",
                        "age": "2026-11-27T13:19:40Z",
                        "reason": None,
                        "containers": [
                            {
                                "name": "web",
                                "image": "ghcr.io/friends/web:1.4.2",
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
                        "image": "ghcr.io/friends/web:1.4.2",
                        "age": "2026-11-27T13:19:40Z",
                    }
                ],
                "quota": {
                    "hard": {
                        "requests.cpu": "500m",
                        "requests.memory": "512Mi",
                        "limits.cpu": "500m",
                        "limits.memory": "512Mi",
                        "limits.ephemeral-storage": "3Gi",
                        "pods": "3",
                        "persistentvolumeclaims": "2",
                        "count/configmaps": "20",
                        "count/cronjobs.batch": "5",
                        "count/deployments.apps": "10",
                        "count/jobs.batch": "20",
                        "count/pods": "60",
                        "count/replicasets.apps": "110",
                        "count/secrets": "20",
                        "count/services": "10",
                        "services.loadbalancers": "0",
                        "services.nodeports": "0",
                    },
                    "used": {
                        "requests.cpu": "10m",
                        "requests.memory": "16Mi",
                        "limits.cpu": "50m",
                        "limits.memory": "32Mi",
                        "limits.ephemeral-storage": "512Mi",
                        "pods": "1",
                        "persistentvolumeclaims": "0",
                        "count/configmaps": "1",
                        "count/cronjobs.batch": "0",
                        "count/deployments.apps": "1",
                        "count/jobs.batch": "0",
                        "count/pods": "1",
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
                "pod": "web-5cbkvtm-szdzs",
                "container": "web",
                "tail": 2,
                "logs": "2026-11-27T13:19:40Z line 599 from "
                "web-5cbkvtm-szdzs/web\n"
                "2026-11-27T13:19:41Z line 600 from "
                "web-5cbkvtm-szdzs/web\n",
                "truncated": False,
            }
        }
    },
    "unexpose": {"answers": {"200": {"ok": True}}},
    "delete_deployment": {
        "answers": {
            "200": {
                "ok": True,
                "operation": {
                    "id": "1a21d295d77-00000004",
                    "type": "delete_object",
                    "status": "succeeded",
                    "progress": {"done": 1, "total": 1},
                    "results": [{"kind": "Deployment", "name": "web", "status": "deleted"}],
                    "created_at": "2026-11-27T13:19:43.436533Z",
                    "finished_at": "2026-11-27T13:19:43.524397Z",
                    "requested_by": "agent:mochi",
                    "url": "/api/friends/alice/operations/1a21d295d77-00000004",
                },
            },
            "202": {
                "ok": True,
                "operation": {
                    "id": "1a21d295d77-00000006",
                    "type": "delete_object",
                    "status": "pending",
                    "progress": {"done": 0, "total": 1},
                    "results": [],
                    "created_at": "2026-11-27T13:19:43.917019Z",
                    "finished_at": None,
                    "requested_by": "agent:mochi",
                    "url": "/api/friends/alice/operations/1a21d295d77-00000006",
                },
            },
        }
    },
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
                "request_id": "4bbd9536-364f-46ac-a687-2c2f7d399207",
            },
            "401": {
                "error": "Send one header, Authorization: Bearer <token>, with "
                "a token as it was minted.",
                "code": "unauthenticated",
                "details": [],
                "request_id": "df24579c-cf0f-4f0d-80b5-3d0d5c388964",
            },
            "403": {
                "error": "This agent may not act for this friend. Ask an admin "
                "to change the relationship.",
                "code": "relationship_required",
                "details": [],
                "request_id": "f7e56d59-7070-472f-9d07-86ee76440d01",
            },
            "404": {
                "error": "There is no pod with this name. GET "
                "/api/friends/<id>/namespace/pods lists them.",
                "code": "pod_not_found",
                "details": [],
                "request_id": "2f53b53d-5bfb-4080-929c-4c8cd6782807",
            },
            "409": {
                "error": "Taken by another friend: id. Send another, or change that friend.",
                "code": "id_taken",
                "details": [{"path": "/id", "message": "This id belongs to another friend."}],
                "request_id": "3733b299-6f8a-42e2-818f-6553cbdcd41e",
            },
            "412": {
                "error": "The friend has changed since this ETag was given. "
                "Read it again, then decide.",
                "code": "precondition_failed",
                "details": [
                    {
                        "path": "If-Match",
                        "message": "The friend has changed since this "
                        "ETag was given. Read it again, then "
                        "decide.",
                    }
                ],
                "request_id": "444f2577-ed65-438b-a60f-6b7090da31bf",
            },
            "415": {
                "error": "Send the body as Content-Type: application/json, in UTF-8.",
                "code": "unsupported_media_type",
                "details": [],
                "request_id": "5384d532-d672-4899-818c-271cb6047130",
            },
            "413": {
                "error": "The body may be at most 256 KiB.",
                "code": "body_too_large",
                "details": [],
                "request_id": "3b7e0b8d-06dd-4aea-b576-dac963ece37e",
            },
            "422": {
                "error": "The request has 2 faults: apply the fixes in "
                "details, or correct them, and send it again. Nothing "
                "was applied.",
                "code": "manifest_refused",
                "details": [
                    {
                        "path": "/spec/replicas",
                        "message": "replicas must be a whole number from 0 to 100.",
                        "fix": [{"op": "add", "path": "/spec/replicas", "value": 100}],
                    },
                    {
                        "path": "/spec/replicas",
                        "message": "replicas must be at most 3: the "
                        "friend's quota (3 pods, 500m CPU, "
                        "512Mi of memory and 3Gi of ephemeral "
                        "storage) has no room for more.",
                        "fix": [{"op": "add", "path": "/spec/replicas", "value": 3}],
                    },
                ],
                "request_id": "8d8e77d3-665d-4ccf-9260-3fb6ed686228",
                "results": [
                    {
                        "kind": "Deployment",
                        "name": "web",
                        "error": "replicas must be a whole number from 0 to 100.",
                    }
                ],
            },
            "504": {
                "error": "The request ran out of time; what it recorded is kept. Try again.",
                "code": "out_of_time",
                "details": [],
                "request_id": "a35acbe9-760f-4858-9a6a-c74de24dabf7",
            },
            "502": {
                "error": "The cluster does not permit the API to do this. Ask "
                "an admin to check its roles.",
                "code": "cluster_forbidden",
                "details": [],
                "request_id": "075e9a57-5581-4628-aea2-243a7da04a56",
            },
            "503": {
                "error": "The cluster cannot be reached. Try again.",
                "code": "cluster_unreachable",
                "details": [],
                "request_id": "e2a2ffc4-c3bf-4be7-8399-56af24abe67c",
            },
        }
    },
    "delete_friend": {
        "answers": {
            "202": {
                "ok": True,
                "operation": {
                    "id": "1a21d295d77-00000004",
                    "type": "delete",
                    "status": "pending",
                    "progress": {"done": 0, "total": 4},
                    "results": [],
                    "created_at": "2026-11-27T13:19:44.893834Z",
                    "finished_at": None,
                    "requested_by": "agent:mochi",
                    "url": "/api/friends/alice/operations/1a21d295d77-00000004",
                },
            }
        }
    },
}
