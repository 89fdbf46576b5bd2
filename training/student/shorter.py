"""A student that begins with the weights of one with a longer ladder. Knows nothing about how either is trained."""

import torch

from training.student.end_to_end import Student

PARTS = 5
"""Numbers that the decoder makes of each symbol, one block of all symbols after the other."""


def start_from(student: Student, other: Student) -> None:
    """Give `student` the weights of `other`, cut to its own first symbols; all else of the two must be alike.

    RuntimeError (torch's own) where it is not. A feature is two numbers per symbol, real parts first.
    """
    mine, theirs = student.shapes.layout.max_symbols, other.shapes.layout.max_symbols
    first = torch.arange(mine)
    features = torch.cat([first, first + theirs])
    snr = torch.arange(2 * theirs, 2 * theirs + 2)  # what the adaptive module is told beside the features
    heard = torch.cat([first + part * theirs for part in range(PARTS)])
    cuts = {
        "encoder.head.weight": (0, features),
        "encoder.head.bias": (0, features),
        "adapt.inner.weight": (1, torch.cat([features, snr])),
        "adapt.outer.weight": (0, features),
        "adapt.outer.bias": (0, features),
        "decoder.inner.weight": (1, heard),
    }
    weights = other.state_dict()
    for name in cuts.keys() & weights.keys():
        weights[name] = weights[name].index_select(*cuts[name])
    student.load_state_dict(weights)
