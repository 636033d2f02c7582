"""Pointwise laws of the disc: pure, branch-free scalar functions of `jax.numpy`.

Every constant is an argument except the gas constant, unit factors and the published coefficients of the Bibby-type
fits. Units: mm, s, N, MPa, mM (= nmol/mm3), kPa for oxygen, cells/mm3, mEq/mL for charge, mg/mL for GAG.

Evidence words used under "Source": measured, model (a published model or its code), recalled, assumed (ours).
"[code] abaqusIVD" means read in the public repository bmmbUPF/abaqusIVD. "recalled, unverified" means that no text
showing the statement has been read.
"""
