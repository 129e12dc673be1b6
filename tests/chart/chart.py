"""The chart, rendered: what the tests ask of it."""

import functools
import pathlib
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/efd"
VALUES = sorted([*CHART.glob("ci/*.yaml"), *ROOT.glob("helm/sites/*.yaml")])
APIS = ["monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/PrometheusRule"]


def helm(*arguments):
    """Runs helm; gives its exit code, output and errors."""
    done = subprocess.run(["helm", *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def template(*arguments):
    """What `helm template` makes of the chart; an error of helm is one of the test."""
    code, output, errors = helm("template", "efd", CHART, "--namespace", "efd", *arguments)
    assert code == 0, errors
    return [manifest for manifest in yaml.safe_load_all(output) if manifest]


@functools.cache
def rendered(path=None):
    """The manifests for a values file, or for none."""
    return template(*(["--values", path] if path else []))


def of_kind(manifests, *kinds):
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def named(manifests, kind, name):
    return next(it for it in of_kind(manifests, kind) if it["metadata"]["name"] == name)


def pods(manifests):
    """(kind/name, pod spec, labels) of everything that makes a pod."""
    for manifest in manifests:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        if manifest["kind"] == "Pod":
            yield name, manifest["spec"], manifest["metadata"]["labels"]
        elif manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
            pod = manifest["spec"]["template"]
            yield name, pod["spec"], pod["metadata"]["labels"]


def containers(spec):
    return spec.get("initContainers", []) + spec["containers"]


def matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
