"""What a solver costs on a table, in seconds of one core: flops and bytes at measured speeds.

The speeds are those of a common server core; a choice between solvers needs their ratios alone,
and those change little from one machine to the next.
"""

MATRIX_FLOPS = 4e10  # a second, products of matrices that stay in cache
FACTOR_FLOPS = 2e10  # a second, Cholesky and inverses
STREAMED_FLOPS = 4e9  # a second, products of a table read from memory with a few vectors
SCATTERED_FLOPS = 8e8  # a second, products with compressed sparse rows
LOGITS = 3e7  # a second, logits that go through an exponential and what follows from it
STEPS = 10  # of Newton, from start to end
PRODUCTS = 80  # with the Hessian, from start to end
DUAL_STEPS = 5  # of Newton on the dual problem of a wide table,
DUAL_PRODUCTS = 18  # with as many products where these are made with a table of many columns,
MORE_PRODUCTS = 50  # and so many more times its rows over its columns
SPARSE_SHARE = 3  # rows that hold fewer than one in so many values are sparse
CALL = 5e-5  # seconds, one call of a small product and the bookkeeping around it


def cost_of_product(n: int, row_values: int, n_outputs: int, sparse: bool) -> float:
    """The Hessian times a vector with logits kept: the rows times it, and back."""
    flops = 4.0 * n * row_values * n_outputs
    speed = SCATTERED_FLOPS if sparse else STREAMED_FLOPS
    return CALL + flops / speed + 4.0 * n * n_outputs / (10 * LOGITS)


def cost_of_gradient(n: int, row_values: int, n_outputs: int, sparse: bool) -> float:
    """Objective and gradient: a product's passes, and an exponential for each logit."""
    return cost_of_product(n, row_values, n_outputs, sparse) + n * n_outputs / LOGITS


def cost_of_hessian(m: int, p: int, n_outputs: int, softmax: bool) -> float:
    """Summing a Hessian over m rows of p values, and factoring it.

    A softmax's outputs form one Hessian of n_outputs (p + 1) parameters; sigmoids have one each.
    """
    D = float(n_outputs * (p + 1)) if softmax else float(p + 1)
    each = 1 if softmax else n_outputs
    return each * (CALL + m * D**2 / MATRIX_FLOPS + D**3 / FACTOR_FLOPS)


def cost_of_blocks(m: int, p: int, n_outputs: int) -> float:
    """Summing each class's own block of the Hessian over m rows, and inverting it."""
    return n_outputs * (CALL + m * float(p) ** 2 / MATRIX_FLOPS + float(p) ** 3 / FACTOR_FLOPS)


def cost_of_bordered(n: int, row_values: int, width: int, levels: int, n_outputs: int) -> float:
    """Summing a Hessian of which a block is diagonal over n rows, and factoring the rest."""
    pairs, rest = n * row_values**2 / 2, float(width - levels)
    factored = rest**2 * levels * 2 / MATRIX_FLOPS + rest**3 / FACTOR_FLOPS
    return n_outputs * (CALL + 2 * pairs / SCATTERED_FLOPS + factored)


def cost_of_newton(n: int, p: int, row_values: int, n_outputs: int, softmax: bool) -> float:
    """Newton's method with the Hessian of all rows, factored.

    A softmax's Hessian is summed for each pair of classes, a product of matrices each; a sigmoid's
    is symmetric, and where rows hold few values, the sum of their pairs.
    """
    if softmax:
        summed = (n_outputs + 1) * n * n_outputs * float(p) ** 2 / MATRIX_FLOPS
    else:
        each = min(float(p) ** 2 / MATRIX_FLOPS, 2 * float(row_values) ** 2 / SCATTERED_FLOPS)
        summed = n * n_outputs * each
    factored = cost_of_hessian(0, p, n_outputs, softmax) * 3
    return STEPS * (summed + factored + cost_of_gradient(n, row_values, n_outputs, False))


def cost_of_newton_cg(n: int, p: int, row_values: int, n_outputs: int) -> float:
    """Newton's method by products, on a problem of middling condition."""
    is_sparse = SPARSE_SHARE * row_values < p
    product = cost_of_product(n, row_values, n_outputs, is_sparse)
    return PRODUCTS * product + STEPS * cost_of_gradient(n, row_values, n_outputs, is_sparse)


def cost_of_gram(n: int, p: int, n_outputs: int) -> float:
    """Summing the rows' n x n products over p columns, their root, and products with that.

    >>> cost_of_gram(100, 5000, 1) < cost_of_newton_cg(100, 5000, 5000, 1)
    True
    """
    small = cost_of_newton_cg(n, n, n, n_outputs)
    passes = 6 * cost_of_product(n, p, n_outputs, sparse=False)
    return n**2 * float(p) / MATRIX_FLOPS + n**3 / 3 / FACTOR_FLOPS + small + passes


def cost_of_held(n: int, p: int, n_outputs: int) -> float:
    """The dual problem with the rows' products held: their sum, and a factor for each step."""
    factors = n_outputs * DUAL_STEPS * (CALL + float(n) ** 3 / 3 / FACTOR_FLOPS)
    passes = 3 * n_outputs * cost_of_product(n, p, 1, sparse=False)
    return float(n) ** 2 * p / MATRIX_FLOPS + factors + passes


def cost_of_applied(n: int, p: int, n_outputs: int) -> float:
    """The dual problem by products with the table.

    >>> cost_of_applied(2000, 20000, 1) < cost_of_held(2000, 20000, 1)
    True
    >>> cost_of_held(100, 5000, 1) < cost_of_applied(100, 5000, 1)
    True
    """
    products = DUAL_PRODUCTS + MORE_PRODUCTS * n / p
    return n_outputs * products * cost_of_product(n, p, 1, sparse=False)
