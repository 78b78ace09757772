"""Given builders that are scripts noting their arguments: what is built, and how its size is told."""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from mailegress import __version__
from sandbox.image import ImageError, build_image
from sandbox.image.build import Image, layer_sizes, version
from sandbox.image.debian import BUILD, RUNTIME, SUITE, Recipe, command, digest
from sandbox.image.engines import answering_engine
from sandbox.image.network import CA_IN_BUILD, pip_secrets


def executable(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def archive(path: Path, *sizes: int, first_again: bool = True) -> Path:
    """A docker-archive with layers of these sizes; with `first_again`, the last name is a link to the first layer."""
    with tarfile.open(path, "w") as tar:
        names = [f"{number}.tar" for number in range(len(sizes))]
        for name, size in zip(names, sizes, strict=True):
            member = tarfile.TarInfo(name)
            member.size = size
            tar.addfile(member, io.BytesIO(bytes(size)))
        link = tarfile.TarInfo("again/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../0.tar"
        tar.addfile(link)
        text = json.dumps([{"Layers": [*names, *([link.name] if first_again else [])]}]).encode()
        member = tarfile.TarInfo("manifest.json")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return path


def test_an_engine_that_answers_builds_the_dockerfile_and_saves_it(tmp_path: Path) -> None:
    made, calls = archive(tmp_path / "made.tar", 100, 5), tmp_path / "calls"
    executable(
        tmp_path / "docker",
        f'echo "$*" >> {calls}\nif [ "$1" = save ]; then /bin/cp {made} "$3"; fi',
    )
    said: list[str] = []
    image = build_image({"PATH": str(tmp_path)}, said.append, tmp_path / "out" / "image.tar")
    reference = f"ghcr.io/mailegress/mailegress:{__version__}"
    assert (image.reference, image.builder, image.layers) == (reference, "docker", (100, 5, 100))
    info, build, save = calls.read_text().splitlines()
    assert info == "info"
    assert build.startswith("build --file ")
    assert f"--tag {reference} --build-arg VERSION={__version__} --build-arg REVISION=" in build
    assert save == f"save --output {tmp_path / 'out' / 'image.tar'} {reference}"


def test_a_client_without_an_engine_is_passed_over(tmp_path: Path) -> None:
    executable(tmp_path / "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    assert answering_engine({"PATH": str(tmp_path)}) is None
    executable(tmp_path / "podman", "exit 0")
    found = answering_engine({"PATH": str(tmp_path)})
    assert found is not None
    assert found.name == "podman"


def test_a_build_that_fails_says_how(tmp_path: Path) -> None:
    executable(tmp_path / "docker", "if [ $1 = build ]; then echo 'no space left on device' >&2; exit 1; fi")
    with pytest.raises(ImageError, match="no space left on device"):
        build_image({"PATH": str(tmp_path)}, lambda line: None, tmp_path / "image.tar")


def test_a_broken_archive_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(b"nothing")
    with pytest.raises(ImageError, match="is no docker-archive"):
        layer_sizes(tmp_path / "image.tar")


def test_the_size_tells_the_base_from_what_is_ours() -> None:
    image = Image("name:1", Path("image.tar"), "docker", (70_000_000, 1024, 60_000_000))
    assert image.summary() == "name:1: 130 MB (limit 150), of which 60 MB are MailEgress"


@pytest.mark.parametrize("size", [95, 96])
def test_an_image_above_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("sandbox.image.build.SIZE_LIMIT", 100)
    made = archive(tmp_path / "made.tar", 5, size, first_again=False)
    executable(tmp_path / "docker", f'if [ "$1" = save ]; then /bin/cp {made} "$3"; fi')
    limit = pytest.raises(ImageError, match="too large") if size > 95 else contextlib.nullcontext()
    with limit:
        build_image({"PATH": str(tmp_path)}, lambda line: None, tmp_path / "image.tar")


def test_the_version_comes_from_the_package() -> None:
    assert version() == __version__


def test_pips_settings_travel_as_secrets_and_the_last_one_wins(tmp_path: Path) -> None:
    certificates = tmp_path / "ca.crt"
    certificates.touch()
    listed = (
        "global.index-url='https://pypi.example.org/simple'\n"
        f"global.cert='{certificates}'\n"
        "global.find-links='/opt/wheels'\n"
        "install.no-compile='true'\n"
        ":env:.index-url='https://other.example.org/simple'\n"
        ":env:.trusted-host='a.example.org\\nb.example.org'\n"
    )
    secrets = pip_secrets({}, listed, tmp_path)
    assert secrets == {"ca.pem": certificates, "pip.conf": tmp_path / "pip.conf"}
    assert (tmp_path / "pip.conf").read_text() == (
        f"[global]\ncert = {CA_IN_BUILD}\nindex-url = https://other.example.org/simple\n"
        "trusted-host = a.example.org\n    b.example.org\n"
    )
    assert stat.S_IMODE((tmp_path / "pip.conf").stat().st_mode) == 0o600


def test_without_settings_there_are_no_secrets(tmp_path: Path) -> None:
    assert pip_secrets({}, "", tmp_path) == {}
    assert pip_secrets({"SSL_CERT_FILE": str(tmp_path / "gone")}, "", tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_the_base_comes_from_where_this_debian_gets_its_packages(tmp_path: Path) -> None:
    lists, options = tmp_path / "apt" / "sources.list.d", tmp_path / "apt" / "apt.conf.d"
    lists.mkdir(parents=True)
    options.mkdir()
    (tmp_path / "os-release").write_text(f"ID=debian\nVERSION_CODENAME={SUITE}\n")
    (lists / "debian.sources").write_text("Types: deb\n")
    (lists / "other.list").write_text("deb https://example.org other main\n")
    (options / "50proxy").write_text('Acquire::http::Proxy "http://proxy.example.org";\n')
    (options / "70colour").write_text('APT::Color "1";\n')
    line = command(Path("/usr/bin/mmdebstrap"), Path("base.tar"), BUILD, tmp_path)
    assert line[-3:] == [SUITE, "base.tar", str(lists / "debian.sources")]
    assert [word for word in line if word.startswith("--aptopt")] == [f"--aptopt={options / '50proxy'}"]
    (hook,) = [word for word in line if word.startswith("--customize-hook")]
    assert "etc/apt/sources.list.d/*" in hook


def test_another_system_leaves_the_choice_to_mmdebstrap(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text("ID=ubuntu\nVERSION_CODENAME=noble\n")
    line = command(Path("/usr/bin/mmdebstrap"), Path("base.tar"), BUILD, tmp_path)
    assert line[-2:] == [SUITE, "base.tar"]


def test_the_base_is_unpacked_only_and_keeps_no_program_but_python(tmp_path: Path) -> None:
    line = command(Path("/usr/bin/mmdebstrap"), Path("base.tar"), RUNTIME, tmp_path)
    assert "--variant=extract" in line
    (hook,) = [word.partition("=")[2] for word in line if word.startswith("--extract-hook")]
    root = tmp_path / "root"
    for name in ("usr/bin/python3.13", "usr/bin/mawk", "usr/sbin/dpkg-preconfigure", "etc/apt/sources.list"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    for name in ("usr/share/ca-certificates/mozilla/a.crt", "usr/share/python-wheels/pip.whl"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("text\n")
    # The owner of a folder is for root to change.
    executable(tmp_path / "chown", "exit 0")
    path = {"PATH": f"{tmp_path}:{os.defpath}"}
    subprocess.run(["sh", "-c", hook, "exec", str(root)], check=True, env=path)
    programs = {each.name for each in (*root.glob("usr/bin/*"), *root.glob("usr/sbin/*"))}
    assert programs == {"python", "python3", "python3.13"}
    assert not list(root.glob("**/*.whl"))
    assert not (root / "etc/apt/sources.list").exists()
    assert (root / "etc/ssl/certs/ca-certificates.crt").read_text() == "text\n"


def test_a_file_system_with_other_packages_has_a_name_of_its_own() -> None:
    postfix = Recipe(("postfix",))
    assert "--include=postfix" in command(Path("/usr/bin/mmdebstrap"), Path("mail.tar"), postfix)
    assert len({digest(postfix), digest(BUILD), digest(RUNTIME), digest(BUILD, RUNTIME)}) == 4
