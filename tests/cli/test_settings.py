"""Settings: where a value comes from, and what a user is told who gave a wrong one."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mailegress.api.policy import PolicyMode
from mailegress.cli.loading import SettingsError, load_settings, shown_value, unknown_variables
from mailegress.cli.settings import Settings, settings_table, specs
from sandbox.aws.client import SandboxAws
from sandbox.aws.local import ServedAws

Command = Callable[..., subprocess.CompletedProcess[str]]
REGION = {"AWS_REGION": "eu-west-1"}
ROLE = "arn:aws:iam::111122223333:role/mailegress-zone"


def problems(flags: dict[str, str | None], env: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags, REGION if env is None else env)
    return caught.value.problems


def test_with_a_region_alone_every_default_is_usable() -> None:
    settings = load_settings({}, REGION)
    assert settings == Settings(regions=("eu-west-1",))
    assert settings.resync_seconds == 600
    assert settings.dns_resolvers == (("1.1.1.1", 53), ("8.8.8.8", 53), ("9.9.9.9", 53))
    assert settings.http_address == ("0.0.0.0", 8080)
    assert settings.leader_elect is False
    assert settings.dns_roots == ()


def test_the_flag_wins_over_the_variable_and_the_variable_over_the_default() -> None:
    env = {**REGION, "MAILEGRESS_WORKERS": "7", "MAILEGRESS_RESYNC_SECONDS": "30"}
    settings = load_settings({"workers": "9", "resync_seconds": None}, env)
    assert (settings.workers, settings.resync_seconds, settings.confirmations) == (9, 30.0, 3)


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load_settings({}, {**REGION, "MAILEGRESS_WORKERS": ""}).workers == 32


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_falls_back_to_what_the_sdk_uses(variable: str) -> None:
    assert load_settings({}, {variable: "ap-northeast-1"}).regions == ("ap-northeast-1",)


def test_named_regions_win_over_the_sdks_and_keep_their_order() -> None:
    assert load_settings({"regions": "us-gov-west-1, eusc-de-east-1"}, REGION).regions == (
        "us-gov-west-1",
        "eusc-de-east-1",
    )


def test_without_any_region_the_error_says_what_to_set() -> None:
    (line,) = problems({}, {})
    assert line.startswith("--regions (MAILEGRESS_REGIONS):")
    assert "AWS_REGION" in line


BAD = {
    "regions": ["europe", "eu-west-1,eu-west-1", "eu-west-1,,eu-west-2"],
    "zone_role_arn": ["role/mailegress", "arn:aws:iam::1:role/x"],
    "zone_external_id": ["§", "tenant 7"],
    "eip_role_arn": ["arn:aws:iam::111122223333:user/x"],
    "eip_external_id": ["tenant<7>"],
    "allow_unknown_regions": ["maybe"],
    "advisories": ["maybe"],
    "external_dns": ["maybe"],
    "external_removal_seconds": ["5m"],
    "allow_http_endpoints": ["https"],
    "owner_id": ["Upper", "seventeen-letters", "under_score"],
    "accept_owner_ids": ["old,Old"],
    "namespaces": ["Mail", "-mail", "a" * 64],
    "resync_seconds": ["ten", "0", "-1", "nan", "inf", "1e9"],
    "ec2_sweep_seconds": ["0"],
    "gateway_check_seconds": ["0"],
    "route53_sweep_seconds": ["soon"],
    "stalled_after_seconds": ["30m"],
    "lost_confirm_seconds": ["-1"],
    "ptr_heals_per_hour": ["1.5", "-1"],
    "ptr_ttl_seconds": ["5m"],
    "mass_loss_count": ["many"],
    "mass_loss_percent": ["101", "10%"],
    "confirmations": ["0"],
    "retry_seconds": ["0"],
    "retry_max_seconds": ["0"],
    "blocked_seconds": ["x"],
    "status_hold_seconds": ["-1"],
    "ptr_refused_seconds": ["15min"],
    "dns_poll_seconds": ["0"],
    "dns_poll_max_seconds": ["0"],
    "resolver_check_seconds": ["0"],
    "dns_roots": [
        "a.root-servers.net",
        "192.0.2",
        "192.0.2.1:",
        "192.0.2.1:0",
        "192.0.2.1:99999",
        "192.0.2.1:²",
        "192.0.2.1:dns",
        "[2001:db8::1]5353",
        "2001:db8::1:53:99:99:99:99:99",
    ],
    "dns_authority_port": ["0", "65536"],
    "dns_extra_ranges": ["localhost", "127.0.0.1/8", "127.0.0.0/8,127.0.0.0/8"],
    "dns_resolvers": ["none", "192.0.2.1,192.0.2.1", "[::1"],
    "dns_timeout_seconds": ["0", "61"],
    "dns_in_flight": ["0"],
    "route53_rate": ["0", "x"],
    "route53_changes_rate": ["0"],
    "ec2_write_rate": ["0"],
    "ec2_read_rate": ["0"],
    "insync_poll_seconds": ["0"],
    "ptr_poll_seconds": ["0"],
    "batch_idle_ms": ["-1"],
    "batch_max_seconds": ["301"],
    "kubeconfig": ["/nonexistent/kubeconfig"],
    "relist_seconds": ["0"],
    "leader_elect": ["maybe"],
    "workers": ["0", "1001"],
    "http_address": ["8080", "host name:80", "0.0.0.0:http"],
    "shutdown_seconds": ["0", "26"],
    "policy": ["on", "Enforced"],
    "log_format": ["xml"],
    "log_level": ["loud"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, given in BAD.items() for value in given])
def test_a_bad_value_is_named_with_its_flag_its_variable_and_a_remedy(name: str, value: str) -> None:
    (line,) = [
        line for line in problems({name: value}) if line.startswith("--" + name.replace("_", "-") + " ")
    ]
    assert f"(MAILEGRESS_{name.upper()}):" in line
    assert re.search(r"; (give|remove|name|set) ", line), line
    if name.endswith("external_id"):
        assert value not in line.partition("):")[2]
    else:
        assert repr(value) in line


def test_every_setting_that_can_be_wrong_is_in_the_table_above() -> None:
    assert set(BAD) == {field.name for field in dataclasses.fields(Settings)} - {"context"}


@pytest.mark.parametrize("text", ["Enforce", "enforce", "ENFORCE"])
def test_the_policy_mode_may_be_written_in_any_case(text: str) -> None:
    assert load_settings({"policy": text}, REGION).policy is PolicyMode.ENFORCE


def test_policies_are_off_by_default() -> None:
    assert load_settings({}, REGION).policy is PolicyMode.OFF


def test_all_bad_values_are_reported_together_in_one_error() -> None:
    flags: dict[str, str | None] = {name: given[0] for name, given in BAD.items()}
    lines = problems(flags)
    for name in BAD:
        assert any(line.startswith("--" + name.replace("_", "-") + " ") for line in lines), name


def test_an_external_id_without_its_role_is_refused() -> None:
    (line,) = problems({"zone_external_id": "tenant-7"})
    assert "--zone-role-arn" in line
    assert (
        load_settings({"zone_external_id": "tenant-7", "zone_role_arn": ROLE}, REGION).zone_role_arn == ROLE
    )


def test_accepting_ones_own_owner_id_is_refused() -> None:
    (line,) = problems({"owner_id": "prod", "accept_owner_ids": "old,prod"})
    assert line.startswith("--accept-owner-ids ")


def test_a_longest_wait_below_the_first_one_is_refused() -> None:
    (line,) = problems({"retry_seconds": "10", "retry_max_seconds": "5"})
    assert line.startswith("--retry-max-seconds ")
    assert "at least" in line


def test_servers_take_ports_and_ipv6_and_resolvers_can_be_off() -> None:
    settings = load_settings(
        {"dns_roots": "127.0.0.1:5353,[::1]:5354,2001:DB8::1,[2001:db8::2]", "dns_resolvers": "off"}, REGION
    )
    assert settings.dns_roots == (
        ("127.0.0.1", 5353),
        ("::1", 5354),
        ("2001:db8::1", 53),
        ("2001:db8::2", 53),
    )
    assert settings.dns_resolvers == ()


def test_a_kubeconfig_must_exist(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("{}")
    assert load_settings({"kubeconfig": str(path)}, REGION).kubeconfig == str(path)


def test_what_is_shown_can_be_given_back() -> None:
    given: dict[str, str | None] = {
        "dns_roots": "127.0.0.1:5353,[::1]:5354",
        "dns_resolvers": "off",
        "leader_elect": "on",
        "namespaces": "mail,edge",
        "http_address": "[::1]:0",
        "resync_seconds": "0.5",
    }
    settings = load_settings(given, REGION)
    shown: dict[str, str | None] = {
        spec.name: shown_value(spec, getattr(settings, spec.name)) for spec in specs()
    }
    assert load_settings(shown, {}) == settings


def test_the_reference_table_has_a_row_with_a_meaning_for_every_setting() -> None:
    rows = settings_table()
    assert [row.flag for row in rows] == [
        "--" + field.name.replace("_", "-") for field in dataclasses.fields(Settings)
    ]
    for flag, env, default, help in rows:
        assert env == "MAILEGRESS_" + flag[2:].upper().replace("-", "_")
        assert default
        assert help.endswith((".", "..."))
        if flag.endswith("-seconds"):
            assert "econds" in help, f"{flag} names no unit"


def test_help_shows_every_flag_its_variable_and_its_default(command: Command) -> None:
    result = command("run", "--help")
    assert result.returncode == 0
    text = re.sub(r"[│╭╮╰╯─\s]+", " ", result.stdout)
    for flag, env, default, _ in settings_table():
        assert f"{flag} " in text
        assert f"[env var: {env}]" in text
        assert default in text, f"{flag} does not show {default}"


def test_wrong_settings_end_the_program_with_2_and_one_message_naming_all(command: Command) -> None:
    result = command("run", "--workers", "none", env={**REGION, "MAILEGRESS_LOG_LEVEL": "loud"})
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("mailegress: 2 settings cannot be used:\n")
    assert "--workers (MAILEGRESS_WORKERS): 'none'" in result.stderr
    assert "--log-level (MAILEGRESS_LOG_LEVEL): 'loud'" in result.stderr
    assert "Traceback" not in result.stderr


def test_check_config_prints_the_settings_in_force_without_confidential_ones(command: Command) -> None:
    env = {
        **REGION,
        "MAILEGRESS_ZONE_ROLE_ARN": ROLE,
        "MAILEGRESS_ZONE_EXTERNAL_ID": "tenant-7",
        "MAILEGRESS_WORKER": "1",
    }
    result = command("check-config", "--resync-seconds", "45", env=env)
    assert result.returncode == 0
    assert re.search(r"^--resync-seconds +45$", result.stdout, re.M)
    assert re.search(r"^--zone-external-id +\(set\)$", result.stdout, re.M)
    assert "tenant-7" not in result.stdout + result.stderr
    assert "the API server was not contacted" in result.stdout
    assert "MAILEGRESS_WORKER is not a setting" in result.stderr


def test_check_config_shows_whom_aws_sees_and_where_it_is_called(command: Command) -> None:
    with ServedAws() as aws:
        host = aws.url.removeprefix("http://")
        keys = {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "key-nobody-may-see",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        SandboxAws(aws.url).run("put_role", arn=ROLE)
        result = command("check-config", env={**REGION, **keys, "MAILEGRESS_ZONE_ROLE_ARN": ROLE})
        assert result.returncode == 0, result.stderr
        lines = result.stdout.splitlines()
        for service in ("route53", "ec2", "sts"):
            assert f"AWS endpoint of {service}: {host}" in lines
        assert "AWS identity for ec2: arn:aws:iam::111122223333:user/sandbox in account 111122223333" in lines
        [assumed] = [line for line in lines if line.startswith("AWS identity for route53: ")]
        assert ":assumed-role/mailegress-zone/mailegress in account " in assumed
        assert "key-nobody-may-see" not in result.stdout + result.stderr

        SandboxAws(aws.url).run("revoke_key", access_key="AKIATEST")
        result = command("check-config", env={**REGION, **keys})
        assert result.returncode == 0
        assert (
            "AWS identity for ec2, route53: unknown: GetCallerIdentity: InvalidClientTokenId: "
            in result.stdout
        )


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_ROUTE_53"])
@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1:4566",
        "http://user:pass-word@aws.example.com",
        "http://[2001:db8::1]",
        "http://127.evil",
    ],
)
def test_an_unencrypted_endpoint_is_refused(name: str, url: str) -> None:
    (line,) = problems({}, {**REGION, name: url})
    assert line.startswith(f"{name}: 'http://")
    assert "is not encrypted" in line
    assert "give an https:// URL" in line
    assert "pass-word" not in line
    assert load_settings({"allow_http_endpoints": "on"}, {**REGION, name: url}).allow_http_endpoints


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:4566", "http://localhost", "http://[::1]:1", "http://127.8.9.10", "https://192.0.2.1"],
)
def test_loopback_and_encrypted_endpoints_are_accepted(url: str) -> None:
    assert load_settings({}, {**REGION, "AWS_ENDPOINT_URL": url}).regions == ("eu-west-1",)


@pytest.mark.parametrize(
    "url", ["aws.example.com", "ftp://aws.example.com", "https://", "https://a:b:c", "//x"]
)
def test_an_endpoint_that_is_no_url_is_refused(url: str) -> None:
    (line,) = problems({}, {**REGION, "AWS_ENDPOINT_URL_EC2": url})
    assert line.startswith("AWS_ENDPOINT_URL_EC2: ")
    assert "is not a URL; give https://" in line
    ignored = {**REGION, "AWS_ENDPOINT_URL_EC2": url, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    assert load_settings({}, ignored).regions


@pytest.mark.parametrize(
    ("zone", "region"),
    [
        ("us-east-1a", "us-east-1"),
        ("ap-northeast-1c", "ap-northeast-1"),
        ("us-gov-west-1a", "us-gov-west-1"),
        ("us-west-2-lax-1a", "us-west-2"),
    ],
)
def test_an_availability_zone_is_no_region(zone: str, region: str) -> None:
    (line,) = problems({"regions": zone}, {})
    assert f"{zone!r}, which is not an AWS region; an availability zone is no region; give {region}" in line


def test_what_only_resembles_a_region_names_none() -> None:
    for text in ("europe", "eu-west", "1a", "US-EAST-1", "eu-west-12345"):
        (line,) = problems({"regions": text}, {})
        assert "give a region's code such as eu-west-1" in line, text


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize(
    ("region", "near"),
    [("us-esat-1", "us-east-1"), ("eu-west-9", "eu-west-"), ("ap-northaest-2", "ap-northeast-2")],
)
def test_a_region_that_aws_does_not_have_is_refused(region: str, near: str, flag: bool) -> None:
    flags: dict[str, str | None] = {"regions": region} if flag else {}
    env = REGION if flag else {"AWS_REGION": region}
    (line,) = problems(flags, env)
    assert f"{region!r} is not an AWS region that this release knows; did you mean {near}" in line
    assert load_settings({**flags, "allow_unknown_regions": "on"}, env).regions == (region,)
    assert load_settings(flags, {**env, "AWS_ENDPOINT_URL": "https://aws.example.com"}).regions == (region,)


@pytest.mark.parametrize(
    "region",
    ["us-east-1", "ap-southeast-5", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1"],
)
def test_regions_of_every_partition_are_known(region: str) -> None:
    assert load_settings({"regions": region}, {}).regions == (region,)


def test_a_misspelt_variable_is_noticed_and_service_links_are_not() -> None:
    (line,) = unknown_variables(
        {
            "MAILEGRESS_RESYNC": "5",
            "MAILEGRESS_WORKERS": "5",
            "MAILEGRESS_SERVICE_HOST": "10.0.0.1",
            "MAILEGRESS_SERVICE_PORT_HTTP": "8080",
            "MAILEGRESS_METRICS_PORT_8080_TCP_ADDR": "10.0.0.1",
            "MAILEGRESS_PORT": "tcp://10.0.0.1:8080",
            "HOME": "/",
        }
    )
    assert line.startswith("MAILEGRESS_RESYNC is not a setting")
    assert "MAILEGRESS_RESYNC_SECONDS" in line


def test_version_is_the_packages(command: Command) -> None:
    from mailegress import __version__

    assert command("version").stdout.startswith(f"mailegress {__version__} ")
