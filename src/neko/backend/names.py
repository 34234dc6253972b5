"""The names every backend offers, as data."""

from __future__ import annotations

ARRAY_API = """
    abs all any argmax argsort astype bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor
    broadcast_to clip concat cos cumulative_sum exp expand_dims flip floor isfinite log log1p logical_and
    logical_not logical_or matmul matrix_transpose max maximum mean min minimum ones_like permute_dims pow
    reshape round sign sin sort sqrt square squeeze stack std sum take tan tanh tile unstack var where
    zeros_like
""".split()  # noqa: SIM905
"""Functions with the semantics of the Python array API standard."""

CREATION = ("arange", "eye", "full", "ones", "zeros")
"""Functions that create arrays; their default dtype and device are those of the backend."""

EXTRA = ("erf", "sigmoid", "softplus", "log_softmax", "logsumexp", "one_hot", "svd", "cholesky", "solve_triangular")
"""Functions beyond the standard that every framework has: over the last axis where they have one; `svd` is the reduced
one of the last two, in the order U, s, V^T, of NaN where it does not converge. ``cholesky(a)`` is the lower factor of
positive definite matrices (of others NaN, or an error of the framework), ``solve_triangular(a, b, lower=…)`` is a⁻¹ b
for matrices a of one triangle and b of columns."""

TRANSFORMS = ("stop_gradient", "value_and_grad", "jvp", "vjp", "columnwise_jacobian", "scan", "jit")
"""Functions on functions."""
