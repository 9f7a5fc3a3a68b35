"""Matrix products in the layout that is fastest in their precision."""

from __future__ import annotations

import torch

LONG = 1024  # numbers in a row; seen at 1,536 and not at 576 (AMD EPYC, torch 2.13)


class Matrix:
    """A weight of a model that rows are multiplied with."""

    def __init__(self, weight: torch.Tensor) -> None:
        """Take a weight [out, in]."""
        self.nbytes = weight.nbytes
        self.packed = _can_pack(weight)
        if self.packed:
            # oneDNN would else bring the numbers into the order in which the processor takes them
            # for each product anew, which takes as long as the product itself.
            self._weight = torch.ops.mkldnn._reorder_linear_weight(weight)
        else:
            by_columns = weight.dtype is torch.float64  # faster there
            self._weight = weight.T.contiguous().T if by_columns else weight

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows [N, in] -> [N, out]."""
        if not self.packed:
            return rows @ self._weight.T
        # A row is added up in the same order in any company, but a long one that is alone is not.
        alone = len(rows) == 1 and rows.shape[1] > LONG
        found = torch.ops.mkldnn._linear_pointwise(
            rows.repeat(2, 1) if alone else rows, self._weight, None, "none", [], ""
        )
        return found[:1] if alone else found

    def equals(self, weight: torch.Tensor) -> bool:
        """Whether it was made of such a weight [out, in]."""
        dense = self._weight.to_dense() if self.packed else self._weight
        return torch.equal(dense, weight)


def _can_pack(weight: torch.Tensor) -> bool:
    """Whether torch multiplies it through oneDNN, on a processor that knows bfloat16."""
    return (
        weight.dtype is torch.bfloat16
        and weight.device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
