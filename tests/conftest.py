"""Settings of the whole test suite."""

import jax

# The laws leave the precision to their caller; every tolerance of the suite assumes double precision.
jax.config.update("jax_enable_x64", True)
