"""Packs the folder ``configs`` as ``m3amba_zoo/configs``; all else is in setup.cfg."""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

CONFIGS = "m3amba_zoo.configs"


class BuildPy(build_py):
    """Takes configs for data, so that setup.cfg says which are packed: the leaderboard's plan is not."""

    def find_package_modules(self, package, package_dir):
        """Return the modules of a package."""
        return [] if package == CONFIGS else super().find_package_modules(package, package_dir)


setup(
    packages=[*find_packages(include=["m3amba_zoo*"]), CONFIGS],
    package_dir={CONFIGS: "configs"},
    cmdclass={"build_py": BuildPy},
)
