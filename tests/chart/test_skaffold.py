"""skaffold.yaml is what Skaffold takes, and fits chart and Dockerfile."""

import json
import os
import pathlib
import unittest

import jsonschema
import yaml
from chart import CHART, ROOT, named, of_kind, template

CONFIG = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
RELEASE = CONFIG["deploy"]["helm"]["releases"][0]


class Skaffold(unittest.TestCase):
    def test_it_is_valid_by_the_schema_of_its_version(self):
        schema = json.loads(pathlib.Path(os.environ["SKAFFOLD_SCHEMA"]).read_text())
        jsonschema.validate(CONFIG, schema)
        with self.assertRaises(jsonschema.ValidationError):
            jsonschema.validate({**CONFIG, "bulid": {}}, schema)

    def test_each_image_it_builds_is_in_the_chart(self):
        images = {artifact["image"] for artifact in CONFIG["build"]["artifacts"]}
        given = {template.strip("{}").removeprefix(".IMAGE_FULLY_QUALIFIED_").replace("_", "-") for template in RELEASE["setValueTemplates"].values()}
        self.assertEqual(images, given)
        services = {f"efd-{path.name}" for path in (ROOT / "services").iterdir() if path.is_dir()}
        self.assertEqual(images, {"efd"} | services)
        values = [word for key in RELEASE["setValueTemplates"] for word in ("--set", f"{key}=example.org/{key}:1")]
        rendered = template("--values", ROOT / RELEASE["valuesFiles"][0], *values)
        found = {it["spec"]["template"]["spec"]["containers"][0]["image"] for it in of_kind(rendered, "Deployment", "Job")}
        self.assertEqual(found, {f"example.org/{key}:1" for key in RELEASE["setValueTemplates"]})

    def test_its_files_are_there(self):
        for artifact in CONFIG["build"]["artifacts"]:
            dockerfile = (ROOT / artifact["docker"]["dockerfile"]).read_text()
            self.assertIn(f" AS {artifact['docker']['target']}\n", dockerfile)
            self.assertIn("ARG SERVICE", dockerfile)
        self.assertEqual(ROOT / RELEASE["chartPath"], CHART)

    def test_it_forwards_ports_of_services_that_are_there(self):
        rendered = template("--values", ROOT / RELEASE["valuesFiles"][0])
        for forward in CONFIG["portForward"]:
            service = named(rendered, "Service", forward["resourceName"])
            self.assertIn(forward["port"], [port["port"] for port in service["spec"]["ports"]])
