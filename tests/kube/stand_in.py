"""A stand-in for the API server: a few kinds of objects over HTTPS, as the real one answers.

Paths, status codes, `Status` bodies, resourceVersions and their conflicts, roles, pages, merge
patches, and the checks of what is written are the real one's, as far as our client sees them.
"""

import base64
import binascii
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

Json = dict[str, Any]

KINDS: Final = {
    "secrets": "Secret",
    "configmaps": "ConfigMap",
    "pods": "Pod",
    "daemonsets": "DaemonSet",
}
GROUPS: Final = {"daemonsets": "apps/v1"}
REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    415: "UnsupportedMediaType",
    422: "Invalid",
    503: "ServiceUnavailable",
}
TOKEN: Final = "a.projected.token"  # noqa: S105 - made for tests


class RefusalError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason or REASONS.get(status, "InternalError"),
            "code": status,
        }


def conflict(what: str) -> RefusalError:
    text = (
        f"Operation cannot be fulfilled on {what}: the object has been modified; please apply "
        "your changes to the latest version and try again"
    )
    return RefusalError(409, text, "Conflict")


@dataclass
class StandIn:
    """A cluster with one namespace and one account."""

    namespace: str = "mesh"
    token: str = TOKEN
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    """Verb and resource that the account's roles do not allow."""
    troubles: list[int] = field(default_factory=list)
    """Statuses with which the next requests are answered before anything is looked at."""
    before: Callable[[str, str], None] = lambda _verb, _name: None
    """What somebody else does right before a request is handled."""
    objects: dict[tuple[str, str], Json] = field(default_factory=dict)
    largest_page: int = 500
    """Objects that a list has at most, whatever was asked for."""
    log: list[str] = field(default_factory=list)
    """Verb, resource and name of every request that was let in."""
    _versions: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1001))

    @property
    def writes(self) -> list[str]:
        return [line for line in self.log if not line.startswith(("get ", "list "))]

    def application(self) -> web.Application:
        application = web.Application()
        for group in ("/api/v1", "/apis/apps/v1"):
            collection = f"{group}/namespaces/{{namespace}}/{{resource}}"
            application.add_routes(
                [
                    web.post(collection, self._create),
                    web.get(collection, self._list),
                    web.get(f"{collection}/{{name}}", self._get),
                    web.put(f"{collection}/{{name}}", self._replace),
                    web.patch(f"{collection}/{{name}}", self._patch),
                    web.patch(f"{collection}/{{name}}/{{part}}", self._patch),
                ]
            )
        return application

    # -- what a test, or somebody else in the cluster, does ------------------------------------

    def put(
        self, resource: str, name: str, metadata: Json | None = None, **content: object
    ) -> Json:
        """Write an object past all checks; it gets a new resourceVersion."""
        known = self.objects.get((resource, name), {"metadata": {"uid": f"uid-{name}"}})
        whole = {
            **known["metadata"],
            **(metadata or {}),
            "name": name,
            "namespace": self.namespace,
            "resourceVersion": str(next(self._versions)),
        }
        version = GROUPS.get(resource, "v1")
        made = {**known, "apiVersion": version, "kind": KINDS[resource], **content}
        self.objects[resource, name] = {**made, "metadata": whole}
        return self.objects[resource, name]

    def read(self, resource: str, name: str, key: str) -> bytes:
        """Return what an object holds under a key."""
        found = self.objects[resource, name]
        if resource == "configmaps" and key in found.get("data", {}):
            return str(found["data"][key]).encode()
        return base64.b64decode(found["data" if resource == "secrets" else "binaryData"][key])

    # -- requests ------------------------------------------------------------------------------

    async def _get(self, request: web.Request) -> web.Response:
        return await self._answer(request, "get", lambda body: self._find(request))

    async def _create(self, request: web.Request) -> web.Response:
        def create(body: Json) -> Json:
            resource, name = request.match_info["resource"], str(body["metadata"]["name"])
            if body["metadata"].get("resourceVersion"):
                raise RefusalError(
                    500, "resourceVersion should not be set on objects to be created"
                )
            if (resource, name) in self.objects:
                raise RefusalError(409, f'{resource} "{name}" already exists', "AlreadyExists")
            return self.put(resource, name, _metadata(body), **self._checked(resource, body))

        return await self._answer(request, "create", create, success=201)

    async def _replace(self, request: web.Request) -> web.Response:
        def replace(body: Json) -> Json:
            known = self._find(request)
            resource, name = request.match_info["resource"], request.match_info["name"]
            if body["metadata"].get("name") != name:
                raise RefusalError(400, "the name of the object does not match the name on the URL")
            version = body["metadata"].get("resourceVersion")
            if version not in (None, "", known["metadata"]["resourceVersion"]):
                raise conflict(f'{resource} "{name}"')
            if known.get("immutable"):
                raise RefusalError(
                    422, f'{KINDS[resource]} "{name}" is invalid: data: Forbidden: field'
                )
            return self.put(resource, name, **self._checked(resource, body))

        return await self._answer(request, "update", replace)

    async def _list(self, request: web.Request) -> web.Response:
        def find(body: Json) -> Json:
            resource, query = request.match_info["resource"], request.query
            wanted = [one.partition("=")[::2] for one in query["labelSelector"].split(",")]
            fitting = [
                found
                for (kind, _), found in sorted(self.objects.items())
                if kind == resource
                and all(found["metadata"].get("labels", {}).get(k) == v for k, v in wanted)
            ]
            begin = int(query.get("continue") or 0)
            end = begin + min(int(query["limit"]), self.largest_page)
            more = {"continue": str(end)} if end < len(fitting) else {}
            return {"kind": f"{KINDS[resource]}List", "metadata": more, "items": fitting[begin:end]}

        return await self._answer(request, "list", find)

    async def _patch(self, request: web.Request) -> web.Response:
        """Change an object by a merge patch; by its `status`, only that and its metadata."""

        def patch(body: Json) -> Json:
            if request.content_type != "application/merge-patch+json":
                raise RefusalError(415, "the body of the request was in an unknown format")
            known = self._find(request)
            part = request.match_info.get("part")
            allowed = {"metadata", "status"} if part == "status" else body.keys()
            merged = _merge(known, {key: body[key] for key in body.keys() & allowed})
            return self.put(
                request.match_info["resource"],
                request.match_info["name"],
                merged["metadata"],
                **{key: merged[key] for key in merged.keys() - {"metadata", "apiVersion", "kind"}},
            )

        return await self._answer(request, "patch", patch)

    async def _answer(
        self, request: web.Request, verb: str, act: Callable[[Json], Json], success: int = 200
    ) -> web.Response:
        try:
            body = await request.json() if request.can_read_body else {}
            self._admit(request, verb)
            name = _name(request, body)
            self.log.append(f"{verb} {_resource(request)}/{name}")
            self.before(verb, name)
            return web.json_response(act(body), status=success)
        except RefusalError as refusal:
            return web.json_response(refusal.body, status=refusal.status)

    def _admit(self, request: web.Request, verb: str) -> None:
        if self.troubles:
            raise RefusalError(self.troubles.pop(0), "the server is currently unable to handle it")
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise RefusalError(401, "Unauthorized")
        namespace, resource = request.match_info["namespace"], request.match_info["resource"]
        if (verb, _resource(request)) in self.forbidden:
            who = f"system:serviceaccount:{namespace}:bootstrap"
            what = _resource(request)
            raise RefusalError(
                403,
                f'{resource} is forbidden: User "{who}" cannot {verb} resource "{what}" in API '
                f'group "" in the namespace "{namespace}"',
            )
        if resource not in KINDS:
            raise RefusalError(404, "the server could not find the requested resource")
        if verb == "create" and namespace != self.namespace:
            raise RefusalError(404, f'namespaces "{namespace}" not found')

    def _find(self, request: web.Request) -> Json:
        resource, name = request.match_info["resource"], request.match_info["name"]
        if request.match_info["namespace"] != self.namespace:
            raise RefusalError(404, f'{resource} "{name}" not found')
        try:
            return self.objects[resource, name]
        except KeyError:
            raise RefusalError(404, f'{resource} "{name}" not found') from None

    def _checked(self, resource: str, body: Json) -> Json:
        """Return the content of an object that the server would take."""
        kind = KINDS[resource]
        if (body.get("apiVersion"), body.get("kind")) != ("v1", kind):
            raise RefusalError(400, f"the object provided is not a v1 {kind}")
        if body["metadata"].get("namespace") not in (None, self.namespace):
            raise RefusalError(400, "the namespace of the object does not match the request")
        encoded = "data" if resource == "secrets" else "binaryData"
        for text in (body.get(encoded) or {}).values():
            try:
                base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError) as error:
                raise RefusalError(
                    400, f"illegal base64 data at input byte 0 in {encoded}"
                ) from error
        return {key: body[key] for key in ("type", "data", "binaryData") if key in body}


def _name(request: web.Request, body: Json) -> str:
    """Return whom a request is about; `*` for all of a kind."""
    made = str(body["metadata"]["name"]) if request.method == "POST" else "*"
    return request.match_info.get("name", made)


def _resource(request: web.Request) -> str:
    """Return what a role has to name: a part of an object is for itself."""
    part = request.match_info.get("part")
    resource = request.match_info["resource"]
    return f"{resource}/{part}" if part else resource


def _merge(known: Json, change: Json) -> Json:
    """Apply a merge patch (RFC 7396)."""
    merged = dict(known)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = _merge(known.get(key) or {}, value)
        else:
            merged[key] = value
    return merged


def _metadata(body: Json) -> Json:
    """Return what of an object's metadata is its maker's to say."""
    return {key: body["metadata"].get(key, {}) for key in ("labels", "annotations")}
