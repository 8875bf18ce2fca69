"""Where a stage posts, and the audience its token must name. Pure.

One place for both, so that pod, config.json and endpoint agree.
"""

from finetune_operator.api.v1alpha1 import API_VERSION, PLURAL


def audience(namespace: str, name: str, uid: str) -> str:
    """Audience of the token that may post for one FineTuneJob; by its uid, a re-created job is another one."""
    return f"{API_VERSION}/namespaces/{namespace}/{PLURAL}/{name}/{uid}"


def post_url(base: str, namespace: str, name: str, uid: str) -> str:
    """`report.url` of config.json: progress goes to `<url>/progress`, the result to `<url>/result`.

    Args:
        base: scheme, host and port of the endpoint, `https://finetune-operator.finetune-system.svc:8443`.
        namespace: of the FineTuneJob.
        name: of the FineTuneJob.
        uid: of the FineTuneJob.
    """
    return f"{base.rstrip('/')}/apis/{audience(namespace, name, uid)}"
