"""Sources that several mutants name."""

from __future__ import annotations

from .entries import SIBLING

MASK = SIBLING + "unsloth-softcap-padding-mass"
COUNT = SIBLING + "torch-mlir-sce-ignore-index-mean"
SECTION_2 = "specification section 2"
WEIGHT = SIBLING + "paddle-weighted-ce-wrong"
IGNORED = SIBLING + "paddle-ignored-rows-get-gradient"
EXACT_INPUTS = "specification section 1: the inputs are the exact values of the given numbers"
COTANGENT = "specification section 3: upstream cotangents"
HYPER = "tf-xent-hypergradient-wrt-labels-zero"
HESSIAN = "tf-second-derivative-xent-wrong"
JVP = "optax-weighted-logsoftmax-jvp-nan"
