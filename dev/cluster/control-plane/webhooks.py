"""webhooks.py CERTIFICATE NAME=PORT...: from the JSON objects on stdin, the webhooks, pointed at local processes."""

import base64
import json
import pathlib
import sys

certificate = base64.b64encode(pathlib.Path(sys.argv[1]).read_bytes()).decode()
ports = dict(argument.split("=") for argument in sys.argv[2:])
text, decoder = sys.stdin.read(), json.JSONDecoder()
while text:
    item, end = decoder.raw_decode(text)
    text = text[end:].lstrip()
    if not item["kind"].endswith("WebhookConfiguration"):
        continue
    [port] = [port for name, port in ports.items() if name in item["metadata"]["name"]]
    for webhook in item["webhooks"]:
        path = webhook["clientConfig"]["service"]["path"]
        webhook["clientConfig"] = {"url": f"https://127.0.0.1:{port}{path}", "caBundle": certificate}
    json.dump(item, sys.stdout)
