"""How sure the coefficients of a fit are: what its rows say of their errors.

Near the optimum the log-likelihood is a parabola with the Hessian H. Then

    model       V = H^-1                  frequency weights, the model being right
    HC0         V = H^-1 J H^-1           J = sum s r^2 x~x~' (s^2 for sampling weights)
    HC1         HC0 times n / (n - k)
    cluster     J = sum over clusters of u u', u = sum s r x~; times G/(G-1) (n-1)/(n-k)

with x~ = (x, 1), r = A - Y, k parameters and G clusters. With a penalty H holds it too, and V is
the spread of the posterior under the normal prior that the penalty stands for. Sources: H. White,
Econometrica 48 (1980) and 50 (1982); J. MacKinnon and H. White, Journal of Econometrics 29 (1985).
The derivations stand in docs/mathematics.md.
"""

from onelayer.inference.evidence import Evidence as Evidence
from onelayer.inference.evidence import summarise_training as summarise_training
from onelayer.inference.sums import check_weight_kind as check_weight_kind
from onelayer.inference.sums import scale_weights as scale_weights
