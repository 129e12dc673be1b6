"""What the chart renders is valid, hardened, and keeps secrets where they belong."""

import functools
import re
import unittest

import kubernetes_validate
import yaml
from chart import APIS, CHART, ROOT, VALUES, containers, helm, named, of_kind, pods, rendered, template
from kubernetes_validate import utils

FOREIGN = {"PodMonitor", "PrometheusRule", "ScaledObject"}
SECRET = re.compile(r"password|token|secret|passphrase", re.IGNORECASE)


# The schemas are large, and read once more for each manifest otherwise.
utils.schema_contents = functools.cache(utils.schema_contents)


def for_each_values_file(test):
    """Runs a test on what each values file gives."""

    @functools.wraps(test)
    def run(self):
        for path in VALUES:
            with self.subTest(path.name):
                test(self, rendered(path))

    return run


class Manifests(unittest.TestCase):
    def test_lint_finds_nothing(self):
        for path in VALUES:
            code, output, errors = helm("lint", "--strict", CHART, "--values", path)
            self.assertEqual(code, 0, output + errors)

    @for_each_values_file
    def test_each_manifest_is_valid_from_kubernetes_1_31_to_the_newest(self, manifests):
        versions = [it for it in utils.all_versions() if tuple(map(int, it.split("."))) >= (1, 31)]
        self.assertGreaterEqual(len(versions), 7)
        for manifest in manifests:
            if manifest["kind"] not in FOREIGN:
                for version in versions:
                    kubernetes_validate.validate(manifest, version, strict=True)

    @for_each_values_file
    def test_names_are_unique_and_short_enough(self, manifests):
        names = [(it["kind"], it["metadata"]["name"]) for it in manifests]
        self.assertEqual(len(names), len(set(names)))
        self.assertLessEqual(max(len(name) for _, name in names), 63)

    @for_each_values_file
    def test_every_pod_is_hardened(self, manifests):
        for name, spec, _ in pods(manifests):
            self.assertFalse(spec["automountServiceAccountToken"], name)
            self.assertTrue(spec["securityContext"]["runAsNonRoot"], name)
            self.assertGreater(spec["securityContext"]["runAsUser"], 0, name)
            self.assertEqual(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", name)
            for key in ("hostNetwork", "hostPID", "hostIPC"):
                self.assertNotIn(key, spec, name)
            for container in containers(spec):
                context = container["securityContext"]
                self.assertTrue(context["readOnlyRootFilesystem"], name)
                self.assertFalse(context["allowPrivilegeEscalation"], name)
                self.assertEqual(context["capabilities"], {"drop": ["ALL"]}, name)
                self.assertIn("memory", container["resources"]["limits"], name)
                self.assertNotRegex(container["image"], r":latest$|^[^:]*$", name)

    @for_each_values_file
    def test_every_reference_of_a_pod_is_there(self, manifests):
        here = {(it["kind"], it["metadata"]["name"]) for it in manifests}
        for name, spec, _ in pods(manifests):
            self.assertIn(("ServiceAccount", spec["serviceAccountName"]), here, name)
            volumes = {volume["name"] for volume in spec["volumes"]}
            for volume in spec["volumes"]:
                if "configMap" in volume:
                    self.assertIn(("ConfigMap", volume["configMap"]["name"]), here, name)
            claims = {"data"} if name.startswith("StatefulSet") else set()
            for container in containers(spec):
                mounted = {mount["name"] for mount in container["volumeMounts"]}
                self.assertLessEqual(mounted, volumes | claims, name)

    @for_each_values_file
    def test_services_select_pods_that_have_their_ports(self, manifests):
        for service in of_kind(manifests, "Service"):
            name, selector = service["metadata"]["name"], service["spec"]["selector"]
            chosen = [spec for _, spec, labels in pods(manifests) if selector.items() <= labels.items()]
            self.assertEqual(len(chosen), 1, name)
            ports = {port["name"] for port in chosen[0]["containers"][0]["ports"]}
            self.assertLessEqual({port["targetPort"] for port in service["spec"]["ports"]}, ports, name)

    @for_each_values_file
    def test_secrets_come_only_from_secrets(self, manifests):
        for name, spec, _ in pods(manifests):
            for variable in [it for container in containers(spec) for it in container.get("env", [])]:
                if SECRET.search(variable["name"]):
                    self.assertNotIn("value", variable, name)
                    self.assertIn("secretKeyRef", variable["valueFrom"], name)
        for config in of_kind(manifests, "ConfigMap"):
            for key, text in config["data"].items():
                if key.endswith(".yaml"):
                    self.assertFalse([it for it in keys(yaml.safe_load(text)) if SECRET.search(it)], key)

    def test_a_password_is_made_for_influxdb_and_stands_nowhere_else(self):
        manifests = template()
        password = named(manifests, "Secret", "efd-influxdb")["data"]["password"]
        self.assertGreaterEqual(len(password), 40)
        others = yaml.safe_dump([it for it in manifests if it["kind"] != "Secret"])
        self.assertNotIn(password, others)
        self.assertNotEqual(password, named(template(), "Secret", "efd-influxdb")["data"]["password"])
        own = template("--set", "influxdb.secret=mine")
        self.assertFalse(of_kind(own, "Secret"))

    def test_objects_of_other_apis_appear_where_the_api_is_or_when_asked_for(self):
        kinds = lambda *arguments: {it["kind"] for it in template(*arguments)} & FOREIGN
        self.assertEqual(kinds(), set())
        self.assertEqual(kinds(*[word for api in APIS for word in ("--api-versions", api)]), {"PodMonitor", "PrometheusRule"})
        self.assertEqual(kinds("--set", "monitoring.podMonitor=always"), {"PodMonitor"})
        never = ["--set", "monitoring.podMonitor=never", "--api-versions", APIS[0]]
        self.assertEqual(kinds(*never), set())

    def test_an_autoscaled_deployment_has_no_replicas_of_its_own(self):
        manifests = rendered(CHART / "ci/everything-values.yaml")
        scaled = {it["spec"]["scaleTargetRef"]["name"] for it in of_kind(manifests, "HorizontalPodAutoscaler", "ScaledObject")}
        self.assertEqual(scaled, {"efd-sink-camera", "efd-sink-mount", "efd-sink-m1m3", "efd-gateway"})
        for deployment in of_kind(manifests, "Deployment"):
            name = deployment["metadata"]["name"]
            self.assertEqual("replicas" not in deployment["spec"], name in scaled, name)
            self.assertEqual(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0, name)

    @for_each_values_file
    def test_pods_end_before_they_are_killed(self, manifests):
        for name, spec, _ in pods(manifests):
            if name.startswith("Deployment"):
                before = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
                # The default of service.grace_period; no values file here changes it.
                self.assertGreater(spec["terminationGracePeriodSeconds"], before + 25, name)

    def test_a_changed_setting_rolls_only_the_pods_that_read_it(self):
        checksum = lambda manifests: {
            it["metadata"]["name"]: it["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for it in of_kind(manifests, "Deployment", "StatefulSet")
        }
        before, after = checksum(template()), checksum(template("--set", "gateway.config.query.max_running=7"))
        self.assertEqual({name for name in before if before[name] != after[name]}, {"efd-gateway"})

    @for_each_values_file
    def test_what_uninstalling_leaves_goes_when_it_is_done(self, manifests):
        for manifest in manifests:
            annotations = manifest["metadata"].get("annotations", {})
            if "helm.sh/hook" in annotations:
                self.assertIn("hook-succeeded", annotations["helm.sh/hook-delete-policy"])

    def test_notes_print_the_next_commands(self):
        code, output, errors = helm("install", "efd", CHART, "--namespace", "efd", "--dry-run=client")
        self.assertEqual(code, 0, errors)
        notes = output.split("NOTES:")[1]
        for command in ("helm test efd", "kubectl -n efd get pods", "efd get lsst.sal.ATCamera", "delete pvc"):
            self.assertIn(command, notes)

    def test_a_release_of_another_name_shares_no_object(self):
        code, output, errors = helm("template", "second", CHART, "--namespace", "efd")
        self.assertEqual(code, 0, errors)
        names = lambda manifests: {(it["kind"], it["metadata"]["name"]) for it in manifests if it}
        self.assertFalse(names(yaml.safe_load_all(output)) & names(rendered()))


class Examples(unittest.TestCase):
    def test_the_chart_has_the_version_of_the_programs(self):
        version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        self.assertEqual((chart["version"], chart["appVersion"]), (version, version))

    def test_the_summit_stores_each_component_once(self):
        manifests = rendered(ROOT / "helm/sites/summit.yaml")
        workers = [it for it in of_kind(manifests, "Deployment") if "-sink-" in it["metadata"]["name"]]
        self.assertEqual(len(workers), 30)
        init = named(manifests, "Job", "efd-init")["spec"]["template"]["spec"]["containers"][0]["command"]
        self.assertEqual(init[3], "init")
        self.assertEqual(len(init[4:]), len(set(init[4:])))


def keys(tree):
    """All keys of a tree of maps and lists."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield str(key)
            yield from keys(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from keys(value)
