"""Puts `configs/`, which lies beside the package, into the package that is built; all else stands in pyproject.toml.

In a wheel it is `parity_lightning/configs`, in an sdist `configs` again. In pyproject.toml one can say which packages
to find or that one lies elsewhere, not both; and a link, in either direction, is a text file in a checkout of Windows.
"""

from setuptools import find_namespace_packages, find_packages, setup

configs = find_namespace_packages(include=["configs", "configs.*"])
setup(
    packages=[
        *find_packages(include=["parity_lightning", "parity_lightning.*"]),
        *(f"parity_lightning.{name}" for name in configs),
    ],
    package_dir={"parity_lightning.configs": "configs"},
)
