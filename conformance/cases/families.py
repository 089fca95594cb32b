"""The registry of families, by name and in the order of the deck: those of finite logits, then those of special values
and of numbers that are not nice.

A family that is defined in one of the two modules is in the deck; a module that is not named here is not.
"""

from __future__ import annotations

from collections.abc import Mapping

from lossproof.cases import finite_families, special_families
from lossproof.cases.family import Family
from lossproof.core.registry import collected

FAMILIES: Mapping[str, Family] = {found.name: found for found in collected(Family, finite_families, special_families)}
