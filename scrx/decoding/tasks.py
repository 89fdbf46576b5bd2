"""What a receiver answers: the names of the tasks, and the form of an answer. Knows nothing about networks."""

from collections.abc import Mapping
from typing import Any

Outputs = dict[str, Mapping[str, Any]]
"""One frame's answers: task name -> answer."""

CLASSIFY, EMBEDDING = "classify", "embedding"
