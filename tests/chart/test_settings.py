"""Settings reach the services unread; alerts and dashboards name metrics that exist."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml
from chart import CHART, ROOT, VALUES, named, of_kind, pods, rendered, template

PROGRAMS = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
# What OpenTelemetry adds to the name of an instrument, by its unit and kind.
SUFFIX = re.compile(r"(_seconds|_bytes)?(_total|_bucket|_sum|_count)?$")

# Variables in the Secrets that the values files name.
SECRETS = {"efd-ingest-tokens": ["EFD_INGEST_TOKEN_SCRIPTS"], "efd-m1m3": []}


def configs(manifests):
    """(ConfigMap, settings) of every service."""
    for config in of_kind(manifests, "ConfigMap"):
        if "config.yaml" in config["data"]:
            yield config["metadata"]["name"], config["data"]["config.yaml"]


def instruments():
    """Names in the services' sources that are given to an instrument."""
    return {
        name
        for service in ("ingest", "registry", "sink", "gateway")
        for file in (ROOT / "services" / service / "src").rglob("*.rs")
        for name in re.findall(rf'"(efd_{service}_\w+)"', file.read_text())
    }


class Settings(unittest.TestCase):
    def test_a_setting_of_any_name_reaches_the_service(self):
        manifests = template("--set-json", 'registry.config={"of":{"tomorrow":[1,4000000,"x"]}}')
        text = named(manifests, "ConfigMap", "efd-registry")["data"]["config.yaml"]
        self.assertEqual(yaml.safe_load(text), {"of": {"tomorrow": [1, 4000000, "x"]}})

    def test_whole_numbers_stay_whole(self):
        manifests = rendered(CHART / "ci/everything-values.yaml")
        self.assertIn("queue_samples: 1000000\n", named(manifests, "ConfigMap", "efd-ingest")["data"]["config.yaml"])

    def test_a_worker_has_its_own_settings_over_those_of_all(self):
        manifests = rendered(CHART / "ci/everything-values.yaml")
        points = {name: yaml.safe_load(text)["batch"]["points"] for name, text in configs(manifests) if "-sink-" in name}
        self.assertEqual(points, {"efd-sink-camera": 1000, "efd-sink-forces": 1000, "efd-sink-mount": 1000, "efd-sink-m1m3": 9000})

    def test_a_topic_of_one_worker_is_left_out_by_the_owner_of_its_component(self):
        manifests = rendered(CHART / "ci/everything-values.yaml")
        m1m3, forces = (
            yaml.safe_load(named(manifests, "ConfigMap", f"efd-sink-{name}")["data"]["config.yaml"]) for name in ("m1m3", "forces")
        )
        self.assertEqual((m1m3["worker"], m1m3["components"], m1m3["topics"]), ("m1m3", ["MTM1M3"], []))
        of_m1m3 = ["lsst.test.MTM1M3.forceActuatorData", r"^lsst\.test\.MTM1M3\.applied.*$"]
        self.assertEqual(m1m3["exclude"], [*of_m1m3, "lsst.test.MTM1M3.gyroData"])
        self.assertEqual(forces["topics"], [*of_m1m3, "lsst.square.weather"])
        self.assertNotIn("exclude", forces)

    def test_the_command_knows_each_worker(self):
        manifests = rendered(CHART / "ci/everything-values.yaml")
        sinks = yaml.safe_load(named(manifests, "ConfigMap", "efd-command")["data"]["config.yaml"])["sinks"]
        self.assertEqual(sinks["mount"]["components"], ["MTMount", "Test"])
        services = {it["metadata"]["name"] for it in of_kind(manifests, "Service")}
        for name, sink in sinks.items():
            self.assertEqual(sink["admin"], f"http://efd-sink-{name}:9603")
            self.assertIn(f"efd-sink-{name}", services)

    def test_the_services_take_the_settings_of_each_values_file(self):
        programs = ["efd", "efd-ingest", "efd-registry", "efd-sink", "efd-gateway"]
        absent = [name for name in programs if not (PROGRAMS / name).exists()]
        if absent:
            self.skipTest(f"not built in {PROGRAMS}: {', '.join(absent)}")
        for path in VALUES:
            for name, spec, _ in pods(rendered(path)):
                program = pathlib.Path(spec["containers"][0]["command"][0]).name
                if program not in programs:
                    continue
                with self.subTest(f"{path.name} {name}"), tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                    config = next(it["configMap"]["name"] for it in spec["volumes"] if it["name"] == "config")
                    file.write(named(rendered(path), "ConfigMap", config)["data"]["config.yaml"])
                    file.flush()
                    self.assertEqual(self.refusal(program, file.name, spec["containers"][0]), "")

    def refusal(self, program, file, container):
        """What a service says of its settings; a made-up value stands for each secret."""
        env = {it["name"]: it.get("value", "a-secret") for it in container["env"]}
        for source in container.get("envFrom", []):
            env.update(dict.fromkeys(SECRETS[source["secretRef"]["name"]], "a-secret"))
        command = [PROGRAMS / program, "--config", file, "--print-config"]
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        self.assertNotIn("a-secret", re.sub(r"username: .*", "", done.stdout), "a secret is printed")
        return done.stderr


class Monitoring(unittest.TestCase):
    def expressions(self):
        rules = yaml.safe_load((CHART / "files/alerts.yaml").read_text())
        for group in rules["groups"]:
            for rule in group["rules"]:
                yield rule["alert"], rule["expr"]
        for file in (CHART / "dashboards").glob("*.json"):
            dashboard = json.loads(file.read_text())
            for panel in dashboard["panels"]:
                for target in panel.get("targets", []):
                    yield panel["title"], target["expr"]

    def test_every_metric_of_alerts_and_dashboards_exists(self):
        known = {SUFFIX.sub("", name) for name in instruments()}
        found = 0
        for where, expression in self.expressions():
            for name in re.findall(r"\befd_(?:ingest|registry|sink|gateway)_\w+", expression):
                self.assertIn(SUFFIX.sub("", name), known, where)
                found += 1
        self.assertGreater(found, 30)

    def test_every_alert_says_what_to_do(self):
        rules = yaml.safe_load((CHART / "files/alerts.yaml").read_text())
        alerts = [rule for group in rules["groups"] for rule in group["rules"]]
        self.assertEqual(len({rule["alert"] for rule in alerts}), len(alerts))
        for rule in alerts:
            self.assertIn(rule["labels"]["severity"], ("warning", "critical"))
            self.assertLessEqual({"summary", "action"}, set(rule["annotations"]))

    def test_alerts_and_dashboards_are_rendered_as_they_stand(self):
        manifests = template("--set", "monitoring.prometheusRule=always")
        rule = of_kind(manifests, "PrometheusRule")[0]
        self.assertEqual(rule["spec"], yaml.safe_load((CHART / "files/alerts.yaml").read_text()))
        dashboards = named(manifests, "ConfigMap", "efd-dashboards")
        self.assertEqual(dashboards["metadata"]["labels"]["grafana_dashboard"], "1")
        for name, text in dashboards["data"].items():
            self.assertEqual(json.loads(text), json.loads((CHART / "dashboards" / name).read_text()))

    def test_each_pod_with_metrics_is_found_by_the_monitor(self):
        manifests = template("--set", "monitoring.podMonitor=always")
        monitor = of_kind(manifests, "PodMonitor")[0]["spec"]
        selector = monitor["selector"]["matchLabels"]
        for name, spec, labels in pods(manifests):
            if name.startswith("Deployment"):
                self.assertLessEqual(selector.items(), labels.items(), name)
                self.assertIn(monitor["podMetricsEndpoints"][0]["port"], [it["name"] for it in spec["containers"][0]["ports"]])
