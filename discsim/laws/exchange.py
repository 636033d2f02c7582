"""Exchange of solutes with the blood at a surface: outward flux h (C - C_far) with a coefficient h.

With one clearance for glucose and lactate (perfusion-limited) lactate rises by twice what glucose falls, so a starving
disc turns acid as measured. With h proportional to the diffusivity (diffusion-limited) D_L L + 2 D_G G keeps its
boundary bounds and the disc hardly turns acid.
"""

from discsim.laws.guards import Scalar


def perfusion_exchange(clearance: Scalar, factor: Scalar) -> Scalar:
    """Exchange coefficient when blood flow limits the supply: the same clearance for every solute.

    h = f h_0.

    Symbols: `clearance` h_0, mm/s; `factor` f of the solute: 1 for glucose and lactate, 3 for oxygen (haemoglobin,
    assumed). Returns mm/s. Source: assumed; healthy 2e-3, grade III 1e-4 (4e-5 to 2e-3) mm/s.
    Validity: h_0 >= 0; zero seals the surface. Trap: the w invariant (maximum principle) does not hold here.
    """
    return clearance * factor


def diffusion_exchange(per_length: Scalar, water_diffusivity: Scalar) -> Scalar:
    """Exchange coefficient when diffusion to the vessels limits the supply.

    h = k D_w.

    Symbols: `per_length` k, open area share over path length, 1/mm; `water_diffusivity` D_w of the solute, mm2/s.
    Returns mm/s. Source: assumed; trial values 0.12-0.3 per mm. Validity: k >= 0; zero seals the surface.
    The w invariant holds with this form and with fixed levels.
    """
    return per_length * water_diffusivity
