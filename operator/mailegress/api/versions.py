"""Which of two versions of an API object is younger."""


def newer(version: str, known: str) -> bool:
    """Whether resourceVersion `version` is younger than `known`.

    For objects of one resource they come from one etcd revision counter, also across deletion and re-creation of a name
    (Kubernetes documentation, "API Concepts", resource version semantics; apimachinery
    ``resourceversion.CompareResourceVersion``). Something that is not a number cannot be compared; then every
    difference counts as news, and the next full list decides.
    """
    if version.isdecimal() and known.isdecimal():
        return int(version) > int(known)
    return version != known
