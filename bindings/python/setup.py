"""The part of the build that is not in pyproject.toml: the engine, its linking, and what a wheel and an sdist are.

THALWEG_PROFILE names the profile that cargo builds the engine in; `release` unless it is set.
"""

import os
import pathlib
import re
import shutil
import subprocess

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

HERE = pathlib.Path(__file__).resolve().parent
# An sdist brings the sources of the engine with it; in the repository they are above.
ENGINE = HERE / "engine" if (HERE / "engine").is_dir() else HERE.parent.parent
VERSION = re.search(r'^version = "(.*)"$', (ENGINE / "Cargo.toml").read_text(), re.M)[1]
# What the engine and its C ABI are built and installed from.
SOURCES = ["CHANGELOG.md", "Cargo.lock", "LICENSE-APACHE", "LICENSE-MIT", "README.md"]
SOURCES += ["docs", "engine", "examples", "ffi", "include"]
MEMBERS = ["engine", "ffi"]


def built_engine(prefix: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Builds the engine and installs it; the library and the folder of its header."""
    script = ENGINE / "ffi" / "install.sh"
    profile = os.environ.get("THALWEG_PROFILE", "release")
    subprocess.run(
        ["bash", str(script)],
        check=True,
        env=os.environ
        | {"PREFIX": str(prefix), "PROFILE": profile, "DESTDIR": "", "LIBDIR": "", "INCLUDEDIR": "", "DOCDIR": ""},
    )
    return prefix / "lib" / "libthalweg.a", prefix / "include"


class BuildExtension(build_ext):
    def build_extension(self, extension: Extension) -> None:
        library, headers = built_engine(pathlib.Path(self.build_temp).resolve() / "engine")
        extension.extra_objects = [str(library)]
        extension.include_dirs = [str(headers)]
        # Linked anew with another engine.
        extension.depends.append(str(library))
        # The wheel is one file, so it shows what it has for Python and no call of the engine.
        extension.extra_link_args = ["-Wl,--exclude-libs,ALL", "-Wl,-z,nodelete"]
        extension.libraries = ["pthread", "m", "dl"]
        super().build_extension(extension)


def needed_glibc(wheel_content: pathlib.Path) -> str | None:
    """The newest version of the C library that a compiled file asks for, such as "2_34"."""
    versions = set()
    for library in wheel_content.rglob("*.so"):
        symbols = subprocess.run(["objdump", "-T", str(library)], check=True, capture_output=True, text=True).stdout
        versions |= {tuple(map(int, found)) for found in re.findall(r"GLIBC_(\d+)\.(\d+)", symbols)}
    # manylinux begins at 2.17 on x86-64.
    return "{}_{}".format(*max(versions | {(2, 17)})) if versions else None


class Wheel(bdist_wheel):
    """Tagged with the oldest C library that it runs with, as auditwheel would find it."""

    def get_tag(self) -> tuple[str, str, str]:
        python, abi, platform = super().get_tag()
        glibc = needed_glibc(pathlib.Path(self.bdist_dir)) if pathlib.Path(self.bdist_dir).is_dir() else None
        return python, abi, platform.replace("linux_", f"manylinux_{glibc}_", 1) if glibc else platform


class SourceDistribution(sdist):
    """With the sources of the engine, so that it builds anywhere."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        target = pathlib.Path(base_dir) / "engine"
        for name in SOURCES:
            source = ENGINE / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            target.mkdir(exist_ok=True)
            copy(source, target / name)
        manifest = (ENGINE / "Cargo.toml").read_text()
        members = f"members = {MEMBERS}".replace("'", '"')
        (target / "Cargo.toml").write_text(re.sub(r"^members = .*$", members, manifest, flags=re.M))


setup(
    version=VERSION,
    ext_modules=[
        Extension(
            "thalweg._thalweg",
            sorted(str(path.relative_to(HERE)) for path in (HERE / "c").glob("*.c")),
            depends=sorted(str(path.relative_to(HERE)) for path in (HERE / "c").glob("*.h")),
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            extra_compile_args=["-std=c11", "-O3", "-fvisibility=hidden", "-Wall", "-Wextra", "-D_GNU_SOURCE"],
            py_limited_api=True,
        )
    ],
    cmdclass={"build_ext": BuildExtension, "bdist_wheel": Wheel, "sdist": SourceDistribution},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
