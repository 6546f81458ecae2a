"""Who calls: administration as an administrator, what only servers do as a server, and everything else as a user."""

import os

import schemathesis

TOKENS = {who: os.environ["OPENMPSD_" + who] for who in ("USER", "SERVER", "ADMIN")}


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value.encode() if isinstance(value, str) else str(value).encode()


@schemathesis.hook
def before_call(context, case, kwargs):
    path, method = case.operation.path, case.method.upper()
    if path.startswith("/admin/"):
        who = "ADMIN"
    elif "/servers/" in path and method != "GET":
        who = "SERVER"
    else:
        who = "USER"
    # A credential that was made up on purpose stays, so that 401 is met, too.
    headers = case.headers if case.headers is not None else {}
    if "Authorization" not in headers:
        case.headers = {**headers, "Authorization": "Bearer " + TOKENS[who]}
