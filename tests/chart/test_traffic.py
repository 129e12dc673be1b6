"""NetworkPolicies name exactly the traffic there is."""

import unittest

from chart import CHART, ROOT, matches, of_kind, pods, rendered, template

# Who reaches whom on which port: the parts and what they read and write, see ARCHITECTURE.md.
TRAFFIC = {
    ("ingest", "kafka"): {9092},
    ("ingest", "registry"): {8081, 9181},
    ("registry", "kafka"): {9092},
    ("registry", "registry"): {8081, 9181},
    ("sink", "kafka"): {9092},
    ("sink", "registry"): {8081, 9181},
    ("sink", "influxdb"): {8086},
    ("gateway", "kafka"): {9092},
    ("gateway", "registry"): {8081, 9181},
    ("gateway", "influxdb"): {8086},
    ("efd", "kafka"): {9092},
    ("efd", "registry"): {8081, 9181},
    ("efd", "influxdb"): {8086},
    ("efd", "gateway"): {8080, 9180},
    ("efd", "ingest"): {8082, 9182},
    ("efd", "sink"): {9183, 9603},
}
FOR_CLIENTS = {"ingest": {8082, 9182}, "registry": {8081, 9181}, "gateway": {8080, 9180}, "kafka": {9092}, "influxdb": {8086}}
ADMIN = {"ingest": 9601, "registry": 9602, "sink": 9603, "gateway": 9604}
EVERYTHING = CHART / "ci/everything-values.yaml"
CLIENTS = {"ipBlock": {"cidr": "192.0.2.0/24"}}
MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}


def policies(manifests):
    return {it["metadata"]["labels"]["app.kubernetes.io/component"]: it["spec"] for it in of_kind(manifests, "NetworkPolicy")}


def ports(rule):
    assert all(port["protocol"] == "TCP" for port in rule["ports"])
    return {port["port"] for port in rule["ports"]}


def components(peer, manifests):
    """The services whose pods a peer selects."""
    selector = peer.get("podSelector", {"matchLabels": {"nobody": ""}})
    return {labels["app.kubernetes.io/component"] for _, _, labels in pods(manifests) if matches(selector, labels)}


def edges(manifests, direction, peers):
    """(from, to) -> ports, for the peers inside the release."""
    found = {}
    for component, policy in policies(manifests).items():
        for rule in policy.get(direction, []):
            for peer in rule.get(peers, []):
                for other in components(peer, manifests):
                    edge = (other, component) if direction == "ingress" else (component, other)
                    found.setdefault(edge, set()).update(ports(rule))
    return found


def open_to(manifests, peer):
    found = {}
    for component, policy in policies(manifests).items():
        for rule in policy.get("ingress", []):
            if peer in rule.get("from", []):
                found.setdefault(component, set()).update(ports(rule))
    return found


class Traffic(unittest.TestCase):
    def test_the_services_reach_each_other_as_designed_and_not_otherwise(self):
        manifests = rendered(EVERYTHING)
        self.assertEqual(edges(manifests, "egress", "to"), TRAFFIC)
        self.assertEqual(edges(manifests, "ingress", "from"), TRAFFIC)

    def test_clients_reach_the_ports_for_users_and_monitoring_the_metrics(self):
        manifests = rendered(EVERYTHING)
        self.assertEqual(open_to(manifests, CLIENTS), FOR_CLIENTS)
        self.assertEqual(open_to(manifests, MONITORING), {service: {port} for service, port in ADMIN.items()})

    def test_everybody_reaches_only_the_outside_port_of_kafka(self):
        for arguments, expected in (([], {}), (["--set", "kafka.external.enabled=true,kafka.external.host=x"], {"kafka": {9094}})):
            found = {}
            for component, policy in policies(template(*arguments)).items():
                for rule in policy.get("ingress", []):
                    if not rule.get("from"):
                        found.setdefault(component, set()).update(ports(rule))
            self.assertEqual(found, expected)

    def test_without_clients_and_monitoring_nobody_else_gets_in(self):
        manifests = template("--set-json", "networkPolicy.clients=[]", "--set-json", "networkPolicy.monitoring=[]")
        self.assertEqual(edges(manifests, "ingress", "from"), TRAFFIC)
        for policy in policies(manifests).values():
            for rule in policy.get("ingress", []):
                self.assertTrue(rule["from"])
                self.assertTrue(all("podSelector" in peer for peer in rule["from"]))

    def test_servers_reach_nothing_and_services_only_what_is_named(self):
        manifests = rendered(EVERYTHING)
        for component in ("kafka", "influxdb"):
            self.assertIn("Egress", policies(manifests)[component]["policyTypes"])
            self.assertNotIn("egress", policies(manifests)[component])
        extra = [rule for rule in policies(manifests)["sink"]["egress"] if rule["ports"][0]["port"] == 4317]
        self.assertEqual(len(extra), 1)

    def test_servers_outside_are_reached_on_the_ports_of_their_addresses(self):
        policy = policies(rendered(ROOT / "helm/sites/cloud.yaml"))["sink"]
        outside = [ports(rule) for rule in policy["egress"] if "to" not in rule]
        self.assertEqual(outside, [{9094}, {443}, {443}])

    def test_every_pod_has_a_policy(self):
        manifests = rendered(EVERYTHING)
        for name, _, labels in pods(manifests):
            chosen = [it for it in of_kind(manifests, "NetworkPolicy") if matches(it["spec"]["podSelector"], labels)]
            self.assertEqual(len(chosen), 1, name)
            self.assertEqual(chosen[0]["spec"]["policyTypes"], ["Ingress", "Egress"])

    def test_policies_can_be_left_out(self):
        self.assertFalse(of_kind(template("--set", "networkPolicy.enabled=false"), "NetworkPolicy"))

    def test_the_ingress_gives_each_name_its_service(self):
        manifests = rendered(EVERYTHING)
        backends = {}
        for ingress in of_kind(manifests, "Ingress"):
            self.assertEqual(ingress["spec"]["ingressClassName"], "traefik")
            rule = ingress["spec"]["rules"][0]
            service = rule["http"]["paths"][0]["backend"]["service"]
            backends[rule["host"]] = (service["name"], service["port"]["name"])
        expected = {
            "gateway.example.org": ("efd-gateway", "http"),
            "grpc.example.org": ("efd-gateway", "grpc"),
            "registry.example.org": ("efd-registry", "http"),
            "ingest.example.org": ("efd-ingest", "http"),
        }
        self.assertEqual(backends, expected)
