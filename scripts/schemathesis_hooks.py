"""Who calls: administration as an administrator, what only servers do as a server, and everything else as a user.

Made-up administration must not keep the user from being answered: the user is not banned, and nothing is published where it plays.
"""

import os
import uuid

import schemathesis

XUID, SPARE = os.environ["OPENMPSD_XUID"], os.environ["OPENMPSD_SPARE"]
TOKENS = {who: os.environ["OPENMPSD_" + who] for who in ("USER", "SERVER", "ADMIN")}


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value.encode() if isinstance(value, str) else str(value).encode()


def digits(value):
    try:
        return int(str(value))
    except ValueError:
        return None


def guid(value):
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return None


@schemathesis.hook
def before_call(context, case, kwargs):
    path, method = case.operation.path, case.method.upper()
    if path.startswith("/admin/"):
        who = "ADMIN"
    elif "/servers/" in path and method != "GET":
        who = "SERVER"
    else:
        who = "USER"
    named = case.path_parameters or {}
    if path == "/admin/bans/{xuid}" and method == "PUT" and digits(named.get("xuid")) == digits(XUID):
        named["xuid"] = "2533274800000007"
    if path.startswith("/admin/serviceconfigs/{scid}") and method == "PUT" and guid(named.get("scid")) is not None:
        named["scid"] = SPARE
    # A credential that was made up on purpose stays, so that 401 is met, too.
    headers = case.headers if case.headers is not None else {}
    if "Authorization" not in headers:
        case.headers = {**headers, "Authorization": "Bearer " + TOKENS[who]}
