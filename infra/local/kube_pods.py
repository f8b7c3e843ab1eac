"""What a kubelet would make of a pod, told from its image and command alone: status and logs.

Images that start with `bad/` or hold `:does-not-exist` cannot be pulled; `crash` in an image, a
command or an argument makes a container crash, and `# out of memory` at its end has it killed for
that. `unready` in an image has a container run and never become ready. A container runs after those
before it, if these ended well; a pod that does not restart runs once and succeeds. Everything else
runs. Where its command or an argument ends in `# wide 1000`, each line of its log begins with a
thousand times "é".
"""

import re
import time
import zlib
from collections.abc import Mapping
from typing import Final

from infra.local.kube_objects import Obj, bad_request, timestamp
from infra.local.kube_validation import check_log_options

LOG_LINES: Final = 600
_SECONDS_PER_LINE: Final = 1
_CRASHES: Final = 3
# 128 and the signal's number, SIGKILL.
_KILLED: Final = 137
_WIDE: Final = re.compile(r"# wide (\d{1,5})$")


def created_status(pod: Obj, node: str) -> Obj:
    """Return the status of a pod that a node has just taken."""
    return {
        **pod["status"],
        "conditions": _conditions(ready=False, done=False),
        "hostIP": "127.0.0.1",
        "startTime": timestamp(),
        **_statuses_before(pod["spec"]),
        "nodeName": node,
    }


def _statuses_before(spec: Obj) -> Obj:
    """Return the containers' statuses before any has started."""
    first = spec.get("initContainers", [])
    reason = "PodInitializing" if first else "ContainerCreating"
    waiting = {"waiting": {"reason": reason}}
    statuses = {"containerStatuses": [_waiting(item, waiting) for item in spec["containers"]]}
    if first:
        statuses["initContainerStatuses"] = [_waiting(item, waiting) for item in first]
    return statuses


def _waiting(item: Obj, state: Obj) -> Obj:
    return _container_status(item, state, ready=False)


def settled_status(pod: Obj) -> Obj:
    """Return the status of a pod once its containers have done what they will do."""
    spec, status = pod["spec"], pod["status"]
    first = _settle_first(spec)
    if first and not all(one["ready"] for one in first):
        failed = spec["restartPolicy"] == "Never" and "terminated" in _stopped_at(first)
        return {
            **status,
            "phase": "Failed" if failed else "Pending",
            "conditions": _conditions(ready=False, done=failed, initialized=False),
            "initContainerStatuses": first,
        }
    once = spec["restartPolicy"] != "Always"
    statuses = [_settle(item, spec["restartPolicy"]) for item in spec["containers"]]
    pulling = any(one["state"].get("waiting", {}).get("reason") in _PULL for one in statuses)
    ready = all(one["ready"] for one in statuses)
    phase = "Pending" if pulling else "Running"
    ended = [one["state"]["terminated"] for one in statuses if "terminated" in one["state"]]
    if once and len(ended) == len(statuses):
        phase = "Failed" if any(state["exitCode"] for state in ended) else "Succeeded"
    address = zlib.crc32(pod["metadata"]["uid"].encode())
    ip = f"10.244.{address // 250 % 250}.{address % 250 + 1}"
    addresses = {} if pulling else {"podIP": ip, "podIPs": [{"ip": ip}]}
    return {
        **status,
        "phase": phase,
        "conditions": _conditions(ready=ready, done=phase in {"Succeeded", "Failed"}),
        **addresses,
        **({"initContainerStatuses": first} if first else {}),
        "containerStatuses": statuses,
    }


def _settle_first(spec: Obj) -> list[Obj]:
    """Return the statuses of the containers that run before the others, one after another."""
    statuses: list[Obj] = []
    for item in spec.get("initContainers", ()):
        if any(not one["ready"] for one in statuses):
            statuses.append(_waiting(item, {"waiting": {"reason": "PodInitializing"}}))
            continue
        stays = item.get("restartPolicy") == "Always"
        policy = "Always" if stays else spec["restartPolicy"].replace("Always", "OnFailure")
        settled = _settle(item, policy)
        done = settled["state"].get("terminated", {}).get("exitCode") == 0
        statuses.append(settled | {"ready": settled["ready"] or done})
    return statuses


def _stopped_at(statuses: list[Obj]) -> Obj:
    """Return the state of the first container that did not end well."""
    state: Obj = next(one["state"] for one in statuses if not one["ready"])
    return state


_PULL: Final = frozenset({"ImagePullBackOff", "ErrImagePull"})


def trouble(pod: Obj) -> tuple[str, str] | None:
    """Return the reason and message of the event that a pod in trouble gives rise to."""
    spec, told = pod["spec"], pod["status"]
    items = [*spec.get("initContainers", ()), *spec["containers"]]
    statuses = [*told.get("initContainerStatuses", ()), *told["containerStatuses"]]
    for item, status in zip(items, statuses, strict=True):
        reason = status["state"].get("waiting", {}).get("reason")
        if reason in _PULL:
            text = f'Failed to pull image "{item["image"]}": {item["image"]}: not found'
            return "Failed", text
        if reason == "CrashLoopBackOff":
            name = pod["metadata"]["name"]
            return "BackOff", f"Back-off restarting failed container {item['name']} in pod {name}"
    return None


def _cannot_pull(item: Obj) -> bool:
    image: str = item["image"]
    return image.startswith("bad/") or ":does-not-exist" in image


def _crashes(item: Obj) -> bool:
    words = [item["image"], *item.get("command", ()), *item.get("args", ())]
    return any("crash" in word for word in words) or _runs_out(item)


def _runs_out(item: Obj) -> bool:
    words = [*item.get("command", ()), *item.get("args", ())]
    return any(word.endswith("# out of memory") for word in words)


def _settle(item: Obj, restart_policy: str) -> Obj:
    if _cannot_pull(item):
        message = f'Back-off pulling image "{item["image"]}"'
        state: Obj = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
        return _container_status(item, state, ready=False)
    if restart_policy == "Never" or (restart_policy == "OnFailure" and not _crashes(item)):
        return _container_status(item, _ended(item), ready=False)
    if _crashes(item):
        message = f"back-off 40s restarting failed container={item['name']}"
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        status = _container_status(item, state, ready=False)
        return status | {"restartCount": _CRASHES, "lastState": _ended(item)}
    is_ready = "unready" not in item["image"]
    return _container_status(item, {"running": {"startedAt": timestamp()}}, ready=is_ready)


def _ended(item: Obj) -> Obj:
    """Return the state of a container after its run."""
    code, reason = (1, "Error") if _crashes(item) else (0, "Completed")
    if _runs_out(item):
        code, reason = _KILLED, "OOMKilled"
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "startedAt": timestamp(),
            "finishedAt": timestamp(),
        }
    }


def _container_status(item: Obj, state: Obj, *, ready: bool) -> Obj:
    started = "waiting" not in state
    image = item["image"]
    return {
        "name": item["name"],
        "state": state,
        "lastState": {},
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "image": image,
        "imageID": f"{image}@sha256:{zlib.crc32(image.encode()):064x}" if started else "",
    }


def _conditions(*, ready: bool, done: bool, initialized: bool = True) -> list[Obj]:
    now = timestamp()
    states = {
        "PodScheduled": True,
        "Initialized": initialized,
        "ContainersReady": ready,
        "Ready": ready,
    }
    found = []
    for name, true in states.items():
        condition = {"type": name, "status": str(true), "lastTransitionTime": now}
        if not true:
            reason = "PodCompleted" if done and initialized else "ContainersNotReady"
            reason = "ContainersNotInitialized" if name == "Initialized" else reason
            condition |= {"reason": reason}
        found.append(condition)
    return found


def read_log(pod: Obj, query: Mapping[str, str]) -> bytes:
    """Return a container's log; query holds the parameters of the request.

    Raises Refused: 400 without a container where there are several, for one that does not exist or
    has no such log, and 422 for an option out of range.
    """
    name = pod["metadata"]["name"]
    options = _log_options(name, query)
    container = _choose_container(pod, query.get("container", ""))
    previous = query.get("previous") in {"true", "1"}
    _check_has_log(pod, container, previous=previous)
    lines = _log_lines(name, container, options, stamped=query.get("timestamps") in {"true", "1"})
    padding = "é" * _width(pod, container)
    # As with the real one, the newest lines are the ones that are cut.
    return "".join(f"{padding}{line}" for line in lines).encode()[: options.get("limitBytes")]


def _width(pod: Obj, container: str) -> int:
    items = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
    item = next(one for one in items if one["name"] == container)
    found = _WIDE.search(" ".join([*item.get("command", ()), *item.get("args", ())]))
    return int(found[1]) if found else 0


def _log_options(name: str, query: Mapping[str, str]) -> dict[str, int]:
    options = {}
    for option in ("tailLines", "sinceSeconds", "limitBytes"):
        text = query.get(option)
        if text:
            try:
                options[option] = int(text)
            except ValueError:
                message = f'strconv.ParseInt: parsing "{text}": invalid syntax'
                raise bad_request(message) from None
    check_log_options(name, options)
    return options


def _choose_container(pod: Obj, wanted: str) -> str:
    spec, name = pod["spec"], pod["metadata"]["name"]
    groups = ("initContainers", "containers")
    names = [item["name"] for group in groups for item in spec.get(group, ())]
    if wanted:
        if wanted not in names:
            message = f"container {wanted} is not valid for pod {name}"
            raise bad_request(message)
        return wanted
    if len(names) > 1:
        message = (
            f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
        )
        raise bad_request(message)
    return str(names[0])


def _check_has_log(pod: Obj, container: str, *, previous: bool) -> None:
    name = pod["metadata"]["name"]
    about = f'container "{container}" in pod "{name}"'
    groups = ("initContainerStatuses", "containerStatuses")
    statuses = [one for group in groups for one in pod["status"].get(group, ())]
    status = next((one for one in statuses if one["name"] == container), None)
    if status is None:
        message = f"{about} is not available"
        raise bad_request(message)
    if previous and "terminated" not in status["lastState"]:
        message = f"previous terminated {about} not found"
        raise bad_request(message)
    reason = status["state"].get("waiting", {}).get("reason", "")
    if reason in _PULL:
        reason = "trying and failing to pull image"
    if reason and "terminated" not in status["lastState"]:
        message = f"{about} is waiting to start: {reason}"
        raise bad_request(message)


def _log_lines(pod: str, container: str, options: Mapping[str, int], *, stamped: bool) -> list[str]:
    """Return the last lines asked for: one was written in each second up to now."""
    count = LOG_LINES
    for option, scale in (("tailLines", 1), ("sinceSeconds", _SECONDS_PER_LINE)):
        if option in options:
            count = min(count, options[option] // scale)
    now = int(time.time())
    lines = []
    for number in range(LOG_LINES - count + 1, LOG_LINES + 1):
        written = timestamp(now - (LOG_LINES - number) * _SECONDS_PER_LINE)
        prefix = f"{written.removesuffix('Z')}.000000000Z " if stamped else ""
        lines.append(f"{prefix}{written} line {number} from {pod}/{container}\n")
    return lines
