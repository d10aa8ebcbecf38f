"""Makes calls with the official `openai` package of Python, unmodified, and says what came of them.

One JSON object a line on stdin is one call; see the type sdkCall in ../../sdk_client_test.go. Each is answered by one
line on stdout with the same id, in the order in which the calls end. Without a base_url or a key the package takes them
from its own environment variables.
"""

import base64
import concurrent.futures
import functools
import json
import sys
import threading

import openai

printing = threading.Lock()


def snake(name):
    """clientSecrets is client_secrets in Python."""
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name)


def client(call):
    options = {}
    if call.get("base_url"):
        options["base_url"] = call["base_url"]
    if call.get("key"):
        options["api_key"] = call["key"]
    if "max_retries" in call:
        options["max_retries"] = call["max_retries"]
    return openai.OpenAI(**options)


def make(call):
    *names, last = snake(call["method"]).split(".")
    resource = functools.reduce(getattr, names, client(call))
    body = dict(call.get("body") or {})
    if call.get("stream"):
        body["stream"] = True
    for field, file in (call.get("files") or {}).items():
        body[field] = (file["name"], base64.b64decode(file["data"]), file["type"])
    if call.get("anonymous"):
        body["extra_headers"] = {"Authorization": openai.Omit()}
    if call.get("extra"):
        body["extra_body"] = call["extra"]
    return getattr(resource.with_raw_response, last)(*call.get("args", []), **body)


def run(call):
    result = {"id": call["id"], "chunks": []}
    try:
        response = make(call)
        result["headers"] = dict(response.headers)
        result["request_id"] = response.headers.get("x-request-id", "")
        data = response.parse()
        if call.get("stream"):
            for chunk in data:
                result["chunks"].append(chunk.to_dict(mode="json"))
        elif hasattr(data, "read"):
            result["bytes"] = base64.b64encode(data.read()).decode()
        elif hasattr(data, "to_dict"):
            result["answer"] = data.to_dict(mode="json")
        else:
            result["answer"] = data
    except Exception as error:  # whatever an app would meet
        result["error"] = told(error)
    return result


def told(error):
    """What an app can see of an error."""
    response = getattr(error, "response", None)
    return {
        "class": type(error).__name__,
        "text": str(error),
        "cause": str(error.__cause__ or ""),
        "status": getattr(error, "status_code", 0),
        "type": getattr(error, "type", None) or "",
        "code": getattr(error, "code", None) or "",
        "param": getattr(error, "param", None) or "",
        "request_id": getattr(error, "request_id", None) or "",
        "object": getattr(error, "body", None),
        "headers": dict(response.headers) if response is not None else {},
    }


def answer(call):
    line = json.dumps(run(call))
    with printing:
        print(line, flush=True)


with concurrent.futures.ThreadPoolExecutor(16) as pool:
    for request in sys.stdin:
        pool.submit(answer, json.loads(request))
