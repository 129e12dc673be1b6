"""Wrong values are refused, and the refusal names the value."""

import json
import unittest

from chart import CHART, helm

WORKERS = "sink.workers="


def workers(**them):
    return ("--set-json", WORKERS + json.dumps(them))


ALL = ["ATCamera", "MTM1M3", "Test"]
# (what is wrong, arguments, words that the refusal has)
REFUSED = [
    ("an unknown key", ("--set", "sink.worker.a=1"), ["/sink", "worker"]),
    ("an unknown key at the top", ("--set", "sinks=1"), ["sinks"]),
    ("an unknown key of a worker", workers(a={"components": ALL, "topcis": []}), ["/sink/workers/a", "topcis"]),
    ("a bad type", ("--set", "kafka.enabled=maybe"), ["/kafka/enabled", "boolean"]),
    ("replicas that are no number", ("--set-string", "gateway.replicas=two"), ["/gateway/replicas"]),
    ("a negative number of replicas", ("--set", "gateway.replicas=-1"), ["/gateway/replicas"]),
    ("a port of a node out of range", ("--set", "kafka.external.nodePort=70000"), ["/kafka/external/nodePort"]),
    ("a wish that is none", ("--set", "monitoring.podMonitor=yes"), ["/monitoring/podMonitor"]),
    ("a resource that does not exist", ("--set", "sink.resources.limits.memroy=1Gi"), ["memroy"]),
    ("a worker without topics", workers(a={"replicas": 2}), ["/sink/workers/a", "components"]),
    ("a worker with an empty list", workers(a={"components": []}), ["/sink/workers/a/components"]),
    ("a worker's name that Kubernetes does not take", workers(A_b={"components": ALL}), ["A_b"]),
    ("dead letters as a worker's topic", workers(a={"components": ALL}, b={"topics": ["x.dlq"]}), ["/sink/workers/b/topics/0"]),
    ("two workers with one component", workers(a={"components": ALL}, b={"components": ["Test"]}), ["sink.workers.b", "Test", "sink.workers.a"]),
    ("two workers with one topic", workers(a={"components": ALL, "topics": ["x.y"]}, b={"topics": ["x.y"]}), ["sink.workers.b", "x.y", "sink.workers.a"]),
    ("a topic that is neither name nor expression", workers(a={"components": ALL}, b={"topics": ["lsst.sal.*"]}), ["/sink/workers/b/topics/0"]),
    ("dead letters by expression", workers(a={"components": ALL}, b={"topics": ["^x.dlq$"]}), ["/sink/workers/b/topics/0"]),
    ("a component that nobody stores", workers(a={"components": ["Test"]}), ["components", "ATCamera"]),
    ("a sample for the test that nobody stores", ("--set", "test.topic=lsst.sal.Other.sample"), ["test.topic", "lsst.sal.Other.sample"]),
    ("a topic for the test that is none of SAL's", ("--set", "test.topic=sample"), ["/test/topic"]),
    ("what a worker owns in its settings", ("--set", "sink.config.topics={x}"), ["sink.config.topics", "sink.workers"]),
    ("no address of Kafka", ("--set", "kafka.enabled=false"), ["kafka.address"]),
    ("no address of InfluxDB", ("--set", "influxdb.enabled=false"), ["influxdb.address"]),
    ("an address beside a broker of our own", ("--set", "kafka.address=k:9092"), ["kafka.address", "kafka.enabled"]),
    ("an address without a port", ("--set", "kafka.enabled=false,kafka.address=kafka"), ["/kafka/address"]),
    ("an InfluxDB without scheme", ("--set", "influxdb.enabled=false,influxdb.address=influxdb:8086"), ["/influxdb/address"]),
    ("credentials for a broker that asks for none", ("--set", "kafka.secret=x"), ["kafka.secret"]),
    ("an outside port without a host", ("--set", "kafka.external.enabled=true"), ["kafka.external.host"]),
    (
        "an outside port of another's broker",
        ("--set", "kafka.enabled=false,kafka.address=k:9092,kafka.external.enabled=true,kafka.external.host=x"),
        ["kafka.external.enabled"],
    ),
    ("half an autoscaler", ("--set", "gateway.autoscaling.by=cpu"), ["/gateway/autoscaling", "max"]),
    (
        "more pods at least than at most",
        ("--set-json", 'gateway.autoscaling={"by":"cpu","min":3,"max":2,"target":60,"stabilization":1}'),
        ["gateway.autoscaling.min"],
    ),
    (
        "lag of what has none",
        ("--set-json", 'gateway.autoscaling={"by":"lag","min":1,"max":2,"target":60,"stabilization":1}'),
        ["gateway.autoscaling.by"],
    ),
    ("gRPC through an Ingress without TLS", ("--set", "ingress.hosts.grpc=x.example.org"), ["ingress.tlsSecret"]),
    ("a name for a service that is off", ("--set", "ingest.enabled=false,ingress.hosts.ingest=x"), ["ingress.hosts.ingest"]),
    ("a name for a backend that does not exist", ("--set", "ingress.hosts.kafka=x"), ["/ingress/hosts", "kafka"]),
    ("two volumes with interfaces", ("--set-json", 'interfaces.volume={"hostPath":{"path":"/a"},"emptyDir":{}}'), ["/interfaces/volume"]),
    ("a folder that is not absolute", ("--set", "ingest.files.tls=here"), ["/ingest/files/tls"]),
]


class Refusals(unittest.TestCase):
    def test_wrong_values_are_refused_by_name(self):
        for what, arguments, words in REFUSED:
            with self.subTest(what):
                code, _, errors = helm("template", "efd", CHART, *arguments)
                self.assertNotEqual(code, 0)
                for word in words:
                    self.assertIn(word, errors)
