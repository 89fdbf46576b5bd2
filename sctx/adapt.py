"""Channel-adaptive module: features + the SNR that the receiver reported -> weighted features.

Knows nothing about rates, constellations or how old the report is.
"""

import torch
from torch import Tensor, nn

from common.pair.blocks import snr_features


class ChannelAdaptive(nn.Module):
    """w = Phi_theta(X0, snr), X = w * X0: one weight in 0..4 per feature.

    The modulator squashes and rounds afterwards, so a large weight moves a feature to the outer points of the
    constellation (robust, few levels in use) and a small one spreads it over the inner points (fine, fragile).
    """

    def __init__(self, width: int, hidden: int = 64) -> None:
        super().__init__()
        self.inner = nn.Linear(width + 2, hidden)
        self.outer = nn.Linear(hidden, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.constant_(self.outer.bias, -1.0986)  # sigmoid(-ln 3) = 1/4: every weight starts at 1

    def forward(self, features: Tensor, snr_db: Tensor) -> Tensor:
        """features: float [B, D]; snr_db: float [B], NaN = no report -> float [B, D]."""
        hidden = torch.cat((features, snr_features(snr_db)), -1)
        weight = 4.0 * torch.sigmoid(self.outer(torch.relu(self.inner(hidden))))
        return weight * features
